"""Permutations of the cells of a map, such as its mirror image, whose gradient is a permutation too."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo_pixel.fast.scan import by_diagonals


@dataclass(frozen=True)
class Turn:
    """A permutation of cells: output j comes from input `there[j]` (-1: zero), and input i goes to output
    `back[i]` (-1: nowhere).
    """

    there: Tensor
    back: Tensor


@functools.lru_cache(maxsize=64)
def turns(height: int, wide: int) -> tuple[Turn, Turn]:
    """Return two turns of cells in the order of `by_diagonals`: from a map to its mirror image, and from the
    mirror image back to the map, shifted one row down.
    """
    order = by_diagonals(height, wide).order
    place = {at: j for j, at in enumerate(order)}
    mirrored = [place[at - at % wide + wide - 1 - at % wide] for at in order]
    above = [mirrored[place[at - wide]] if at >= wide else -1 for at in order]
    below = [place[at + wide] if at + wide < height * wide else -1 for at in order]
    with torch.inference_mode(False):  # cached for later calls, which may need gradients
        there, lower, back = (
            torch.tensor(cells, device="cpu") for cells in (mirrored, above, [below[j] for j in mirrored])
        )
    return Turn(there, there), Turn(lower, back)


class Moved(torch.autograd.Function):
    """`moved`, whose gradient is the inverse turn, one copy; autograd would accumulate cell by cell."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        """Return `x` (features, cells, N) rearranged."""
        ctx.save_for_backward(there, back)
        taken = x.index_select(1, there.clamp(min=0))
        if bool((there < 0).any()):
            taken[:, there < 0] = 0
        return taken

    @staticmethod
    def backward(ctx: Any, grown: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of `x`."""
        there, back = ctx.saved_tensors
        return Moved.apply(grown, back, there), None, None  # type: ignore[no-untyped-call]


def moved(x: Tensor, turn: Turn) -> Tensor:
    """Return `x` (features, cells, N) rearranged."""
    found: Tensor = Moved.apply(x, turn.there.to(x.device), turn.back.to(x.device))  # type: ignore[no-untyped-call]
    return found
