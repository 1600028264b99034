"""The recurrence of convolutional LSTMs, one step per row or per diagonal, with a hand-written backward pass.

The memory layout follows the steps. A map is (features, cells · images), with cells in the order of the
visit, so that a step is a slice of columns: no padding, and no wasted half of a skewed grid. Each cell has a
column of inputs, the stacked states of its K neighbours, which earlier steps write; so the gates of a step
are one matrix product. The backward pass keeps the gradients of all gates and computes the weights' gradient
as one product at the end, not one per step. Autograd would add up a gradient of the whole map for each slice.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genzoo_pixel.fast.activations import tanh_


@dataclass(frozen=True)
class Course:
    """The order in which a recurrence visits the cells of a map.

    Attributes:
        order: the cells as raster-scan indices, step after step.
        edges: the start of each step in `order`, and the end of the last.
        hops: for each step and neighbour k, (first, last, to): cells first … last - 1 of `order` are
            neighbour k of the cells that begin at `to`, one step later.
        starts: for each step and neighbour k, (first, last): the cells of `order` whose neighbour k is the
            learned initial state. A neighbour that is neither is zero.
        memory: the neighbour whose memory a cell continues.
    """

    order: tuple[int, ...]
    edges: tuple[int, ...]
    hops: tuple[tuple[tuple[int, int, int], ...], ...]
    starts: tuple[tuple[tuple[int, int], ...], ...]
    memory: int

    @property
    def neighbours(self) -> int:
        """K, the number of cells of the step before that a cell reads."""
        return len(self.starts[0])


@functools.lru_cache(maxsize=64)
def by_rows(height: int, wide: int) -> Course:
    """Return the course of a Row LSTM: one row per step; the neighbours are the three cells above (left,
    middle, right).
    """
    hops, starts = [], []
    for row in range(height):
        first, last = row * wide, (row + 1) * wide
        shifted = ((first, last - 1, last + 1), (first, last, last), (first + 1, last, last))
        hops.append(shifted if row + 1 < height else ())
        starts.append(((1, wide), (0, wide), (0, wide - 1)) if row == 0 else ((0, 0),) * 3)
    return Course(
        tuple(range(height * wide)),
        tuple(range(0, height * wide + 1, wide)),
        tuple(hops),
        tuple(starts),
        memory=1,
    )


@functools.lru_cache(maxsize=64)
def by_diagonals(height: int, wide: int) -> Course:
    """Return the course of a Diagonal LSTM from the upper left corner: one diagonal per step; the neighbours
    are the cells to the left and above.
    """
    steps = height + wide - 1
    # the uppermost row of each diagonal; its cells are in the order of rows
    tops = [max(0, step - wide + 1) for step in range(steps)]
    ends = [min(height, step + 1) for step in range(steps)]
    edges = [0]
    for top, end in zip(tops, ends, strict=True):
        edges.append(edges[-1] + end - top)
    order = [row * wide + step - row for step in range(steps) for row in range(tops[step], ends[step])]
    hops: list[tuple[tuple[int, int, int], ...]] = []
    starts = []
    for step in range(steps):
        first, last = edges[step], edges[step + 1]
        starts.append(
            ((last - 1, last) if step < height else (0, 0), (first, first + 1) if step < wide else (0, 0))
        )
        if step + 1 == steps:
            hops.append(())
            continue
        leaves = tops[step + 1] - tops[step]  # whether the uppermost cell was the last of its row
        bottom = last - (1 if ends[step] == height else 0)  # the cell of the last row has nothing below it
        hops.append(((first + leaves, last, last), (first, bottom, last + 1 - leaves)))
    return Course(tuple(order), tuple(edges), tuple(hops), tuple(starts), memory=0)


class Scan(torch.autograd.Function):
    """`scan`, with the backward pass through time written out."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any, z: Tensor, weights: Tensor, start: Tensor, memory: Tensor, course: Course, n: int
    ) -> Tensor:
        """Return the states, as `scan` does."""
        width = memory.shape[1]
        read, kept = _initial(z, start, memory, course, n)
        gates = torch.empty_like(z, dtype=kept.dtype)
        shown = torch.empty_like(kept)
        states = torch.empty_like(kept)
        for step, hops in enumerate(course.hops):
            here = slice(course.edges[step] * n, course.edges[step + 1] * n)
            o, f, i, g = _opened(gates[..., here].copy_(z[..., here]).baddbmm_(weights, read[..., here]))
            c = torch.addcmul(f * kept[..., here], i, g)
            h = torch.mul(o, tanh_(shown[..., here].copy_(c)), out=states[..., here])
            base = here.start
            for k, (first, last, to) in enumerate(hops):
                moved = slice(first * n - base, last * n - base)
                target = slice(to * n, (to + last - first) * n)
                read[:, k * width : (k + 1) * width, target] = h[..., moved]
                if k == course.memory:
                    kept[..., target] = c[..., moved]
        ctx.save_for_backward(weights, gates, shown, read, kept)
        ctx.course, ctx.n, ctx.dtype = course, n, z.dtype
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grown: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of z, the weights, the initial states and the initial memory."""
        weights, gates, shown, read, kept = ctx.saved_tensors
        course, n, width = ctx.course, ctx.n, kept.shape[1]
        dstates = grown.clone(memory_format=torch.contiguous_format)
        later = torch.zeros_like(kept)
        slopes = torch.empty_like(gates)
        dstart = kept.new_zeros(len(kept), course.neighbours, width)
        dmemory = kept.new_zeros(len(kept), width)
        back = weights.transpose(1, 2)
        for step in reversed(range(len(course.hops))):
            here = slice(course.edges[step] * n, course.edges[step + 1] * n)
            opened, d = gates[..., here], slopes[..., here]
            dkept = _cell_backward(
                dstates[..., here], later[..., here], opened, shown[..., here], kept[..., here], d
            )
            dread = torch.bmm(back, d)
            base = here.start
            for k, (first, last, to) in enumerate(course.hops[step - 1] if step else ()):
                moved = slice(to * n - base, (to + last - first) * n - base)
                target = slice(first * n, last * n)
                dstates[..., target] += dread[:, k * width : (k + 1) * width, moved]
                if k == course.memory:
                    later[..., target] = dkept[..., moved]
            for k, (first, last) in enumerate(course.starts[step]):
                if first >= last:
                    continue
                begun = slice(first * n - base, last * n - base)
                dstart[:, k] += dread[:, k * width : (k + 1) * width, begun].sum(2)
                if k == course.memory:
                    dmemory += dkept[..., begun].sum(2)
        return slopes.to(ctx.dtype), torch.bmm(slopes, read.transpose(1, 2)), dstart, dmemory, None, None


def _initial(z: Tensor, start: Tensor, memory: Tensor, course: Course, n: int) -> tuple[Tensor, Tensor]:
    """Return the buffers of what each cell reads (D, K · h, cells · n) and of the memory that it continues
    (D, h, cells · n): learned initial states filled in, the rest zero.
    """
    (directions, width), cells = memory.shape, z.shape[2]
    read = memory.new_zeros(directions, course.neighbours * width, cells)
    kept = memory.new_zeros(directions, width, cells)
    for step in course.starts:
        for k, (first, last) in enumerate(step):
            begun = slice(first * n, last * n)
            read[:, k * width : (k + 1) * width, begun] = start[:, k, :, None]
            if k == course.memory:
                kept[..., begun] = memory[:, :, None]
    return read, kept


def _opened(gates: Tensor) -> tuple[Tensor, ...]:
    """Apply the activations to gates (D, 4h, M) in place; return o, f, i and g."""
    width = gates.shape[1] // 4
    gates[:, 3 * width :].mul_(2)
    gates.sigmoid_()[:, 3 * width :].mul_(2).sub_(1)  # g = tanh, computed as in `tanh_`
    return tuple(gates.split(width, 1))


def _cell_backward(
    dh: Tensor, later: Tensor, opened: Tensor, shown: Tensor, kept: Tensor, slopes: Tensor
) -> Tensor:
    """Write the gradient of the gates before their activations into `slopes` (D, 4h, M); return that of the
    memory before, (D, h, M).

    `dh` and `later` are the gradients of the state and, from the next cell, of the memory.
    """
    width = kept.shape[1]
    o, f, i, g = opened.split(width, 1)
    dc = torch.ops.aten.tanh_backward(dh * o, shown).add_(later)
    torch.mul(dh, shown, out=slopes[:, :width])
    torch.mul(dc, kept, out=slopes[:, width : 2 * width])
    torch.mul(dc, g, out=slopes[:, 2 * width : 3 * width])
    torch.mul(dc, i, out=slopes[:, 3 * width :])
    switches, content = slopes[:, : 3 * width], slopes[:, 3 * width :]
    torch.ops.aten.sigmoid_backward.grad_input(switches, opened[:, : 3 * width], grad_input=switches)
    torch.ops.aten.tanh_backward.grad_input(content, g, grad_input=content)
    dkept: Tensor = dc.mul_(f)
    return dkept


def scan(z: Tensor, weights: Tensor, start: Tensor, memory: Tensor, course: Course, n: int) -> Tensor:
    """Return the states (D, h, cells · n) of a recurrence along `course`, for D directions and n images at
    once.

    Args:
        z: input-to-state gates (D, 4h, cells · n), cells in the order of the course, images within a cell;
            may be in half precision.
        weights: state-to-state, (K, D, h, 4h), one matrix per neighbour.
        start: initial states (D, K, h), read where a neighbour is outside the map, before the first cell.
        memory: initial memory (D, h).
        course: which cells a step visits and what they read.
        n: images.
    """
    stacked = weights.permute(1, 3, 0, 2).flatten(2)  # (D, 4h, K · h)
    states: Tensor = Scan.apply(z, stacked, start, memory, course, n)  # type: ignore[no-untyped-call]
    return states
