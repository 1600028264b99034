"""Standard errors of means and other estimates if images are not independent.

The frames of a film resemble their neighbours, and several photographs show one person: twenty-five such
frames carry hardly more information than one. A set says which of its images belong together
(`Images.blocks`). Blocks are treated as independent draws; images within a block are not.

The errors describe drawing another data set, block by block. With few blocks (Frey's test frames are eight)
they are themselves uncertain: multiply by a quantile of Student's t with blocks - 1 degrees of freedom for an
interval.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor

# (n,) int64, equal numbers for images that belong together; None: all are independent
Blocks: TypeAlias = "Tensor | None"


def count_blocks(blocks: Blocks) -> int | None:
    """Return the number of blocks, or None if images are independent."""
    return None if blocks is None else len(blocks.unique())


def mean_error(values: Tensor, blocks: Blocks = None) -> float | None:
    """Return the standard error of the mean of `values` (n,); None for one value or one block, which says
    nothing about the spread.

    The cluster-robust error (Liang & Zeger 1986): squared sums of the deviations within blocks, times G / (G
    - 1) for G blocks. For blocks of one image it is the usual standard error.
    """
    if len(values) < 2 or count_blocks(blocks) == 1:
        return None
    if blocks is None:
        return float(values.std()) / math.sqrt(len(values))
    sums = block_sums(values.double() - values.double().mean(), blocks)
    return float((len(sums) / (len(sums) - 1) * sums.square().sum()).sqrt()) / len(values)


def block_sums(values: Tensor, blocks: Tensor) -> Tensor:
    """Return the sums of `values` (n,) over each block: (G,) float64, in the order of the blocks' numbers."""
    places = blocks.unique(return_inverse=True)[1]
    return torch.zeros(int(places.max()) + 1, dtype=torch.float64).index_add_(0, places, values.double())


def pair_error(values: Tensor, sides: tuple[Tensor, Tensor] | None = None) -> float:
    """Return the standard error of the mean of `values` (n,), each of a pair of images whose blocks are
    `sides`, (n,) and (n,).

    Pairs that share a block are dependent (the dyadic error of Fafchamps & Gubert 2007); never below the
    error of independent pairs.
    """
    plain = float(values.std()) / math.sqrt(len(values))
    if sides is None:
        return plain
    first, second = sides
    total = 0.0
    deviations = values.double() - values.double().mean()
    for row, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        shared = (first == a) | (first == b) | (second == a) | (second == b)  # (n,)
        total += float(deviations[row] * deviations[shared].sum())
    return max(plain, math.sqrt(max(total, 0.0)) / len(values))


def groups(count: int, blocks: Blocks, parts: int, order: Tensor) -> Tensor:
    """Return a number below `parts` for each of `count` images, (count,): groups of nearly equal size that
    tear no block apart.

    `order` (count,) is the order in which images, or the blocks that they belong to, are dealt out: for equal
    groups a random one.
    """
    if blocks is None:
        found = torch.empty(count, dtype=torch.int64)
        found[order] = torch.arange(count) * parts // count
        return found
    found = torch.full((count,), -1, dtype=torch.int64)
    done = 0
    for image in order.tolist():
        if found[image] < 0:
            whole = blocks == blocks[image]
            found[whole] = min(parts - 1, (done + int(whole.sum()) // 2) * parts // count)
            done += int(whole.sum())
    return found
