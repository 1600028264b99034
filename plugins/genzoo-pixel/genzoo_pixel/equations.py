"""The two gates of the papers, as plain formulas."""

from __future__ import annotations

import torch
from torch import Tensor


def gate(x: Tensor, dim: int = 1) -> Tensor:
    """Return tanh(a) · σ(b) of the two halves of `x` along `dim` (equation 2 of arXiv:1606.05328)."""
    a, b = x.chunk(2, dim)
    return a.tanh() * b.sigmoid()


def cell(gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return (h, c) of an LSTM cell (equation 3 of arXiv:1601.06759), each (..., h).

    `gates` (..., 4h) are in the order o, f, i, g, `memory` is (..., h). g goes through a tanh; some
    ports use a sigmoid.
    """
    width = memory.shape[-1]
    o, f, i = gates[..., : 3 * width].sigmoid().split(width, -1)
    memory = torch.addcmul(f * memory, i, gates[..., 3 * width :].tanh())
    return o * memory.tanh(), memory
