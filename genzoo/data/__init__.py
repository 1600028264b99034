"""Data sets as images: `open_data` finds, decodes, splits and caches them; `batch_indices` says who is in
which batch.
"""

from __future__ import annotations

from genzoo.data.captions import captions_for
from genzoo.data.collection import Images
from genzoo.data.identity import identity
from genzoo.data.opening import open_data
from genzoo.data.order import batch_indices, epoch_size, order, side_indices
from genzoo.data.torch_sets import as_dataset, from_torch
from genzoo.datasets import NAMES

__all__ = [
    "NAMES",
    "Images",
    "as_dataset",
    "batch_indices",
    "captions_for",
    "epoch_size",
    "from_torch",
    "identity",
    "open_data",
    "order",
    "side_indices",
]
