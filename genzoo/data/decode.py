"""One file of a stranger, made into (C, H, W) uint8: whatever its format, colours, depth, rotation or size.

The shorter side is resized to the target (Lanczos, antialiased) and the middle is cut out. Nothing is trusted: formats are a
fixed list (PostScript, which would start a program, is not on it), the dimensions are read before the pixels, and what cannot be
read is a `Skip` with its reason, never the end of the run.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError, features

Array: TypeAlias = "np.ndarray[Any, Any]"
Shape: TypeAlias = "tuple[int, int, int]"

VERSION = 1  # of everything in this module: part of the cache's key
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif")
UNREADABLE = "unreadable"
MOST_PIXELS = 89_478_485  # of one file, Pillow's own limit: a small file can claim to be a picture that fills the memory


class Skip(Exception):
    """A file that gives no image; the text is the reason under which it is counted."""


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # AVIF depends on how Pillow was built


def decoder() -> str:
    """Return what decodes and resizes images here: its version can decide grey levels, so records of such images name it."""
    jpeg = features.version("libjpeg_turbo")
    return f"decoded by Pillow {PIL.__version__}" + (f", libjpeg-turbo {jpeg}" if jpeg else "")


def decode(source: Path | bytes, shape: Shape) -> Array:
    """Return the image in `source` as (C, H, W) uint8 of exactly `shape`; the first frame of an animation.

    Raises:
        Skip: "not an image", "corrupt", "too large", "unreadable".
    """
    try:
        with open_image(source) as image:
            image.draft(None, (2 * max(shape[1:]),) * 2)  # JPEG decodes at 1/2, 1/4 or 1/8 at no loss: twice the target is left
            image.load()
            return fit(_upright(image), shape)
    except (Skip, KeyboardInterrupt):
        raise
    except OSError as error:
        raise Skip(UNREADABLE if error.errno else "corrupt") from error
    except MemoryError as error:
        raise Skip("too large") from error
    except Exception as error:  # decoders of broken files raise whatever they like: struct.error, ValueError, SyntaxError, ...
        raise Skip("corrupt") from error


def open_image(source: Path | bytes) -> Image.Image:
    """Open `source` without decoding it: only the header has been read.

    Raises:
        Skip: see `decode`.
    """
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Skip("too large") from error
    except UnidentifiedImageError as error:
        named = isinstance(source, bytes) or source.suffix.lower() in SUFFIXES
        raise Skip("corrupt" if named else "not an image") from error
    except OSError as error:
        raise Skip(UNREADABLE if error.errno else "corrupt") from error
    except Exception as error:  # see `decode`
        raise Skip("corrupt") from error
    if image.width * image.height > MOST_PIXELS:
        raise Skip("too large")
    return image


def fit(image: Image.Image, shape: Shape) -> Array:
    """Return `image` as (C, H, W) uint8 of exactly `shape`: colours converted, resized to cover, the middle cut out."""
    channels, height, width = shape
    plain = eight_bit(image).convert("L" if channels == 1 else "RGB")  # grey is ITU-R 601 luminance; RGB of grey repeats it
    if plain.size != (width, height):
        scale = min(plain.width / width, plain.height / height)
        across, down = width * scale, height * scale
        left, top = (plain.width - across) / 2, (plain.height - down) / 2
        box = (left, top, left + across, top + down)
        plain = plain.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    pixels = np.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)  # (C, H, W)


def eight_bit(image: Image.Image) -> Image.Image:
    """Return `image` with 8 bits per channel and no transparency (on white); deeper ones are scaled, not clipped."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_scaled(np.asarray(image), sixteen=image.mode != "F" and image.format in ("PNG", "PPM")))
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return image


def _scaled(values: Array, sixteen: bool) -> Array:
    """Bring the numbers of a deep image to 0..255: 16-bit by 257, floats in [0, 1] by 255, what is within 0..255 as it is."""
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 65_535):
        raise Skip("of an unknown range")  # signed, NaN, or 32 bits of something
    if sixteen or values.dtype == np.uint16 or high > 255:
        factor = 1 / 257
    else:
        factor = 255.0 if values.dtype.kind == "f" and high <= 1 else 1.0
    return np.rint(values.astype(np.float64) * factor).astype(np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - a camera's broken EXIF says nothing about the pixels
        return image
