"""Grey images made black and white: each pixel is white with the probability that its grey level says."""

from __future__ import annotations

import numpy as np

from genzoo.data.collection import Images
from genzoo.noise import Draws, mix

BLOCK = 1024  # images drawn at a time: random numbers take eight bytes a pixel


def binarised(images: Images, stream: str) -> Images:
    """Return one fixed draw of `images`: pixels 0 or 255, white with probability pixel / 255, independently.

    Pixel for pixel a function of `stream`, the place of the image in the set and its grey level: the same on every machine for ever.
    (Salakhutdinov and Murray 2008 binarise MNIST so.)
    """
    pixels = np.empty_like(images.pixels)
    for first in range(0, len(images), BLOCK):
        grey = images.pixels[first : first + BLOCK]
        coins = Draws(mix("binarise", stream), first, len(grey)).uniform(*images.shape).numpy()
        pixels[first : first + BLOCK] = np.where(coins < grey / 255, 255, 0)
    return images.replace(pixels=pixels)
