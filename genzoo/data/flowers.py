"""Template captions of flowers, made of the name of the class and a measured colour. They are no descriptions
by people.

The colour of an image (N, 3, H, W) is measured in the disc around its middle whose radius is `RADIUS` of the
shorter side, where photographs of flowers have the flower. With hue in degrees, saturation s and value v of
HSV in [0, 1], a pixel of the disc counts as

* white: s < 0.18 and v >= 0.65;
* nothing: v < 0.22, or s < 0.25 and not white, or green, hue 66 to 170: shade, stone and leaves; also brown
  and olive, which are orange and yellow with s < 0.5 or v < 0.5: soil, wood and dry leaves;
* pink: hue 300 to 345; also hue 345 to 12 with s < 0.62 and v >= 0.6, which is pale red;
* red: hue 345 to 12; orange: 12 to 42; yellow: 42 to 66; blue: 170 to 255; purple: 255 to 300.

The colour of the image is the one with most pixels, where these are at least `LEAST` of the disc, `MAJOR` of
all pixels that count, and `LEAD` times those of the next colour; else none, and captions have no word for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from genzoo.data.captions import Captions
from genzoo.data.types import Array
from genzoo.datasets import UNSEEN

COLOURS = ("", "white", "pink", "red", "orange", "yellow", "blue", "purple")  # "" where none is clear
VERSION = 1  # of the measurement: what was kept of an older one is measured again
RADIUS, LEAST, MAJOR, LEAD = 0.36, 0.15, 0.5, 1.5
WHITE_S, WHITE_V, LEAST_S, LEAST_V = 0.18, 0.65, 0.25, 0.22
PALE_S, PALE_V = 0.62, 0.6
WARM_S, WARM_V = 0.5, 0.5
# hue from which on -> colour; between 66 and 170 is green, which is no colour of a flower here
_HUES = {0: "red", 12: "orange", 42: "yellow", 66: "", 170: "blue", 255: "purple", 300: "pink", 345: "red"}
BLOCK = 512  # images measured at a time


def colours_of(pixels: Array) -> Array:
    """Return the colour of the flower on each image (N, 3, H, W) uint8: (N,) uint8, places in `COLOURS`."""
    parts = [_measured(pixels[start : start + BLOCK]) for start in range(0, len(pixels), BLOCK)]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


def _measured(pixels: Array) -> Array:
    counts = np.stack([(named_pixels(pixels) == code).sum(1) for code in range(1, len(COLOURS))], 1)
    first, second = -np.sort(-counts, axis=1)[:, :2].T
    disc = int(_disc(*pixels.shape[2:]).sum())
    clear = (first >= LEAST * disc) & (first >= MAJOR * counts.sum(1)) & (first >= LEAD * second)
    found: Array = np.where(clear, counts.argmax(1) + 1, 0).astype(np.uint8)
    return found


def named_pixels(pixels: Array) -> Array:
    """Return the colour of each pixel in the disc, as places in `COLOURS`: (N, P) uint8."""
    inside = pixels[:, :, _disc(*pixels.shape[2:])].astype(np.int64)  # (N, 3, P)
    hue, saturation, value = _hsv(inside)
    starts = np.array(list(_HUES))
    codes = np.array([COLOURS.index(name) for name in _HUES.values()], np.uint8)
    named = codes[np.searchsorted(starts, hue, side="right") - 1]
    pale = (named == COLOURS.index("red")) & (saturation < PALE_S) & (value >= PALE_V)
    named = np.where(pale, COLOURS.index("pink"), named)
    warm = (named == COLOURS.index("orange")) | (named == COLOURS.index("yellow"))
    named = np.where(warm & ((saturation < WARM_S) | (value < WARM_V)), 0, named)
    named = np.where((saturation < LEAST_S) | (value < LEAST_V), 0, named)
    white = (saturation < WHITE_S) & (value >= WHITE_V)
    return np.where(white, COLOURS.index("white"), named).astype(np.uint8)


def _disc(height: int, width: int) -> Array:
    down, across = np.mgrid[:height, :width]
    away = (down - (height - 1) / 2) ** 2 + (across - (width - 1) / 2) ** 2
    inside: Array = away <= (RADIUS * min(height, width)) ** 2
    return inside if inside.any() else np.ones((height, width), bool)


def _hsv(rgb: Array) -> tuple[Array, Array, Array]:
    """Return hue in [0, 360), saturation and value in [0, 1] of `rgb` (N, 3, P), whole numbers to 255."""
    red, green, blue = rgb[:, 0], rgb[:, 1], rgb[:, 2]
    high, low = rgb.max(1), rgb.min(1)
    spread = np.maximum(high - low, 1)
    hue = np.select(
        [high == red, high == green],
        [60 * (green - blue) / spread % 360, 60 * (blue - red) / spread + 120],
        60 * (red - green) / spread + 240,
    )
    return hue, (high - low) / np.maximum(high, 1), high / 255


def captions_of(colours: Iterable[Any], labels: Iterable[Any], names: Sequence[str]) -> Captions:
    """Return the template captions of images with these `colours` (places in `COLOURS`) and `labels`, whose
    names are `names`.
    """
    both = zip(colours, labels, strict=True)
    return tuple(templates(COLOURS[int(colour)], names[int(label)]) for colour, label in both)


def templates(colour: str, flower: str) -> tuple[str, ...]:
    """Return the captions of a flower of the colour `colour`, "" for none.

    A name that has a word for a colour keeps that word alone: a yellow "pink primrose" is "a pink primrose"
    and "a yellow flower".
    """
    own = set(flower.replace("-", " ").split()) & set(COLOURS)
    name = flower if own or not colour else f"{colour} {flower}"
    texts = [_with_article(name), f"a photograph of {_with_article(name)}"]
    if colour:
        texts += [_with_article(f"{colour} flower"), f"a flower with {colour} petals"]
    return tuple(texts)


def _with_article(text: str) -> str:
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def held_out(colour: str, flower: str) -> bool:
    """Whether flowers of this class in this colour are kept out of the training images of `flowers-unseen`:
    a text-to-image model can so be measured on combinations that it has never seen.

    The list is `genzoo.datasets.UNSEEN`. Class and colour are both seen in training, each with others.
    """
    return (colour, flower) in UNSEEN
