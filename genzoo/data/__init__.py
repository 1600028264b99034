"""Data sets as images: `open_data` finds, decodes, splits and caches them; `batch_indices` says who is in
which batch.
"""

from __future__ import annotations

from genzoo.data.collection import Images
from genzoo.data.identity import identity
from genzoo.data.opening import open_data
from genzoo.data.order import batch_indices, order
from genzoo.data.torch_sets import as_dataset, from_torch
from genzoo.datasets import NAMES

__all__ = ["NAMES", "Images", "as_dataset", "batch_indices", "from_torch", "identity", "open_data", "order"]
