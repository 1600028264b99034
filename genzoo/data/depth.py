"""Images deeper than 8 bits: which of their numbers is white.

Cameras and microscopes keep 10, 12 or 14 bits in files of 16, and floats run to 1 or to 255. One image cannot
tell: a dark one of 16 bits looks like a bright one of 12. So the largest number of a whole folder decides,
once for all its images.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from genzoo.data.types import Array
from genzoo.errors import ArgumentError

VARIABLE = "GENZOO_BITS"
BITS = (8, 10, 12, 14, 16)  # those that sensors have
FULL = 2 ** BITS[-2] - 1  # a larger number needs all 16 bits
UNKNOWN = "of an unknown range"
STRIP = 1 << 20  # pixels converted at a time, where the way leads over many bytes a pixel


@dataclass(frozen=True)
class Scale:
    """Which numbers are white: 2**bits - 1 of whole numbers; `white` of floats."""

    bits: int = 16
    white: float = 1.0


@dataclass(frozen=True)
class Numbers:
    """The numbers of one image: whole or floats, the smallest and the largest, and the bits that its file
    declares, 0 for none.
    """

    whole: bool
    low: float
    high: float
    declared: int = 0

    @property
    def fault(self) -> str:
        """Why these numbers say nothing of black and white; "" where they do."""
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            return f"{UNKNOWN} (NaN or infinite)"
        if self.low < 0:
            return f"{UNKNOWN} (below 0: shift and scale to 0..255)"
        if self.high > 65_535:
            return f"{UNKNOWN} (above 65,535: scale to 0..255)"
        return ""


def asked_bits() -> int | None:
    """Return the bits that GENZOO_BITS sets, or None where it is not set.

    Raises:
        ArgumentError: no whole number of 1 to 16.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 16):
        raise ArgumentError(
            f"{VARIABLE} must be a whole number of bits from 1 to 16, not {text!r}",
            f"for example {VARIABLE}=12",
        )
    return int(text)


def bits_of(high: float) -> int:
    """Return the fewest bits that sensors have for numbers up to `high`; 16 where all is black."""
    return next((bits for bits in BITS if high < 2**bits), 16) if high > 0 else 16


def scale_of(numbers: Iterable[Numbers]) -> Scale:
    """Return the scale of images with these numbers, taken together; see `asked_bits` for who overrules
    it.
    """
    known = [one for one in numbers if not one.fault]
    whole = [max(one.declared, bits_of(one.high)) for one in known if one.whole and one.high > 0]
    floats = [one.high for one in known if not one.whole]
    return Scale(asked_bits() or max(whole, default=16), white_of(max(floats, default=1.0)))


def white_of(high: float) -> float:
    """Return what is white in floats up to `high`: 1, 255, or that of as many bits as they need; 0 if that is
    unknown.
    """
    if 1.001 < high <= 1.5:  # a little more than white, or nearly black?
        return 0.0
    return 1.0 if high <= 1.001 else 255.0 if high <= 255 else 2.0 ** bits_of(high) - 1


def scaled(values: Array, scale: Scale | None, own_bits: int) -> tuple[Array, str]:
    """Return numbers as uint8 0..255, and "" or why they cannot be; without a `scale` the image is taken
    alone, at `own_bits`.
    """
    numbers = Numbers(values.dtype.kind != "f", float(values.min()), float(values.max()))
    if numbers.fault:
        return values, numbers.fault
    if scale is None:
        scale = Scale(asked_bits() or own_bits, white_of(numbers.high))
    white = 2.0**scale.bits - 1 if numbers.whole else scale.white
    if numbers.whole and numbers.high > white:
        return values, f"with values above {white:,.0f} ({VARIABLE}={scale.bits})"
    if not white:
        return values, f"{UNKNOWN} (floats a little above 1: clip to 0..1)"
    result = np.empty(values.shape, np.uint8)
    rows = max(1, STRIP // max(1, values[:1].size))
    for top in range(0, len(values), rows):  # in strips: 64-bit numbers take eight bytes a pixel, twice
        result[top : top + rows] = np.rint(
            np.minimum(values[top : top + rows].astype(np.float64) / (white / 255), 255)
        )
    return result, ""
