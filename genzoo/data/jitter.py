"""Flips and shifts of the images of a batch. What belongs together, such as both halves of a pair, gets the
same coins.
"""

from __future__ import annotations

import torch
from torch import Tensor


def flipped(images: Tensor, coins: Tensor) -> Tensor:
    """Return `images` (N, C, H, W) mirrored left to right in the rows where `coins` (N,) bool is true."""
    return torch.where(coins[:, None, None, None], images.flip(3), images)


def moved(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return `images` (N, C, H, W), each shifted by its own number of pixels, `down` and `right` (N,) int64,
    repeating the edge.
    """
    height, width = images.shape[2:]
    # (N, H): the row each pixel comes from
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, width - 1)  # (N, W)
    numbers = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[numbers, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
