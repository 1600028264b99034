"""The recurrence of convolutional LSTMs, one step per row or per diagonal, fast: states are plain matrices, gates are fused.

A step's cells lie in one axis of M entries, images one after the other, each with one entry of padding whose gates are frozen
(state zero for ever). A neighbour is then a shift of that axis: nothing is padded or joined inside the loop. Where a cell must keep its
initial state until its turn comes, its gates are frozen as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FROZEN = 1e4  # σ(±10⁴) is exactly 0 or 1 in every precision


def frozen(width: int, like: Tensor) -> Tensor:
    """Return gates (4 · width) that keep a cell as it is and show zero: o = 0, f = 1, i = 0."""
    gates = like.new_zeros(4, width)
    gates[0], gates[1], gates[2] = -FROZEN, FROZEN, -FROZEN
    return gates.flatten()


def cell(gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return (h, c) of an LSTM cell: gates (..., 4h) in the order o, f, i, g, memory (..., h). g is a tanh, unlike in some ports."""
    width = memory.shape[-1]
    o, f, i = gates[..., : 3 * width].sigmoid().split(width, -1)
    memory = torch.addcmul(f * memory, i, gates[..., 3 * width :].tanh())
    return o * memory.tanh(), memory


class FusedCell(torch.autograd.Function):
    """`cell` with its backward pass in one piece: gradients of the four gates are written into one tensor, not padded and added."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return (h, c), as `cell` does."""
        width = memory.shape[-1]
        opened = gates[..., : 3 * width].sigmoid()
        o, f, i = opened.split(width, -1)
        g = gates[..., 3 * width :].tanh()
        c = torch.addcmul(f * memory, i, g)
        shown = c.tanh()
        ctx.save_for_backward(opened, g, shown, memory)
        return o * shown, c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor, dc: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of the gates and of the memory."""
        opened, g, shown, memory = ctx.saved_tensors
        o, f, i = opened.split(memory.shape[-1], -1)
        dc = torch.addcmul(dc, dh * o, 1 - shown * shown)
        slopes = torch.cat([dh * shown, dc * memory, dc * g, dc * i], -1)
        slopes *= torch.cat([opened * (1 - opened), 1 - g * g], -1)
        return slopes, dc * f


def scan(z: Tensor, weights: Tensor, shifts: Sequence[int], h: Tensor, c: Tensor) -> Tensor:
    """Return the states (T, D, M, h) of a recurrence over T steps, for D directions at once.

    Args:
        z: input-to-state gates (T, D, M, 4h).
        weights: state-to-state, (K, D, h, 4h), one matrix per neighbour.
        shifts: K offsets: entry m reads entry m - shift of the step before.
        h: states before the first step, (D, M, h).
        c: cells before the first step, (D, M, h).
    """
    states = []
    taps = weights.unbind(0)
    for gates in z.unbind(0):
        for shift, tap in zip(shifts, taps, strict=True):
            gates = torch.baddbmm(gates, h.roll(shift, 1) if shift else h, tap)
        h, c = FusedCell.apply(gates, c)  # type: ignore[no-untyped-call]
        states.append(h)
    return torch.stack(states)
