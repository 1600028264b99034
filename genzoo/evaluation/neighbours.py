"""The nearest training images of samples: has the model learned or copied?"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import squared_distances
from genzoo.evaluation.gist import gist, standardise
from genzoo.evaluation.inputs import Progress, as_pixels, check_alike
from genzoo.process import neutral

SPACES = ("pixels", "features")
CHUNK = 512  # training images at a time
Describe: TypeAlias = Callable[[Tensor], Tensor]  # images (N, C, H, W) uint8 -> their features (N, F)


class Neighbours(NamedTuple):
    """For each sample its nearest training images, nearest first."""

    indices: Tensor  # (N, k) int64
    distances: Tensor  # (N, k) float64, Euclidean
    mirrored: Tensor  # (N, k) bool: the training image is this near when mirrored left to right


@neutral()
def nearest_images(
    samples: object,
    train: object,
    k: int = 1,
    space: str | Describe = "pixels",
    progress: Progress | None = None,
    mirrored: bool = False,
) -> Neighbours:
    """Return the `k` nearest of `train` (M, C, H, W) to each of `samples` (N, C, H, W), both uint8 or float
    in [0, 1].

    Args:
        samples: the query images.
        train: the images to search.
        k: how many neighbours, 1 to M.
        space: "pixels", the L2 distance of values in [0, 1] over all channels; "features", that of GIST
            descriptors standardised by `train`, which forgives a shifted or brighter copy; or a function that
            turns images into features of its own.
        progress: called with (what, done, total).
        mirrored: also search the mirror images, which a model trained with flips has seen.

    Raises:
        ArgumentError: images refused by `as_pixels`, of two shapes, k out of range, or another space.
    """
    queries, pool = as_pixels(samples, "samples"), as_pixels(train, "train")
    check_alike(queries, pool, "samples", "train")
    if not callable(space) and space not in SPACES:
        raise ArgumentError(f"space must be one of {', '.join(SPACES)}, not {space!r}")
    # A sample is as far from a mirrored image as the mirrored sample is from the image, and there are fewer
    # samples.
    asked = torch.cat([queries, queries.flip(3)]) if mirrored else queries
    if callable(space):
        found = nearest(space(asked), space(pool), k)
    elif space == "features":
        described = gist(pool, progress)
        found = nearest(standardise(gist(asked), described), standardise(described, described), k)
    else:
        found = nearest(asked.flatten(1), pool.flatten(1), k, scale=1 / 255)
    return _either_way(found, k) if mirrored else found


@neutral()
def nearest(x: Tensor, pool: Tensor, k: int = 1, scale: float = 1.0) -> Neighbours:
    """Return the `k` rows of `pool` (M, F) nearest to each row of `x` (N, F); values count `scale` times.
    Ties: lower index first.

    `pool` is widened to float64 only 512 rows at a time.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(pool):
        raise ArgumentError(
            f"k must be a whole number from 1 to {len(pool)}, the number of training images, not {k!r}"
        )
    queries = x.double() * scale  # (N, F)
    best, indices = queries.new_empty(len(x), 0), torch.empty(len(x), 0, dtype=torch.int64)
    for start in range(0, len(pool), CHUNK):
        distance = squared_distances(queries, pool[start : start + CHUNK].double() * scale)  # (N, B)
        number = torch.arange(start, start + distance.shape[1]).expand(len(x), -1)
        best, indices = torch.cat([best, distance], 1), torch.cat([indices, number], 1)
        best, order = best.sort(dim=1, stable=True)
        best, indices = best[:, :k], indices.gather(1, order)[:, :k]
    return Neighbours(
        indices, _exact(queries, pool, indices, scale), torch.zeros_like(indices, dtype=torch.bool)
    )


def _exact(queries: Tensor, pool: Tensor, indices: Tensor, scale: float) -> Tensor:
    """Return the distances (N, k) of the found rows without the cancellation of the matrix product: a copy is
    at 0 exactly.
    """
    rows = [
        (pool[found].double() * scale - query).norm(dim=1)
        for query, found in zip(queries, indices, strict=True)
    ]
    return torch.stack(rows)


def _either_way(found: Neighbours, k: int) -> Neighbours:
    """Return the `k` nearest of each sample from those of the samples and those of the mirrored samples below
    them, (2 N, k).
    """
    indices, distances = (torch.cat(part.chunk(2), dim=1) for part in found[:2])  # (N, 2 k)
    kept = []
    for row, order in zip(indices.tolist(), distances.argsort(dim=1, stable=True).tolist(), strict=True):
        nearer = {row[place]: place for place in reversed(order)}  # each image once
        kept.append(sorted(nearer.values(), key=order.index)[:k])
    places = torch.tensor(kept)  # (N, k)
    return Neighbours(indices.gather(1, places), distances.gather(1, places), places >= k)
