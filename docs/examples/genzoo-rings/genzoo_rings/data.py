"""The data set: white rings of random place and size on black, the same ones every time."""

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"

SIDE = 16
SPLITS = {"train": (2_000, 1), "test": (500, 2)}  # images and seed


def rings(split: str) -> Array:
    """Return the images of "train" or "test", (N, 16, 16) uint8."""
    count, seed = SPLITS[split]
    noise = np.random.default_rng(seed)
    centre = noise.uniform(6, SIDE - 7, (2, count, 1, 1))
    radius = noise.uniform(2, 5, (count, 1, 1))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(rows - centre[0], columns - centre[1])  # (N, 16, 16)
    images: Array = np.rint(255 * np.exp(-((distance - radius) ** 2))).astype(np.uint8)
    return images
