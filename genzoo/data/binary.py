"""Grey images made black and white: each pixel is white with the probability that its grey level says."""

from __future__ import annotations

import numpy as np

from genzoo.data.collection import Images
from genzoo.data.types import Array
from genzoo.errors import ArgumentError, safe_repr
from genzoo.rng import Rng, mix

WAYS = ("threshold", "draw")
HALF = 128  # of 255: the first grey level that is white
BLOCK = 1024  # images drawn at a time: random numbers take eight bytes a pixel


def made_binary(images: Images, way: str, seed: int = 0, stream: str = "") -> Images:
    """Return grey `images` in black and white, as their `transform` says: "threshold", white from level 128
    on; "draw", one draw of `seed`, with the coins of `stream` (by default those of a data set).

    Raises:
        ArgumentError: another way, or images that are black and white already.
    """
    if way not in WAYS:
        raise ArgumentError(
            f"binarise must be one of {', '.join(WAYS)}, not {safe_repr(way)}",
            "for example binarise='threshold'",
        )
    if images.transform != "8-bit":
        raise ArgumentError(f"{images.name} is {images.transform} already", "leave binarise out")
    if way == "draw":
        return binarised(images, stream or f"own/{seed}").replace(
            transform=f"binarised, one draw of seed {seed}"
        )
    white = np.where(images.pixels >= HALF, np.uint8(255), np.uint8(0))
    return images.replace(pixels=white, transform=f"binarised, white from {HALF} on")


def is_binary(pixels: Array) -> bool:
    """Say whether uint8 `pixels` are black and white, 0 or 255."""
    return bool(np.isin(pixels, (0, 255)).all())


def binary_samples(pixels: Array, way: str, seed: int = 0) -> tuple[Array, str]:
    """Return samples (N, C, H, W) uint8 in black and white, and how they became so, for a record: an empty
    text if they were so already.

    The ways are those of `made_binary`, with coins of their own: no image of a data set shares them.
    """
    if is_binary(pixels):
        return pixels, ""
    made = made_binary(Images(pixels=pixels), way, seed, f"samples/{seed}")
    words = "its level as the probability of white" if way == "draw" else f"white from level {HALF} on"
    return made.pixels, f"each pixel black or white, {words}"


def binarised(images: Images, stream: str) -> Images:
    """Return one fixed draw of `images`: pixels 0 or 255, white with probability pixel / 255, independently.

    Pixel for pixel a function of `stream`, the place of the image in the set and its grey level: the same on
    every machine for ever. (Salakhutdinov and Murray 2008 binarise MNIST so.)
    """
    pixels = np.empty_like(images.pixels)
    for first in range(0, len(images), BLOCK):
        grey = images.pixels[first : first + BLOCK]
        coins = Rng(mix("binarise", stream), first, len(grey)).uniform(*images.shape).numpy()
        pixels[first : first + BLOCK] = np.where(coins < grey / 255, 255, 0)
    return images.replace(pixels=pixels)
