"""Flips and shifts that are the same for all pictures of one row: both halves of a pair."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def flipped(parts: Sequence[Tensor], coins: Tensor) -> list[Tensor]:
    """Return each of `parts` (N, C, H, W) mirrored in the rows where `coins` (N,) bool is true: one coin for
    all halves of a pair.
    """
    return [torch.where(coins.to(part.device)[:, None, None, None], part.flip(3), part) for part in parts]


def shifted(parts: Sequence[Tensor], down: Tensor, right: Tensor) -> list[Tensor]:
    """Return each of `parts` (N, C, H, W) shifted by `down` and `right` (N,) pixels, which repeat the edge.

    The pixels are those of the first part. A part of another size is shifted by the same share of its height
    and width, rounded to whole pixels.
    """
    height, width = parts[0].shape[2:]
    found = []
    for part in parts:
        rows = torch.round(down * (part.shape[2] / height)).long().to(part.device)
        columns = torch.round(right * (part.shape[3] / width)).long().to(part.device)
        found.append(_moved(part, rows, columns))
    return found


def _moved(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    height, width = images.shape[2:]
    # (N, H), (N, W): where each pixel comes from
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, width - 1)
    numbers = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[numbers, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
