"""Decode one untrusted file into (C, H, W) uint8: whatever its format, colours, depth, rotation or size.

The shorter side is resized to the target (Lanczos, antialiased) and the middle is cut out. Nothing is
trusted: formats are a fixed list (PostScript, which would start a program, is not on it), the dimensions are
read before the pixels, and what cannot be read is a `Skip` with its reason, never the end of the run.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError, features

from genzoo.data.depth import STRIP, Scale, scaled
from genzoo.data.formats import FORMATS, HEAD, OPTIONAL, SUFFIXES, foreign, is_raw, reason
from genzoo.data.memory import PICTURES, available, short_of_memory, size_words
from genzoo.data.types import Array, Shape
from genzoo.errors import DataError, GenzooError
from genzoo.safe_open import check_regular

VERSION = 3  # of everything in this module: part of the cache's key
UNREADABLE = "unreadable"
# bytes that a picture takes while it is decoded, rounded up: four of Pillow's, four more when it is converted
PER_PIXEL = 10
SPARE = 1 << 28  # bytes
# of one file, Pillow's own limit: a small file can claim to be a picture that fills the memory
MOST_PIXELS = 89_478_485
TOO_LARGE = f"too large (more than {MOST_PIXELS:,} pixels)"
GREEDY = "too large for the memory"
FULL_RANGE = ("PPM", "JPEG2000")  # of which Pillow scales what is deep to all 16 bits, as the file declares
MIN_IS_WHITE, PHOTOMETRIC = 0, 262  # of TIFF
ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class HalvesError(DataError):
    """A picture that should be two side by side, and cannot be cut in the middle."""


class Skip(Exception):
    """A file that gives no image; the text is the reason under which it is counted."""


def advice(why: str) -> str:
    """Return what to do about a single picture that was a `Skip` with the reason `why`."""
    if why == "corrupt":
        return "it is damaged or no picture: save it again as PNG or JPEG"
    if why == UNREADABLE:
        return "check that the file is there, and its permissions"
    return "make it smaller first" if why.startswith("too large") else "use a PNG or a JPEG"


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    # TGA is recognised by its name alone: it has no magic number, and would claim any file. Others depend on
    # how Pillow was built.
    return tuple(name for name in FORMATS if name in Image.OPEN and name != "TGA")


def decoder() -> str:
    """Return what decodes and resizes images here: its version can decide grey levels, so records of such
    images name it.
    """
    jpeg = features.version("libjpeg_turbo")
    return f"decoded by Pillow {PIL.__version__}" + (f", libjpeg-turbo {jpeg}" if jpeg else "")


def _formats_of(name: str) -> tuple[str, ...]:
    """Return the formats that are tried on a file of that name."""
    found = _formats()  # first: before it nobody has asked Pillow for its formats, and TGA is not known
    return (*found, "TGA") if name.lower().endswith(".tga") and "TGA" in Image.OPEN else found


def decode(source: Path | bytes, shape: Shape, scale: Scale | None = None, half: str = "") -> Array:
    """Return the image in `source` as (C, H, W) uint8 of exactly `shape`; the first frame of an animation.

    `scale` is that of the folder, by which deep images are brought to 8 bits (see `genzoo.data.depth`).
    `half` is "left" or "right" where the picture is two side by side.

    Raises:
        Skip: "not an image", "corrupt", "too large", "unreadable", or the name of a format that is not read.
        DataError: there is not enough memory, or a picture of two halves has an odd width.
    """
    # JPEG decodes at 1/2, 1/4 or 1/8 at no loss: twice the target is left. Not where the middle counts: at a
    # fraction of the size it may be inside of a pixel.
    with faults(), open_image(source) as image, room(image, draft=0 if half else 2 * max(shape[1:])):
        image.load()
        return fit(halved(_upright(eight_bit(image, scale), image), half), shape)


def decode_whole(source: Path | bytes, channels: int, most: int) -> Array:
    """Return the picture in `source` as (C, H, W) uint8 of its own size, upright and on white, in 1 or 3
    channels; the first frame of an animation.

    Raises:
        Skip: see `decode`; also "too large" for more than `most` pixels.
        DataError: there is not enough memory.
    """
    with faults(), open_image(source) as image:
        if image.width * image.height > most:
            raise Skip(f"too large ({image.width}x{image.height}, more than {most:,} pixels)")
        with room(image):
            image.load()
            plain = _upright(eight_bit(image), image)
            return fit(plain, (channels, plain.height, plain.width))


def halved(image: Image.Image, half: str) -> Image.Image:
    """Return the "left" or "right" half of `image`, all of it for ""; HalvesError for an odd width."""
    if not half:
        return image
    middle, rest = divmod(image.width, 2)
    if rest:
        raise HalvesError(
            f"a picture of two halves must have an even width, and is {image.width}x{image.height}",
            "cut it in two, or save the halves in two folders A/ and B/",
        )
    left = 0 if half == "left" else middle
    return image.crop((left, 0, left + middle, image.height))


def upright_size(source: Path) -> tuple[int, int]:
    """Return width and height of the picture in `source` as viewers show it; only its header is read.

    Raises:
        Skip: see `decode`.
    """
    with faults(), open_image(source) as image:
        across, down = image.size
        return (down, across) if _orientation(image) > 4 else (across, down)


@contextlib.contextmanager
def faults(need: int = 0) -> Iterator[None]:
    """Turn whatever decoders raise into a `Skip`, and want of memory, of which `need` bytes are known, into a
    DataError.
    """
    try:
        yield
    except (Skip, GenzooError, KeyboardInterrupt):
        raise
    except MemoryError as error:
        raise _without_memory(need) from error
    except OSError as error:
        if "out of memory" in str(error):  # so say Pillow's decoders in C
            raise _without_memory(need) from error
        # Pillow raises OSError without a number for broken files; the system's have one.
        raise Skip(UNREADABLE if error.errno else "corrupt") from error
    # decoders of broken files raise whatever they like: struct.error, ValueError, SyntaxError, ...
    except Exception as error:
        raise Skip("corrupt") from error


@contextlib.contextmanager
def room(image: Image.Image, draft: int = 0) -> Iterator[None]:
    """Hold, for the block, the memory that decoding `image` takes, and raise as `faults` does; only its
    header has been read.

    A JPEG is then decoded at a fraction of its size that leaves its sides at least `draft` pixels, if that is
    not 0.
    """
    # Before draft, which changes the size that the image reports.
    need = _decoder_bytes(image)
    if draft:
        image.draft(None, (draft, draft))
    need += PER_PIXEL * image.width * image.height
    with PICTURES.take(need, f"a picture of {image.width}x{image.height} pixels"), faults(need):
        yield


def open_image(source: Path | bytes) -> Image.Image:
    """Open `source` without decoding it: only the header has been read.

    Raises:
        Skip: see `decode`.
    """
    name = "" if isinstance(source, bytes) else source.name
    if is_raw(name):
        raise Skip(reason("camera raw"))
    formats = _formats_of(name)
    try:
        with faults():
            if not isinstance(source, bytes):
                check_regular(source)  # a pipe would hang
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    except Skip as skip:
        raise _why(source, skip) from skip.__cause__
    try:
        check_size(image)
    except Skip:
        image.close()
        raise
    return image


def check_size(image: Image.Image) -> None:
    """Raise `Skip` if the picture in `image`, or the tile that holds it, is too large to be decoded."""
    if max(image.width * image.height, _tile(image)) > MOST_PIXELS:
        raise Skip(TOO_LARGE)


def _why(source: Path | bytes, skip: Skip) -> Skip:
    """Return why a file could not be opened, in words that say what to do where that is known."""
    cause = skip.__cause__
    if isinstance(cause, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return Skip(TOO_LARGE)
    if str(skip) in (UNREADABLE, GREEDY):
        return skip
    if isinstance(source, bytes):
        # Without a name only the first bytes say what it is.
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
    return Skip(
        "corrupt" if suffix in SUFFIXES or not isinstance(cause, UnidentifiedImageError) else "not an image"
    )


def recognised(head: bytes, name: str = "") -> bool:
    """Return whether the file `name` that begins with `head` may be an image: no format is tried on one of
    which this is false.
    """
    return not is_raw(name) and any(
        accept is None or accept(head[:16]) for _, accept in map(Image.OPEN.__getitem__, _formats_of(name))
    )


def openers() -> tuple[str, ...]:
    """Return the formats that can be read here, each with the module that reads it: plugins of Pillow may
    bring their own.
    """
    return tuple(f"{name} {Image.OPEN[name][0].__module__}" for name in _formats_of(".tga"))


def _tile(image: Image.Image) -> int:
    """Return how many pixels a TIFF says are in each of its tiles: libtiff makes room for one, however small
    the picture is.
    """
    try:
        # TileWidth, TileLength
        across, down = (int(getattr(image, "tag_v2", {}).get(tag, 0)) for tag in (322, 323))
    except Exception as error:  # see `decode`
        raise Skip("corrupt") from error
    return across * down


def _decoder_bytes(image: Image.Image) -> int:
    """Return about how many bytes a decoder keeps besides the picture itself."""
    pixels = max(image.width * image.height, _tile(image))
    if image.format in ("WEBP", "AVIF", "TIFF", "GIF"):
        return PER_PIXEL * pixels  # frames, planes or strips of their own
    # the coefficients of a JPEG, which draft does not make fewer
    return 6 * pixels if image.info.get("progressive") else 0


def _without_memory(need: int) -> Skip | DataError:
    """Return what to raise where a picture got no memory: the system's want of it ends the run in one line, a
    file's greed does not.
    """
    free = available()
    if free is not None and free > 2 * need + SPARE:
        return Skip(GREEDY)  # it declares more than its pixels can need
    return short_of_memory(f"there is not enough memory to decode a picture: it needs {size_words(need)}")


def fit(image: Image.Image, shape: Shape, scale: Scale | None = None) -> Array:
    """Return `image` as (C, H, W) uint8 of exactly `shape`: colours converted, resized to cover, the middle
    cut out.
    """
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    plain = eight_bit(image, scale)
    if plain.mode != mode:  # a copy of the same would only take memory
        plain = plain.convert(mode)  # grey is ITU-R 601 luminance; RGB of grey repeats it
    if plain.size != (width, height):
        # The shorter side decides, so that the frame is filled and nothing is stretched.
        factor = min(plain.width / width, plain.height / height)
        across, down = width * factor, height * factor
        left, top = (plain.width - across) / 2, (plain.height - down) / 2
        box = (left, top, left + across, top + down)
        # reducing_gap shrinks a large picture by whole factors first: several times faster, with no visible
        # difference at 3.
        plain = plain.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    pixels = np.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)  # (C, H, W)


def is_deep(image: Image.Image) -> bool:
    """Whether `image` holds numbers of more than 8 bits, of which `eight_bit` has to know which is white."""
    return image.mode == "F" or image.mode.startswith("I")


def eight_bit(image: Image.Image, scale: Scale | None = None) -> Image.Image:
    """Return `image` with 8 bits per channel and no transparency (on white); deeper ones are scaled, not
    clipped.

    Without a `scale` whole numbers are taken for 16 bits, or for 8 where a file that has room for 32 stays
    below 256.
    """
    if is_deep(image):
        values = np.asarray(image)
        # A mode of 32 bits may hold anything: PNG and numbers above 255 mean 16 bits.
        sixteen = values.dtype == np.uint16 or image.format in ("PNG", *FULL_RANGE) or values.max() > 255
        pixels, fault = scaled(values, Scale() if image.format in FULL_RANGE else scale, 16 if sixteen else 8)
        if fault:
            raise Skip(fault)
        return Image.fromarray(255 - pixels if _inverted(image) else pixels)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _on_white(image)
    return image


def _inverted(image: Image.Image) -> bool:
    """Whether 0 is white in a deep TIFF: Pillow turns only those of 8 bits and fewer round."""
    tags = getattr(image, "tag_v2", None)
    return image.format == "TIFF" and tags is not None and tags.get(PHOTOMETRIC) == MIN_IS_WHITE


def _on_white(image: Image.Image) -> Image.Image:
    plain = Image.new("RGB", image.size)
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):  # in strips: on the way a pixel takes twelve bytes more
        clear = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
        plain.paste(
            Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB"), (0, top)
        )
    return plain


def _upright(plain: Image.Image, source: Image.Image) -> Image.Image:
    """Return `plain` turned as the EXIF of `source`, from which it was made, says."""
    orientation = _orientation(source)
    return plain.transpose(_TURNS[orientation]) if orientation in _TURNS else plain


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - a camera's broken EXIF says nothing about the pixels
        return 1
