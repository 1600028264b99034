"""The classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545): can samples be told from real
images?

A classifier is fitted on half of each side and asked about the other half. If both sides are drawn from one
distribution, nothing can do better than chance, 50 %. The classifier is the linear probe of the features: it
has no seed, so that two models are compared and not two trainings.

The standard error is that of other images and of other halves. The test is repeated by five divisions in
halves, each half learned from in its turn. Two such numbers share half of the images asked about or less, so
their variance is at least half of the whole: it is counted twice, and the error is too large rather than too
small (by up to a quarter where it is known). It is never below that of so many coins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import Estimate
from genzoo.evaluation.probe import fit_probe_in_place
from genzoo.evaluation.standard_errors import Blocks, count_blocks, groups
from genzoo.process import neutral
from genzoo.rng import Rng, mix
from genzoo.sharing import each

FEWEST = 4  # rows on a side: two to learn from, two to be asked about
# of the probe for each row that it learns from: its optimum is then found in tens of steps, and less is
# learned by heart
PENALTY = 1e-3
CHUNK = 4096  # rows that are copied at a time
DIVISIONS = 5  # in halves; the first one gives the value, all of them its standard error


@neutral()
def two_sample(x: Tensor, y: Tensor, x_blocks: Blocks = None, y_blocks: Blocks = None) -> Estimate:
    """Return how often a linear classifier of features x (N, F) and y (N, F) is right about the half it has
    not seen: 0.5 is ideal.

    Below 0.5 is chance. The first half of the rows of each side is learned from: let their order be random.
    Where `x_blocks` (N,) or `y_blocks` (N,) say which rows belong together, no block is torn apart: who was
    learned from is not asked about.

    Raises:
        ArgumentError: different widths or numbers of rows, fewer than 4, or values that are not finite.
    """
    if x.shape != y.shape or len(x) < FEWEST:
        came = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ArgumentError(
            f"the two-sample test needs two sets of features (N, F) of the same shape, N at least {FEWEST}, "
            f"not {came}"
        )
    # one block cannot be divided
    known = [None if count_blocks(blocks) == 1 else blocks for blocks in (x_blocks, y_blocks)]

    def asked(piece: tuple[int, bool]) -> Tensor:
        number, swapped = piece
        learned = [_first_half(len(x), blocks, number, side) ^ swapped for side, blocks in enumerate(known)]
        return torch.tensor(_accuracy(x, y, *learned), dtype=torch.float64)

    pieces = [(number, swapped) for number in range(DIVISIONS) for swapped in (False, True)]
    found = [float(share) for share in each(pieces, asked)]
    right = found[0]
    if known != [x_blocks, y_blocks]:
        return Estimate(right, None)
    coins = math.sqrt(right * (1 - right) / (2 * (len(x) - len(x) // 2)))
    return Estimate(right, max(coins, math.sqrt(2) * float(torch.tensor(found, dtype=torch.float64).std())))


def _first_half(count: int, blocks: Blocks, number: int, side: int) -> Tensor:
    """Return which of `count` rows one of two halves has, (count,) bool; the first of divisions goes by the
    order of the rows.
    """
    order = (
        Rng(mix("two-sample", number, side), 0, 1).uniform(count)[0].argsort(stable=True)
        if number
        else torch.arange(count)
    )
    if blocks is not None:
        return groups(count, blocks, 2, order) == 0
    half = torch.zeros(count, dtype=torch.bool)
    half[order[: count // 2]] = True
    return half


def _accuracy(x: Tensor, y: Tensor, x_half: Tensor, y_half: Tensor) -> float:
    """Return how often a probe fitted to one half is right about the rows of the other, the mean of both
    sides.
    """
    sides = torch.arange(2).repeat_interleave(torch.stack([x_half.sum(), y_half.sum()]))
    probe = fit_probe_in_place(_learned(x, y, x_half, y_half), sides, PENALTY * len(sides))
    shares = [
        (probe.predict(rows) == side).double().mean() for side, rows in enumerate((x[~x_half], y[~y_half]))
    ]
    return float(sum(shares)) / 2


def _learned(x: Tensor, y: Tensor, x_half: Tensor, y_half: Tensor) -> Tensor:
    """Return the rows of one half of each side, (n + m, F) float64: gigabytes, which are copied once."""
    found = torch.empty(int(x_half.sum() + y_half.sum()), x.shape[1], dtype=torch.float64)
    start = 0
    for rows, half in ((x, x_half), (y, y_half)):
        for places in half.nonzero()[:, 0].split(CHUNK):
            found[start : start + len(places)] = rows[places]
            start += len(places)
    return found
