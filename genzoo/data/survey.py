"""What has to be known of all the files of a folder before one of them is decoded: their pages, and which
numbers are white.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genzoo.data.decode import (
    Skip,
    check_size,
    eight_bit,
    faults,
    fit,
    halved,
    is_deep,
    open_image,
    recognised,
    room,
)
from genzoo.data.depth import FULL, VARIABLE, Numbers, Scale, asked_bits, scale_of
from genzoo.data.formats import HEAD, is_raw
from genzoo.data.pool import in_parallel, showing
from genzoo.data.types import Array, Shape
from genzoo.safe_open import open_to_read

PAGES = 1 << 20  # of one file at most
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DEPTH, _SUBFILE = 258, 254  # tags of TIFF
_REDUCED, _MASK = 1, 4  # bits of the tag NewSubfileType: a page that is a thumbnail or a mask of another
_DARK = 63  # of 255: a colour file of 16 bits that stays below it uses 14 or fewer


@dataclass(frozen=True)
class Survey:
    """What was seen of the files of a folder.

    Attributes:
        pages: number of a file -> its pages that are images; a file that is not named has one.
        scale: which numbers of deep images are white.
        notes: what people should know, one line each.
        plain: (count,) bool, which files are one image of 8 bits, of which nothing has to be known.
    """

    pages: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    scale: Scale = field(default_factory=Scale)
    notes: tuple[str, ...] = ()
    plain: Array = field(default_factory=lambda: np.zeros(0, bool))


def survey(
    count: int,
    source: Callable[[int], Path | bytes],
    what: str,
    every_page: bool = True,
    plain: Array | None = None,
    noted: Callable[[Array], object] | None = None,
) -> Survey:
    """Look at the headers of `count` files, and into those that are deeper than 8 bits until their range is
    known.

    Args:
        count: how many.
        source: the path or the content of file i, from 0; a `Skip` says that there is none.
        what: the name of the data, for a bar where it takes long.
        every_page: whether each page of a file is an image, or the first one alone.
        plain: (count,) bool, which files are known to be plain, and are not looked into.
        noted: called now and then with what is known to be plain by then.

    Raises:
        DataError: there is not enough memory to look into a picture.
    """
    look = _Look(source, every_page, np.zeros(count, bool) if plain is None else plain.copy())
    todo = np.flatnonzero(~look.plain)
    found: dict[int, tuple[int, ...]] = {}

    def work(place: int) -> None:
        number = int(todo[place])
        if (pages := look(number)) != (0,):
            found[number] = pages

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with showing(len(todo), f"looking into {what}") as show:

            def shown(done: int, total: int) -> None:
                show(done, total)
                if noted is not None:
                    noted(look.plain)

            in_parallel(len(todo), work, "", shown)
    scale = scale_of(look.numbers)
    return Survey(found, scale, tuple(look.notes(found, scale)), look.plain)


class _Look:
    """Looks at one file after another, by several threads, and remembers what matters for all."""

    def __init__(self, source: Callable[[int], Path | bytes], every_page: bool, plain: Array) -> None:
        self._source, self._every_page, self.plain = source, every_page, plain
        self.numbers: list[Numbers] = []
        # the largest byte of each colour file of 16 bits, of which Pillow keeps the upper 8
        self.colours: list[int] = []
        self.animations: list[int] = []
        self._bits = asked_bits()
        self._full = False  # whether some file needs all 16 bits: then no other has to be measured

    def __call__(self, number: int) -> tuple[int, ...]:
        """Return the pages of a file that are images; what cannot be read has one, of which decoding says
        why.
        """
        with contextlib.suppress(Skip), faults():
            source = self._source(number)
            if isinstance(source, bytes):
                return self._looked(number, source, source[:HEAD])
            # A camera's raw file is a TIFF by its first bytes, and holds no finished picture.
            if os.path.isfile(source) and not is_raw(source.name):
                with open_to_read(source) as file:
                    head = file.read(HEAD)
                return self._looked(number, source, head)
        return (0,)

    def _looked(self, number: int, source: Path | bytes, head: bytes) -> tuple[int, ...]:
        if head[:4] in _TIFF:
            # Only a TIFF has pages; other formats have frames of an animation.
            pages = self._tiff(source)
            if self._every_page or len(pages) == 1:
                return pages
            self.animations.append(number)
        elif _animated(source, head):
            self.animations.append(number)
        # The byte after width and height is the depth, 16 here; opening all PNGs to ask would take far
        # longer.
        if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10":
            with open_image(source) as image:
                self._measure(image)
        elif head[:4] not in _TIFF and not _animated(source, head):
            self.plain[number] = recognised(head, source.name if isinstance(source, Path) else "")
        return (0,)

    def _tiff(self, source: Path | bytes) -> tuple[int, ...]:
        pages = []
        # what breaks further on spoils no page before it
        with open_image(source) as image, contextlib.suppress(Skip), faults():
            for page in range(min(int(getattr(image, "n_frames", 1)), PAGES)):
                # The first page counts even if it is called a thumbnail: it is what viewers show.
                if page and _is_side_page(image, page):
                    continue
                pages.append(page)
                with contextlib.suppress(Skip), faults():
                    check_size(image)
                    self._measure(image)
                _forget(image)
        return tuple(pages) or (0,)

    def _measure(self, image: Image.Image) -> None:
        """Remember the range of `image` where it is deep, or a colour image of 16 bits."""
        if is_deep(image):
            # A camera with 12 bits often says so in the file; 16 says nothing, as it is what programs write
            # by default.
            declared = _bits(image) if 8 < _bits(image) < 16 else 0
            # its values need not be looked at
            if image.mode != "F" and (self._full or self._bits or declared):
                self.numbers.append(Numbers(True, 0, 2.0 ** (declared or 16) - 1, declared))
                return
            with room(image):
                values = np.asarray(image)
                low, high = float(values.min()), float(values.max())
            self.numbers.append(Numbers(values.dtype.kind != "f", low, high))
            # One file that needs all 16 bits decides for the folder, and the others need no look.
            self._full |= FULL < self.numbers[-1].high <= 65_535 and self.numbers[-1].whole
        elif (image.format == "PNG" or _bits(image) == 16) and max(self.colours, default=0) <= _DARK:
            with room(image):
                self.colours.append(int(np.asarray(image.convert("RGB")).max()))

    def notes(self, pages: Mapping[int, tuple[int, ...]], scale: Scale) -> list[str]:
        """Return what people should know, one line each."""
        lines = []
        if pages:
            files = f"{len(pages):,} file{'s' * (len(pages) != 1)} of several pages"
            lines.append(f"{files}: each page is an image, {sum(map(len, pages.values())):,} together")
        if self.animations:
            kind = "animated" if self._every_page else "of several frames or pages"
            source = self._source(min(self.animations))
            one = f" (one of them: {source.name})" if isinstance(source, Path) else ""
            lines.append(f"{len(self.animations):,} {kind}: of each the first is read{one}")
        known = [one for one in self.numbers if not one.fault]
        high = max((one.high for one in known if one.whole), default=0)
        if self._bits is None and high and scale.bits < 16:
            seen = f"deep images with values up to {high:,.0f}: read as {scale.bits}-bit"
            lines.append(f"{seen}, white is {2**scale.bits - 1:,}; {VARIABLE}=16 reads them as 16-bit")
        if scale.white not in (0, 1):
            lines.append(
                f"images of floats up to {max(one.high for one in known if not one.whole):,.6g}: white "
                f"is {scale.white:,.0f}"
            )
        if self.colours and max(self.colours) <= _DARK:
            bits = 8 + max(max(self.colours).bit_length(), 1)
            lines.append(
                f"colour images of 16 bits that use only {bits} come out dark: scale them and save them "
                "with 8 bits per channel"
            )
        return lines


class Stacks:
    """Files of several pages that stay open for a while: the way to a page leads through all the pages before
    it.
    """

    MOST = 8

    def __init__(self) -> None:
        self._open: OrderedDict[Path, Image.Image] = OrderedDict()
        self._lock = threading.Lock()

    def decode(self, source: Path | bytes, page: int, shape: Shape, scale: Scale, half: str = "") -> Array:
        """Return `page` of the file as (C, H, W) uint8; see `genzoo.data.decode.decode`."""
        if isinstance(source, bytes):
            with faults(), open_image(source) as image:
                return _page(image, page, shape, scale, half)
        with self._lock, faults():
            # Taken out and put back at the end: the order of the dict is the order of use.
            image = self._open.pop(source, None) or open_image(source)
            self._open[source] = image
            while len(self._open) > self.MOST:
                self._open.popitem(last=False)[1].close()
            return _page(image, page, shape, scale, half)

    def close(self) -> None:
        """Close all files."""
        for image in self._open.values():
            image.close()
        self._open.clear()


def _page(image: Image.Image, page: int, shape: Shape, scale: Scale, half: str) -> Array:
    image.seek(page)
    check_size(image)
    with room(image):
        image.load()
        pixels = fit(halved(eight_bit(image, scale), half), shape)
    _forget(image)
    return pixels


def _forget(image: Image.Image) -> None:
    """Give back the pixels of the page that was decoded, while the file stays open: no page is decoded
    twice.
    """
    image.im = None  # type: ignore[assignment]


def _animated(source: Path | bytes, head: bytes) -> bool:
    """Whether the file has several frames, of which the first is read."""
    if head[:4] == b"GIF8":
        with open_image(source) as image:
            return bool(getattr(image, "is_animated", False))
    # Bit 1 of the flags of VP8X; acTL stands before the pixels of an animated PNG; avis is the brand of an
    # AVIF sequence.
    moving_webp = head[:4] == b"RIFF" and head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 2)
    moving_png = head[:4] == b"\x89PNG" and b"acTL" in head
    return moving_webp or moving_png or head[8:12] == b"avis"


def _is_side_page(image: Image.Image, page: int) -> bool:
    """Go to `page`, and return whether it is a smaller copy or a mask of another."""
    image.seek(page)
    return bool(int(_tag(image, _SUBFILE, 0)) & (_REDUCED | _MASK))


def _tag(image: Image.Image, number: int, default: Any) -> Any:
    tags = getattr(image, "tag_v2", None)
    return default if tags is None else tags.get(number, default)


def _bits(image: Image.Image) -> int:
    """Return the bits per channel that a TIFF declares, 0 for other formats."""
    bits = _tag(image, _DEPTH, 0)
    return int(bits[0] if isinstance(bits, tuple) else bits)
