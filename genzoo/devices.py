"""What devices cannot do: Apple's (mps) have no float64.

There, what is summed or drawn in float64 is moved to the CPU, which gives the same bits, or done in float32,
where it would be moved for every pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

WITHOUT_FLOAT64 = frozenset({"mps"})


def has_float64(device: torch.device) -> bool:
    """Return whether tensors on `device` can be float64."""
    return device.type not in WITHOUT_FLOAT64


def widest(device: torch.device) -> torch.dtype:
    """Return the most precise dtype of `device`: float64, or float32 where there is none."""
    return torch.float64 if has_float64(device) else torch.float32


def doubled(x: Tensor) -> Tensor:
    """Return `x` as float64: on its own device, or on the CPU where its device has none."""
    return (x if has_float64(x.device) else x.cpu()).double()
