"""The first steps of every measure: convert images to 8-bit pixels and choose a fixed subset."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.standard_errors import Blocks
from genzoo.images import Pixels, as_tensor, check_images, quantise
from genzoo.models.model import check_count
from genzoo.request import Progress as Progress
from genzoo.rng import Rng, check_seed, mix

ImageSet: TypeAlias = "Pixels | Images"

SMALLEST = 8  # pixels on the shorter side: below it neither patches nor a 4x4 grid make sense


def as_pixels(images: object, what: str = "images") -> Tensor:
    """Return `images` as uint8 (N, C, H, W) on the CPU; floats in [0, 1] are rounded to 8 bits, as a saved
    picture would be.

    Everything is measured on the CPU, whichever device generated the images, so the same images give the same
    numbers.

    Raises:
        ArgumentError: no images, another shape, dtype or range, or a side of fewer than 8 pixels.
    """
    tensor = as_tensor(images.pixels if isinstance(images, Images) else images, what)
    if tensor.dtype != torch.uint8 or tensor.ndim != 4:
        tensor = quantise(check_images(tensor, what=what))
    if len(tensor) == 0:
        raise ArgumentError(f"{what} must hold at least one image, not 0")
    if min(tensor.shape[2:]) < SMALLEST:
        raise ArgumentError(
            f"{what} must be at least {SMALLEST}x{SMALLEST} pixels, not {tensor.shape[2]}x{tensor.shape[3]}"
        )
    return tensor.cpu()


def check_alike(x: Tensor, y: Tensor, x_name: str, y_name: str) -> None:
    """Raise ArgumentError if the images of `x` and `y` differ in (C, H, W)."""
    if x.shape[1:] != y.shape[1:]:
        shapes = f"{x_name} have the shape {tuple(x.shape[1:])}, but {y_name} have {tuple(y.shape[1:])}"
        raise ArgumentError(shapes, "compare images of the same size and number of channels")


def subset(size: int, n: int, seed: int, role: str) -> Tensor:
    """Return `n` different indices below `size`, (n,) int64: the first n of an order that depends only on
    (size, seed, role).
    """
    order = (
        Rng(mix("evaluation", "subset", role, check_seed(seed)), 0, 1).uniform(size)[0].argsort(stable=True)
    )
    return order[:n]


def count(images: ImageSet, what: str) -> int:
    """Return how many images there are; nothing is copied."""
    shape = images.pixels.shape if isinstance(images, Images) else as_tensor(images, what).shape
    if len(shape) != 4:
        raise ArgumentError(f"{what} must have shape (N, C, H, W), not {tuple(shape)}")
    return int(shape[0])


def choose(size: int, n: int | None, seed: int, role: str) -> tuple[Tensor, str]:
    """Return the ascending indices of `n` of `size` images, and how they were chosen, for a record: "" if all
    are taken.

    All are taken if `n` is None or at least `size`; otherwise `subset` chooses.

    Raises:
        ArgumentError: n is not a whole number of at least 1.
    """
    if n is None or check_count(n) >= size:
        return torch.arange(size), ""
    return subset(size, n, seed, role).sort().values, f"images chosen by seed {seed}"


def blocks_of(images: ImageSet, rows: Tensor | None = None) -> Blocks:
    """Return which of the images (at `rows`) belong together: (n,) int64, or None if they are independent."""
    if not isinstance(images, Images) or images.blocks is None:
        return None
    blocks = torch.from_numpy(images.blocks.astype("int64"))
    return blocks if rows is None else blocks[rows]


def counted(progress: Progress | None, what: str, chunk: int, total: int) -> Callable[[int], None] | None:
    """Return what reports to `progress` that a number of pieces are done, of `chunk` images each, `total` in
    all.
    """
    if progress is None:
        return None
    return lambda pieces: progress(what, min(pieces * chunk, total), total)


def joined(*words: str) -> str:
    """Return the words that are not empty, as a record's protocol holds them."""
    return ", ".join(filter(None, words))


def decoder_of(images: ImageSet) -> str:
    """Return the decoder of the image files, or "" if pixels are stored uncompressed."""
    return images.facts.get("decoder", "") if isinstance(images, Images) else ""


def take(images: ImageSet, indices: Tensor, what: str) -> Tensor:
    """Return the images at `indices` as `as_pixels` does; only these are converted."""
    chosen = images[indices.to(images.device)] if isinstance(images, Tensor) else images[indices.numpy()]
    return as_pixels(chosen, what)
