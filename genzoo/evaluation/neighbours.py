"""The nearest training images of samples: has the model learned or copied?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import squared_distances
from genzoo.evaluation.gist import gist, standardise
from genzoo.evaluation.inputs import Progress, as_pixels, check_alike

SPACES = ("pixels", "features")
CHUNK = 512  # training images at a time


class Neighbours(NamedTuple):
    """For each sample its nearest training images, nearest first."""

    indices: Tensor  # (N, k) int64
    distances: Tensor  # (N, k) float64, Euclidean


def nearest_images(samples: object, train: object, k: int = 1, space: str = "pixels", progress: Progress | None = None) -> Neighbours:
    """Return the `k` nearest of `train` (M, C, H, W) to each of `samples` (N, C, H, W), both uint8 or float in [0, 1].

    Args:
        samples: the images asked about.
        train: where to look.
        k: how many neighbours, 1 to M.
        space: "pixels", the L2 distance of values in [0, 1] over all channels, or "features", that of GIST descriptors
            standardised by `train`, which forgives a shifted or brighter copy.
        progress: told (what, done, total).

    Raises:
        ArgumentError: images refused by `as_pixels`, of two shapes, k out of range, or another space.
    """
    queries, pool = as_pixels(samples, "samples"), as_pixels(train, "train")
    check_alike(queries, pool, "samples", "train")
    if space not in SPACES:
        raise ArgumentError(f"space must be one of {', '.join(SPACES)}, not {space!r}")
    if space == "features":
        described = gist(pool, progress)
        return nearest(standardise(gist(queries), described), standardise(described, described), k)
    return nearest(queries.flatten(1), pool.flatten(1), k, scale=1 / 255)


def nearest(x: Tensor, pool: Tensor, k: int = 1, scale: float = 1.0) -> Neighbours:
    """Return the `k` rows of `pool` (M, F) nearest to each row of `x` (N, F); values count `scale` times. Ties: lower index first.

    `pool` is widened to float64 only 512 rows at a time.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(pool):
        raise ArgumentError(f"k must be a whole number from 1 to {len(pool)}, the number of training images, not {k!r}")
    queries = x.double() * scale  # (N, F)
    best, indices = queries.new_empty(len(x), 0), torch.empty(len(x), 0, dtype=torch.int64)
    for start in range(0, len(pool), CHUNK):
        distance = squared_distances(queries, pool[start : start + CHUNK].double() * scale)  # (N, B)
        number = torch.arange(start, start + distance.shape[1]).expand(len(x), -1)
        best, indices = torch.cat([best, distance], 1), torch.cat([indices, number], 1)
        best, order = best.sort(dim=1, stable=True)
        best, indices = best[:, :k], indices.gather(1, order)[:, :k]
    return Neighbours(indices, _exact(queries, pool, indices, scale))


def _exact(queries: Tensor, pool: Tensor, indices: Tensor, scale: float) -> Tensor:
    """Return the distances (N, k) of the found rows without the cancellation of the matrix product: a copy is at 0 exactly."""
    rows = [(pool[found].double() * scale - query).norm(dim=1) for query, found in zip(queries, indices, strict=True)]
    return torch.stack(rows)
