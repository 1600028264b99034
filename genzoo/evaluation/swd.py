"""Sliced Wasserstein distance between the patches of two sets of images, scale by scale (Karras et al. 2018,
section 5).

From every level of a Laplacian pyramid (full size, half, ... while the shorter side is at least 16 pixels; a
smaller image has one level) 7x7 patches are taken at random places, 128 per image (fewer beyond 2,048 images,
so that a level has at most 262,144). Each set's patches are normalised per channel to mean 0 and deviation 1
and projected on 512 random directions; the distance is the mean over directions of the mean difference of
sorted projections. As in the paper's tables it is given times 1,000.

Places and directions are a function of the seed, and places are the same in both sets, so equal sets are at
distance 0 exactly.

The standard error covers other images, places and directions. For images and places it is the jackknife over
ten groups of images, of both sides at once and without tearing blocks apart, by the first 64 directions; for
directions, their spread. It does not cover the bias: the distance of two sets of one distribution is above 0
and falls as n grows, which is what the floor is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.distances import Estimate
from genzoo.evaluation.inputs import as_pixels, check_alike
from genzoo.evaluation.standard_errors import Blocks, count_blocks, groups
from genzoo.process import neutral
from genzoo.rng import Rng, mix
from genzoo.sharing import each

Rows: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"

PATCH, PER_IMAGE, MOST_PATCHES = 7, 128, 2**18
COARSEST = 16  # pixels on the shorter side
DIRECTIONS, BATCH = 512, 64  # directions in all, and at a time
CHUNK = 32  # images at a time: they fit in the processor's cache
GROUPS = 10  # of images, for the standard error
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def patches_per_image(n: int) -> int:
    """Return how many patches are taken from each of `n` images."""
    return max(1, min(PER_IMAGE, MOST_PATCHES // n))


def levels(height: int, width: int) -> list[int]:
    """Return the shorter side of every level of the pyramid of an image, from the full size down."""
    sides = [min(height, width)]
    while (sides[-1] + 1) // 2 >= COARSEST:
        sides.append((sides[-1] + 1) // 2)
    return sides


class Sliced(NamedTuple):
    """1,000 times the sliced Wasserstein distance: the mean of the levels, and {shorter side of a level: its
    own}.
    """

    mean: Estimate
    levels: dict[int, Estimate]


class _Level(NamedTuple):
    """Distances at one level: (512,) one for each direction, and (G,) without one group of images each;
    float64.
    """

    distances: Tensor
    without: Tensor


@neutral()
def swd(x: object, y: object, seed: int = 0, x_blocks: Blocks = None, y_blocks: Blocks = None) -> Sliced:
    """Return the distance of two sets of equally many images (N, C, H, W); blocks (N,) say which images of a
    set belong together.

    Raises:
        ArgumentError: images that `as_pixels` refuses, of two shapes, or not equally many.
    """
    first, second = as_pixels(x, "x"), as_pixels(y, "y")
    check_alike(first, second, "x", "y")
    return swd_many([first], second, seed, [x_blocks, y_blocks])[0]


@neutral()
def swd_many(
    sets: Sequence[Tensor], reference: Tensor, seed: int = 0, blocks: Sequence[Blocks] = ()
) -> list[Sliced]:
    """Return `swd(x, reference, seed)` for each x of `sets`; the reference is described only once. All uint8
    (N, C, H, W).

    `blocks` are those of each set, and of the reference at the end; none are given where all images are
    independent.
    """
    if any(len(x) != len(reference) for x in sets):
        counts = ", ".join(f"{len(x):,}" for x in [*sets, reference])
        raise ArgumentError(
            f"the sliced Wasserstein distance needs equally many images on both sides, not {counts}",
            "cut the larger set",
        )
    dealt = _groups(len(reference), list(blocks) or [None] * (len(sets) + 1), seed)
    sides = levels(*reference.shape[2:])
    found = _measure(_Patches([*sets, reference], dealt, seed), len(sides), seed)
    return [_summary(dict(zip(sides, own, strict=True))) for own in zip(*found, strict=True)]


def _groups(count: int, blocks: list[Blocks], seed: int) -> list[Tensor]:
    """Return the group of every image of every set, (N,) each: equal sets are dealt out equally."""
    parts = min(GROUPS, count, *(found for found in map(count_blocks, blocks) if found is not None))
    order = Rng(mix("swd", "groups", seed), 0, 1).uniform(count)[0].argsort(stable=True)
    return [groups(count, own, parts, order) for own in blocks]


def _summary(found: dict[int, _Level]) -> Sliced:
    values = {side: 1000 * float(level.distances.mean()) for side, level in found.items()}
    own = {side: Estimate(values[side], _error([level])) for side, level in found.items()}
    return Sliced(Estimate(sum(values.values()) / len(values), _error(list(found.values()))), own)


def _error(found: list[_Level]) -> float | None:
    """Return the standard error of the mean of levels, whose groups are the same images."""
    parts = len(found[0].without)
    if parts < 2:
        return None
    without = torch.stack([level.without for level in found]).mean(0)  # (G,)
    images = (parts - 1) ** 2 / parts * without.var()
    directions = sum((level.distances.var() for level in found), torch.zeros(())) / (
        DIRECTIONS * len(found) ** 2
    )
    return 1000 * float((images + directions).sqrt())


class _Patches:
    """The normalised patches of several sets of images, of the groups `dealt`: those of the level that was
    asked for last are kept.
    """

    def __init__(self, images: Sequence[Tensor], dealt: Sequence[Tensor], seed: int) -> None:
        self.channels = images[0].shape[1]
        groups_in_all = 1 + max(int(own.max()) for own in dealt)
        self.parts = groups_in_all if groups_in_all > 1 else 0  # groups that can be left out
        self._images, self._dealt, self._seed = images, dealt, seed
        self._level = -1
        self._cut: list[Tensor] = []  # (N, P, C, 49) each
        self._whole: list[Tensor] = []  # (N P, C 49) each

    def rows(self, level: int, part: int | None) -> list[Tensor]:
        """Return the rows of each set at a level, without the images of the group `part`."""
        if level != self._level:
            self._cut, self._whole = [], []  # before the next are in memory
            self._cut = [_patches(x, level, self._seed) for x in self._images]
            self._level = level
        if part is not None:
            return [_normalised(x[own != part]) for x, own in zip(self._cut, self._dealt, strict=True)]
        self._whole = self._whole or list(map(_normalised, self._cut))
        return self._whole


def _measure(patches: _Patches, count: int, seed: int) -> list[list[_Level]]:
    """Return for each of `count` levels the distances of all sets but the last to the last.

    A process does pieces that follow each other, and so makes the patches of as few levels as possible.
    """
    directions = [
        _directions(mix("swd", "directions", seed, level), patches.channels) for level in range(count)
    ]
    pieces = [(level, *piece) for level in range(count) for piece in _pieces(patches.parts)]

    def along(piece: tuple[int, int | None, int]) -> Tensor:
        level, part, first = piece
        return _distances(patches.rows(level, part), directions[level][first : first + BATCH])

    found: list[tuple[list[Tensor], list[Tensor]]] = [([], []) for _ in range(count)]
    for (level, part, _), distances in zip(pieces, each(pieces, along, in_runs=True), strict=True):
        found[level][part is not None].append(distances)  # (S, 64)
    return [_levels(*own) for own in found]


def _directions(seed: int, channels: int) -> Tensor:
    """Return random directions (512, C 49) of length 1."""
    directions = Rng(seed, 0, DIRECTIONS).normal(channels * PATCH**2)
    directions /= directions.norm(dim=1, keepdim=True)
    return directions


def _pieces(parts: int) -> list[tuple[int | None, int]]:
    """Return the pieces of a level, (group that is left out, first direction).

    Both kinds, with all images and without a group, take another time; they are mixed evenly, so that
    processes with equally many pieces have equally much to do.
    """
    whole: list[tuple[int | None, int]] = [(None, first) for first in range(0, DIRECTIONS, BATCH)]
    left: list[tuple[int | None, int]] = [(part, 0) for part in range(parts)]
    places = [(2 * place + 1) / len(kind) for kind in (whole, left) for place in range(len(kind))]
    return [piece for _, piece in sorted(zip(places, [*whole, *left], strict=True), key=lambda pair: pair[0])]


def _levels(whole: list[Tensor], left: list[Tensor]) -> list[_Level]:
    """Return the level of each set, of its distances (S, 64) along all directions, a batch at a time, and
    without each of the groups.
    """
    distances = torch.cat(whole, 1)  # (S, 512)
    without = torch.stack([own.mean(1) for own in left], 1) if left else None  # (S, G)
    return [
        _Level(own, own.new_zeros(0) if without is None else without[place])
        for place, own in enumerate(distances)
    ]


def _distances(rows: list[Tensor], directions: Tensor) -> Tensor:
    """Return for all but the last of the sets `rows`, normalised patches (N P, C 49) each, the distance to
    the last along each of `directions` (D, C 49): (S, D) float64.
    """
    *sets, reference = rows
    target = _sorted(directions @ reference.T)  # (D, patches)
    found = []
    for own in sets:
        values = _sorted(directions @ own.T)
        # blocks may have left one side more images than the other
        fewer = min(values.shape[1], target.shape[1])
        found.append(np.abs(_at(values, fewer) - _at(target, fewer)).mean(axis=1, dtype=np.float64))
    return torch.from_numpy(np.stack(found))


def _at(values: Rows, count: int) -> Rows:
    """Return `count` evenly spread quantiles of sorted `values` (D, n): themselves where they are as many."""
    places = (2 * np.arange(count) + 1) * values.shape[1] // (2 * count)
    return values if count == values.shape[1] else values[:, places]


def _sorted(projections: Tensor) -> Rows:
    rows: Rows = projections.numpy()
    rows.sort(axis=1)  # several times as fast as torch.sort on one core
    return rows


@torch.no_grad()
def _patches(images: Tensor, level: int, seed: int) -> Tensor:
    """Return the patches (N, P, C, 49) float32 of one level of the pyramids of `images`."""
    per_image = patches_per_image(len(images))
    # (N, P, 2) in (0, 1)
    places = Rng(mix("swd", "places", seed, level), 0, 1).uniform(len(images), per_image, 2)[0]
    parts = []
    for chunk, place in zip(torch.split(images, CHUNK), torch.split(places, CHUNK), strict=True):
        parts.append(_cut(_pyramid_level(chunk.float(), level), place))
    patches = torch.cat(parts)  # (N * P, C, 49)
    return patches.view(len(images), per_image, *patches.shape[1:])


def _normalised(patches: Tensor) -> Tensor:
    """Return patches (N, P, C, 49) as rows (N * P, C * 49), of mean 0 and deviation 1 per channel."""
    rows = patches.flatten(0, 1)
    deviation, mean = torch.std_mean(rows, dim=(0, 2), keepdim=True, correction=0)
    normalised: Tensor = rows.sub(mean).div_(deviation.clamp_min(1e-6))
    return normalised.flatten(1)


def _cut(x: Tensor, places: Tensor) -> Tensor:
    """Return the patches (B * P, C, 49) of images (B, C, H, W) whose corners lie at `places` (B, P, 2),
    shares of the room there is.
    """
    channels, height, width = x.shape[1:]
    room = torch.tensor([height - PATCH + 1, width - PATCH + 1])
    corners = places.mul(room).long()  # (B, P, 2)
    steps = torch.arange(PATCH)
    inside = (torch.arange(channels)[:, None, None] * height + steps[:, None]) * width + steps  # (C, 7, 7)
    where = (corners[..., 0] * width + corners[..., 1])[..., None] + inside.flatten()  # (B, P, C * 49)
    return x.flatten(1).gather(1, where.flatten(1)).view(-1, channels, PATCH**2)


def _pyramid_level(x: Tensor, level: int) -> Tensor:
    """Return one level of the Laplacian pyramids of images (B, C, H, W): a band of detail, or the small image
    at the coarsest.
    """
    for _ in range(level):
        x = _smooth(x)[:, :, ::2, ::2]
    if (min(x.shape[2:]) + 1) // 2 < COARSEST:
        return x
    up = torch.zeros_like(x)
    up[:, :, ::2, ::2] = _smooth(x)[:, :, ::2, ::2]
    return x - 4 * _smooth(up)


def _smooth(x: Tensor) -> Tensor:
    """Return images (B, C, H, W) after the binomial filter 1 4 6 4 1 along both axes, mirrored at the
    borders.
    """
    for axis, padding in ((2, (0, 0, 2, 2)), (3, (2, 2, 0, 0))):
        padded = F.pad(x, padding, mode="reflect")
        # Shifted copies are ten times as fast as a convolution of single channels here.
        shifted = [padded.narrow(axis, shift, x.shape[axis]) for shift in range(len(BINOMIAL))]
        x = shifted[0] * BINOMIAL[0]
        weighted = torch.empty_like(x)
        for weight, values in zip(BINOMIAL[1:], shifted[1:], strict=True):
            x += torch.mul(values, weight, out=weighted)
    return x
