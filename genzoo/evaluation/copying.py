"""Detect copying: whether samples are nearer to the training images than held-out images are.

Value: the share of pairs (sample, held-out image) in which the sample is nearer to its nearest training
image, pixel by pixel (the statistic of Mann and Whitney, as in Meehan et al. 2020, "A non-parametric test to
detect data-copying"). New draws from the data's distribution reach 0.5; copies reach 1; images far from all
data reach 0. Its standard error is DeLong's (1988).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genzoo.evaluation.distances import Estimate
from genzoo.evaluation.inputs import ImageSet, Progress, count, counted, take
from genzoo.evaluation.standard_errors import Blocks, mean_error
from genzoo.images import to_float
from genzoo.process import neutral
from genzoo.sharing import each

CHUNK = 2048  # training images at a time


@neutral()
def nearest_distances(
    queries: Tensor, train: ImageSet, own: Tensor | None = None, progress: Progress | None = None
) -> Tensor:
    """Return the L2 distance (n,) float64 of `queries` (n, C, H, W) uint8 to the nearest of `train`, values
    counted in [0, 1].

    `own` (n,) gives for each query the index in `train` to exclude: its own if it is a training image, else
    -1.
    """
    x = to_float(queries).flatten(1)  # (n, D)
    total = count(train, "train")

    def near(start: int) -> Tensor:
        rows = torch.arange(start, min(start + CHUNK, total))
        y = to_float(take(train, rows, "train")).flatten(1)  # (B, D)
        distances = x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * x @ y.T  # (n, B)
        if own is not None:
            distances[own[:, None] == rows] = torch.inf
        nearest, index = distances.min(1)
        return torch.stack([nearest.double(), rows[index].double()])  # (2, n), both exact

    best = torch.full((len(x),), torch.inf, dtype=torch.float64)
    places = torch.zeros(len(x), dtype=torch.int64)
    for nearest, there in each(range(0, total, CHUNK), near, counted(progress, "neighbours", CHUNK, total)):
        places = torch.where(nearest < best, there.long(), places)
        best = torch.minimum(best, nearest)
    found = to_float(take(train, places, "train")).flatten(1)
    # without the rounding of the matrix product: a copy is at 0
    exact: Tensor = (found.double() - x.double()).norm(dim=1)
    return exact


@neutral()
def share_nearer(x: Tensor, y: Tensor, x_blocks: Blocks = None, y_blocks: Blocks = None) -> Estimate:
    """Return the share of pairs (x[i], y[j]) of distances x (n,) and y (m,) with x[i] < y[j], ties counting
    half; n and m at least 2.

    `x_blocks` (n,) and `y_blocks` (m,) say which distances belong together, for the standard error.
    """
    above = _share_above(x, y)  # (n,) for each x, the share of y that is larger
    below = 1 - _share_above(y, x)  # (m,) for each y, the share of x that is smaller
    errors = mean_error(above, x_blocks), mean_error(below, y_blocks)
    return Estimate(
        float(above.mean()), None if None in errors else math.hypot(*(error or 0.0 for error in errors))
    )


def _share_above(x: Tensor, y: Tensor) -> Tensor:
    ordered = y.sort().values
    larger, equal_or_larger = (len(y) - torch.searchsorted(ordered, x, right=side) for side in (True, False))
    return (larger + equal_or_larger).double() / (2 * len(y))
