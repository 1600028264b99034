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
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from genzoo.data.memory import PICTURES, available, short_of_memory, size_words
from genzoo.errors import DataError

Array: TypeAlias = "np.ndarray[Any, Any]"
Shape: TypeAlias = "tuple[int, int, int]"

VERSION = 1  # of everything in this module: part of the cache's key
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif")
UNREADABLE = "unreadable"
PER_PIXEL = 10  # bytes that a picture takes while it is decoded, rounded up: four of Pillow's, four more when it is converted
STRIP = 1 << 20  # pixels converted at a time, where the way leads over many bytes a pixel
SPARE = 1 << 28  # bytes
MOST_PIXELS = 89_478_485  # of one file, Pillow's own limit: a small file can claim to be a picture that fills the memory


class Skip(Exception):
    """A file that gives no image; the text is the reason under which it is counted."""


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # AVIF depends on how Pillow was built


def decode(source: Path | bytes, shape: Shape) -> Array:
    """Return the image in `source` as (C, H, W) uint8 of exactly `shape`; the first frame of an animation.

    Raises:
        Skip: "not an image", "corrupt", "too large", "unreadable".
        DataError: there is not enough memory.
    """
    need = 0
    try:
        with open_image(source) as image:
            need = _decoder_bytes(image)
            image.draft(None, (2 * max(shape[1:]),) * 2)  # JPEG decodes at 1/2, 1/4 or 1/8 at no loss: twice the target is left
            need += PER_PIXEL * image.width * image.height
            with PICTURES.take(need, f"a picture of {image.width}x{image.height} pixels"):
                image.load()
                return fit(_upright(image), shape)
    except (Skip, KeyboardInterrupt, DataError):
        raise
    except MemoryError as error:
        raise _without_memory(need) from error
    except OSError as error:
        if "out of memory" in str(error):  # so say Pillow's decoders in C
            raise _without_memory(need) from error
        raise Skip(UNREADABLE if error.errno else "corrupt") from error
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
    except MemoryError:
        raise
    except Exception as error:  # see `decode`
        raise Skip("corrupt") from error
    if max(image.width * image.height, _tile(image)) > MOST_PIXELS:
        raise Skip("too large")
    return image


def recognised(head: bytes) -> bool:
    """Return whether a file that begins with `head` may be an image: no format is tried on one of which this is false."""
    return any(accept is None or accept(head[:16]) for _, accept in map(Image.OPEN.__getitem__, _formats()))


def openers() -> tuple[str, ...]:
    """Return the formats that can be read here, each with the module that reads it: plugins of Pillow may bring their own."""
    return tuple(f"{name} {Image.OPEN[name][0].__module__}" for name in _formats())


def _tile(image: Image.Image) -> int:
    """Return how many pixels a TIFF says are in each of its tiles: libtiff makes room for one, however small the picture is."""
    try:
        across, down = (int(getattr(image, "tag_v2", {}).get(tag, 0)) for tag in (322, 323))  # TileWidth, TileLength
    except Exception as error:  # see `decode`
        raise Skip("corrupt") from error
    return across * down


def _decoder_bytes(image: Image.Image) -> int:
    """Return about how many bytes a decoder keeps besides the picture itself."""
    pixels = max(image.width * image.height, _tile(image))
    if image.format in ("WEBP", "AVIF", "TIFF", "GIF"):
        return PER_PIXEL * pixels  # frames, planes or strips of their own
    return 6 * pixels if image.info.get("progressive") else 0  # the coefficients of a JPEG, which draft does not make fewer


def _without_memory(need: int) -> Skip | DataError:
    """Return what to raise where a picture got no memory: the system's want of it ends the run in one line, a file's greed does not."""
    free = available()
    if free is not None and free > 2 * need + SPARE:
        return Skip("too large")  # it asks for more than its pixels can need
    return short_of_memory(f"there is not enough memory to decode a picture: it needs {size_words(need)}")


def fit(image: Image.Image, shape: Shape) -> Array:
    """Return `image` as (C, H, W) uint8 of exactly `shape`: colours converted, resized to cover, the middle cut out."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    plain = eight_bit(image)
    if plain.mode != mode:  # a copy of the same would only take memory
        plain = plain.convert(mode)  # grey is ITU-R 601 luminance; RGB of grey repeats it
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
        return _on_white(image)
    return image


def _on_white(image: Image.Image) -> Image.Image:
    plain = Image.new("RGB", image.size)
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        clear = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
        plain.paste(Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB"), (0, top))
    return plain


def _scaled(values: Array, sixteen: bool) -> Array:
    """Bring the numbers of a deep image to 0..255: 16-bit by 257, floats in [0, 1] by 255, what is within 0..255 as it is."""
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 65_535):
        raise Skip("of an unknown range")  # signed, NaN, or 32 bits of something
    if sixteen or values.dtype == np.uint16 or high > 255:
        factor = 1 / 257
    else:
        factor = 255.0 if values.dtype.kind == "f" and high <= 1 else 1.0
    result = np.empty(values.shape, np.uint8)
    rows = max(1, STRIP // max(1, values[:1].size))
    for top in range(0, len(values), rows):  # in strips: 64-bit numbers take eight bytes a pixel, twice
        result[top : top + rows] = np.rint(values[top : top + rows].astype(np.float64) * factor)
    return result


def _upright(image: Image.Image) -> Image.Image:
    try:
        turned = image.getexif().get(ExifTags.Base.Orientation) in range(2, 9)
        return ImageOps.exif_transpose(image) if turned else image  # which would copy the picture
    except Exception:  # noqa: BLE001 - a camera's broken EXIF says nothing about the pixels
        return image
