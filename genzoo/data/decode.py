"""One file of a stranger, made into (C, H, W) uint8: whatever its format, colours, depth, rotation or size.

The shorter side is resized to the target (Lanczos, antialiased) and the middle is cut out. Nothing is trusted: formats are a
fixed list (PostScript, which would start a program, is not on it), the dimensions are read before the pixels, and what cannot be
read is a `Skip` with its reason, never the end of the run.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError, features

from genzoo.data.depth import Scale, scaled
from genzoo.data.formats import FORMATS, HEAD, OPTIONAL, SUFFIXES, foreign, is_raw, reason
from genzoo.errors import GenzooError
from genzoo.safe_open import check_regular

Array: TypeAlias = "np.ndarray[Any, Any]"
Shape: TypeAlias = "tuple[int, int, int]"

VERSION = 2  # of everything in this module: part of the cache's key
UNREADABLE = "unreadable"
MOST_PIXELS = 89_478_485  # of one file, Pillow's own limit: a small file can claim to be a picture that fills the memory
TOO_LARGE = f"too large (more than {MOST_PIXELS:,} pixels)"
FULL_RANGE = ("PPM", "JPEG2000")  # of which Pillow scales what is deep to all 16 bits, as the file declares
MIN_IS_WHITE, PHOTOMETRIC = 0, 262  # of TIFF
ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip


class Skip(Exception):
    """A file that gives no image; the text is the reason under which it is counted."""


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    # TGA is told by its name alone: it has no magic number, and would claim any file. Others depend on how Pillow was built.
    return tuple(name for name in FORMATS if name in Image.OPEN and name != "TGA")


def decoder() -> str:
    """Return what decodes and resizes images here: its version can decide grey levels, so records of such images name it."""
    jpeg = features.version("libjpeg_turbo")
    return f"decoded by Pillow {PIL.__version__}" + (f", libjpeg-turbo {jpeg}" if jpeg else "")


def decode(source: Path | bytes, shape: Shape, scale: Scale | None = None) -> Array:
    """Return the image in `source` as (C, H, W) uint8 of exactly `shape`; the first frame of an animation.

    `scale` is that of the folder, by which deep images are brought to 8 bits (see `genzoo.data.depth`).

    Raises:
        Skip: "not an image", "corrupt", "too large", "unreadable", or the name of a format that is not read.
    """
    with faults(), open_image(source) as image:
        image.draft(None, (2 * max(shape[1:]),) * 2)  # JPEG decodes at 1/2, 1/4 or 1/8 at no loss: twice the target is left
        image.load()
        return fit(_upright(eight_bit(image, scale), image), shape)


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """Turn whatever decoders raise into a `Skip`."""
    try:
        yield
    except (Skip, GenzooError, KeyboardInterrupt):
        raise
    except OSError as error:
        raise Skip(UNREADABLE if error.errno else "corrupt") from error
    except MemoryError as error:
        raise Skip("too large for the memory") from error
    except Exception as error:  # decoders of broken files raise whatever they like: struct.error, ValueError, SyntaxError, ...
        raise Skip("corrupt") from error


def open_image(source: Path | bytes) -> Image.Image:
    """Open `source` without decoding it: only the header has been read.

    Raises:
        Skip: see `decode`.
    """
    name = "" if isinstance(source, bytes) else source.name
    if is_raw(name):
        raise Skip(reason("camera raw"))
    formats = (*_formats(), "TGA") if name.lower().endswith(".tga") else _formats()
    try:
        with faults():
            if not isinstance(source, bytes):
                check_regular(source)  # a pipe would hang
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    except Skip as skip:
        raise _why(source, skip) from skip.__cause__
    if image.width * image.height > MOST_PIXELS:
        raise Skip(TOO_LARGE)
    return image


def _why(source: Path | bytes, skip: Skip) -> Skip:
    """Return why a file could not be opened, in words that say what to do where that is known."""
    cause = skip.__cause__
    if isinstance(cause, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return Skip(TOO_LARGE)
    if str(skip) == UNREADABLE:
        return skip
    if isinstance(source, bytes):
        kind = foreign("", source[:HEAD])
        return Skip(reason(kind)) if kind else Skip("corrupt")
    suffix = source.suffix.lower()
    needed = OPTIONAL.get(suffix)
    if needed and needed not in Image.OPEN:
        return Skip(f"{needed} (this Pillow was built without it: pip install --upgrade pillow)")
    try:
        with source.open("rb") as file:
            kind = foreign(source.name, file.read(HEAD))
    except OSError:
        return Skip(UNREADABLE)
    if kind:
        return Skip(reason(kind))
    return Skip("corrupt" if suffix in SUFFIXES or not isinstance(cause, UnidentifiedImageError) else "not an image")


def fit(image: Image.Image, shape: Shape, scale: Scale | None = None) -> Array:
    """Return `image` as (C, H, W) uint8 of exactly `shape`: colours converted, resized to cover, the middle cut out."""
    channels, height, width = shape
    plain = eight_bit(image, scale).convert("L" if channels == 1 else "RGB")  # grey is ITU-R 601 luminance; RGB of grey repeats it
    if plain.size != (width, height):
        factor = min(plain.width / width, plain.height / height)
        across, down = width * factor, height * factor
        left, top = (plain.width - across) / 2, (plain.height - down) / 2
        box = (left, top, left + across, top + down)
        plain = plain.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    pixels = np.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)  # (C, H, W)


def is_deep(image: Image.Image) -> bool:
    """Whether `image` holds numbers of more than 8 bits, of which `eight_bit` has to know which is white."""
    return image.mode == "F" or image.mode.startswith("I")


def eight_bit(image: Image.Image, scale: Scale | None = None) -> Image.Image:
    """Return `image` with 8 bits per channel and no transparency (on white); deeper ones are scaled, not clipped.

    Without a `scale` whole numbers are taken for 16 bits, or for 8 where a file that has room for 32 stays below 256.
    """
    if is_deep(image):
        values = np.asarray(image)
        sixteen = values.dtype == np.uint16 or image.format in ("PNG", *FULL_RANGE) or values.max() > 255
        pixels, fault = scaled(values, Scale() if image.format in FULL_RANGE else scale, 16 if sixteen else 8)
        if fault:
            raise Skip(fault)
        return Image.fromarray(255 - pixels if _inverted(image) else pixels)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return image


def _inverted(image: Image.Image) -> bool:
    """Whether 0 is white in a deep TIFF: Pillow turns only those of 8 bits and fewer round."""
    tags = getattr(image, "tag_v2", None)
    return image.format == "TIFF" and tags is not None and tags.get(PHOTOMETRIC) == MIN_IS_WHITE


def _upright(plain: Image.Image, source: Image.Image) -> Image.Image:
    """Return `plain` turned as the EXIF of `source`, from which it was made, says."""
    try:
        orientation = int(source.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - a camera's broken EXIF says nothing about the pixels
        return plain
    return plain.transpose(_TURNS[orientation]) if orientation in _TURNS else plain
