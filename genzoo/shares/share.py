"""Share: the rows of a batch that one of several processes computes, and sums over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T", bound=Tensor | tuple[Tensor, ...])


class Share:
    """Part `number` of `parts` equal ones of a batch: its rows are those from `number` times their count.

    A tensor of the batch may hold its rows several times over, block after block, as `torch.cat([real,
    fake])` does: all functions then take the same rows of each block.

    Args:
        number: 0 … parts - 1.
        parts: number of processes.
        add: replaces a contiguous tensor by its sum over all processes, which all call it in the same order.
        norms: whether batch norms in training use the statistics of the whole batch.
    """

    def __init__(
        self,
        number: int = 0,
        parts: int = 1,
        add: Callable[[Tensor], object] | None = None,
        norms: bool = False,
    ) -> None:
        self.number, self.parts, self.norms = number, parts, norms
        self.rows = 0  # of this part
        self.talked = False  # whether a turn has used `add`: such a turn cannot be recorded on a GPU
        self._add = add

    def axis(self, shape: Sequence[int]) -> int | None:
        """Return the axis of `shape` along which the rows are: the first if it can be, else the first as long
        as they are many, else None.
        """
        if shape and shape[0] and shape[0] % self.rows == 0:
            return 0
        return next((axis for axis, size in enumerate(shape) if size == self.rows), None)

    def widened(self, shape: Sequence[int], axis: int) -> list[int]:
        """Return `shape` with the rows of the whole batch along `axis`."""
        return [size * self.parts if place == axis else size for place, size in enumerate(shape)]

    def own(self, x: Tensor, axis: int = 0) -> Tensor:
        """Return the rows of this share of `x`, which has those of the whole batch along `axis`."""
        blocks = x.unflatten(axis, (-1, self.parts, self.rows))
        own: Tensor = blocks.select(axis + 1, self.number).flatten(axis, axis + 1)
        return own

    def spread(self, x: Tensor) -> Tensor:
        """Return as many rows as the whole batch has, of which those of this share are `x`, and the others
        equal to them.
        """
        blocks = x.unflatten(0, (-1, 1, self.rows))
        everyone: Tensor = blocks.expand(-1, self.parts, *blocks.shape[2:]).flatten(0, 2)
        return everyone

    def gathered(self, x: Tensor) -> Tensor:
        """Return the rows of all processes, of which `x` are those of this one; differentiable."""
        blocks = x.unflatten(0, (-1, self.rows))
        nothing = torch.zeros_like(blocks)
        parts = [blocks if part == self.number else nothing for part in range(self.parts)]
        return self.sum(torch.stack(parts, 1)).flatten(0, 2)

    def sum(self, x: Tensor) -> Tensor:
        """Return the sum of `x` over all processes; differentiable, also twice."""
        if not x.is_floating_point():
            return self.added(x)
        total: Tensor = _Sum.apply(x, self)  # type: ignore[no-untyped-call]
        return total

    def added(self, x: Tensor) -> Tensor:
        """Return the sum of `x` over all processes, without a gradient."""
        kept = x.dtype if x.dtype in (torch.float32, torch.float64, torch.int64) else None
        wide = torch.float32 if x.is_floating_point() else torch.int64
        total = x.detach().to(kept or wide, memory_format=torch.contiguous_format, copy=True)
        if self._add is not None:
            self._add(total)
        self.talked = True
        return total.to(x.dtype)


CURRENT: ContextVar[Share | None] = ContextVar("share", default=None)


class _Sum(torch.autograd.Function):
    """A sum over all processes. Each has a loss of its own, and all are averaged: the gradient in what one of
    them added is the sum of those of all losses.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: Share) -> Tensor:
        ctx.share = share
        return share.added(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(gradients[0], ctx.share), None  # type: ignore[no-untyped-call]


def whole(x: Tensor) -> Tensor:
    """Return the rows of the whole batch, of which `x` (N, …) are those of this process; differentiable."""
    share = CURRENT.get()
    return x if share is None else share.gathered(x)


def mean(x: Tensor) -> Tensor:
    """Return the mean of `x` over all processes: of a mean over this process's rows, that over the whole
    batch; differentiable.
    """
    share = CURRENT.get()
    return x if share is None else share.sum(x) / share.parts


def on_whole(work: Callable[..., T], *rows: Tensor) -> T:
    """Return `work(*rows)`, computed from the rows of the whole batch: this process's rows of each tensor
    that it returns.

    Inside `work`, everything is drawn as in a run of one process, so what it keeps is the same in every
    process. Costs: the rows travel, and every process does the work for all of them.
    """
    share = CURRENT.get()
    if share is None:
        return work(*rows)
    gathered = [share.gathered(x) for x in rows]
    token = CURRENT.set(None)
    try:
        made = work(*gathered)
    finally:
        CURRENT.reset(token)
    if isinstance(made, Tensor):
        return share.own(made)  # type: ignore[return-value]
    return tuple(share.own(x) for x in made)  # type: ignore[return-value]
