"""Sliced Wasserstein distance between the patches of two sets of images, scale by scale (Karras et al. 2018, section 5).

From every level of a Laplacian pyramid (full size, half, ... while the shorter side is at least 16 pixels; a smaller image has
one level) 7x7 patches are taken at random places, 128 per image (fewer beyond 2,048 images, so that a level has at most 262,144).
Each set's patches are normalised per channel to mean 0 and deviation 1 and projected on 512 random directions; the distance is
the mean over directions of the mean difference of sorted projections. As in the paper's tables it is given times 1,000.

Places and directions are a function of the seed, and places are the same in both sets, so equal sets are at distance 0 exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation.inputs import as_pixels, check_alike
from genzoo.noise import Draws, mix
from genzoo.process import neutral

PATCH, PER_IMAGE, MOST_PATCHES = 7, 128, 2**18
COARSEST = 16  # pixels on the shorter side
DIRECTIONS, BATCH = 512, 64  # directions in all, and at a time
CHUNK = 128  # images at a time
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


@neutral()
def swd(x: object, y: object, seed: int = 0) -> dict[int, float]:
    """Return {shorter side of the level: 1,000 times the distance} of two sets of equally many images (N, C, H, W).

    Raises:
        ArgumentError: images that `as_pixels` refuses, of two shapes, or not equally many.
    """
    first, second = as_pixels(x, "x"), as_pixels(y, "y")
    check_alike(first, second, "x", "y")
    return swd_many([first], second, seed)[0]


@neutral()
def swd_many(sets: Sequence[Tensor], reference: Tensor, seed: int = 0) -> list[dict[int, float]]:
    """Return `swd(x, reference, seed)` for each x of `sets`; the reference is described only once. All uint8 (N, C, H, W)."""
    if any(len(x) != len(reference) for x in sets):
        counts = ", ".join(f"{len(x):,}" for x in [*sets, reference])
        raise ArgumentError(f"the sliced Wasserstein distance compares equally many images, not {counts}", "cut the larger set")
    results: list[dict[int, float]] = [{} for _ in sets]
    for level, side in enumerate(levels(*reference.shape[2:])):
        patches = [_patches(x, level, seed) for x in [*sets, reference]]
        for result, distance in zip(results, _distances(patches[:-1], patches[-1], mix("swd", "directions", seed, level)), strict=True):
            result[side] = 1000 * distance
    return results


def _distances(sets: list[Tensor], reference: Tensor, seed: int) -> list[float]:
    directions = Draws(seed, 0, DIRECTIONS).normal(reference.shape[1])
    directions /= directions.norm(dim=1, keepdim=True)
    totals = [0.0] * len(sets)
    for some in torch.split(directions, BATCH):
        target = _sorted(some @ reference.T)  # (64, patches)
        for index, patches in enumerate(sets):
            totals[index] += float(np.abs(_sorted(some @ patches.T) - target).mean(dtype=np.float64)) * len(some) / DIRECTIONS
    return totals


def _sorted(projections: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = projections.numpy()
    rows.sort(axis=1)  # several times as fast as torch.sort on one core
    return rows


@torch.no_grad()
def _patches(images: Tensor, level: int, seed: int) -> Tensor:
    """Return the normalised patches (N * P, C * 49) float32 of one level of the pyramids of `images`."""
    per_image = patches_per_image(len(images))
    places = Draws(mix("swd", "places", seed, level), 0, 1).uniform(len(images), per_image, 2)[0]  # (N, P, 2) in (0, 1)
    parts = []
    for chunk, place in zip(torch.split(images, CHUNK), torch.split(places, CHUNK), strict=True):
        parts.append(_cut(_pyramid_level(chunk.float(), level), place))
    patches = torch.cat(parts)  # (N * P, C, 49)
    deviation, mean = torch.std_mean(patches, dim=(0, 2), keepdim=True, correction=0)
    return patches.sub_(mean).div_(deviation.clamp_min(1e-6)).flatten(1)


def _cut(x: Tensor, places: Tensor) -> Tensor:
    """Return the patches (B * P, C, 49) of images (B, C, H, W) whose corners lie at `places` (B, P, 2), shares of the room there is."""
    channels, height, width = x.shape[1:]
    room = torch.tensor([height - PATCH + 1, width - PATCH + 1])
    corners = places.mul(room).long()  # (B, P, 2)
    steps = torch.arange(PATCH)
    inside = (torch.arange(channels)[:, None, None] * height + steps[:, None]) * width + steps  # (C, 7, 7)
    where = (corners[..., 0] * width + corners[..., 1])[..., None] + inside.flatten()  # (B, P, C * 49)
    return x.flatten(1).gather(1, where.flatten(1)).view(-1, channels, PATCH**2)


def _pyramid_level(x: Tensor, level: int) -> Tensor:
    """Return one level of the Laplacian pyramids of images (B, C, H, W): a band of detail, or the small image at the coarsest."""
    for _ in range(level):
        x = _smooth(x)[:, :, ::2, ::2]
    if (min(x.shape[2:]) + 1) // 2 < COARSEST:
        return x
    up = torch.zeros_like(x)
    up[:, :, ::2, ::2] = _smooth(x)[:, :, ::2, ::2]
    return x - 4 * _smooth(up)


def _smooth(x: Tensor) -> Tensor:
    """Return images (B, C, H, W) after the binomial filter 1 4 6 4 1 along both axes, mirrored at the borders."""
    for axis, padding in ((2, (0, 0, 2, 2)), (3, (2, 2, 0, 0))):
        padded = F.pad(x, padding, mode="reflect")
        # Shifted copies are ten times as fast as a convolution of single channels here.
        x = sum((weight * padded.narrow(axis, shift, x.shape[axis]) for shift, weight in enumerate(BINOMIAL)), torch.zeros_like(x))
    return x
