"""Decoded images on disk, so that no epoch and no second run decodes anything twice.

`GENZOO_CACHE/data/decoded-<user>/<place>-<key>.images` holds them (see `genzoo.data.sealed`). The key covers
all that the pixels depend on: the content of the sources, what is made of them, and the libraries that
decode. The place says whose pixels they are: when a folder has changed, the copy of what it held before is
removed. What is damaged is made again; a cache that cannot be written costs one line on stderr and nothing
else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import PIL
from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin, features

import genzoo
from genzoo.data.decode import UNREADABLE, VERSION, openers
from genzoo.data.memory import check_memory
from genzoo.data.notes import note
from genzoo.data.sealed import own_folder, read_sealed, sweep, write_sealed
from genzoo.data.types import Array, Shape
from genzoo.errors import StorageError
from genzoo.files import cache_dir

Loaded: TypeAlias = "tuple[Frames, Sequence[int], Mapping[str, int]]"

LIBRARIES = ("jpg", "libjpeg_turbo", "zlib", "webp", "libtiff", "avif", "jpg_2000")


@dataclass(frozen=True)
class Decoded:
    """Pixels (N, C, H, W) uint8, read-only, the rows of the source they came from, and why the others were
    left out.
    """

    pixels: Array
    rows: tuple[int, ...]
    skipped: Mapping[str, int]


class Frames:
    """Room in memory for images (count, C, H, W) uint8, of which some may turn out to be none."""

    def __init__(self, count: int, shape: Shape, what: str) -> None:
        check_memory(count * int(np.prod(shape)), what)
        self.pixels: Array = np.empty((count, *shape), np.uint8)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep the images at `rows` (ascending) and forget the others."""
        # In place, since a copy would need the memory twice; rows ascend, so nothing is overwritten too
        # early.
        if len(rows) < len(self.pixels):
            for new, old in enumerate(rows):
                self.pixels[new] = self.pixels[old]
            self.pixels = self.pixels[: len(rows)]


def kept_frames(pixels: Array) -> Loaded:
    """Return frames that hold `pixels` (N, C, H, W) themselves, in the form that `cached` takes."""
    # Room for nothing: the pixels exist already, and no memory is asked for.
    frames = Frames(0, (1, 1, 1), "")
    frames.pixels = pixels
    return frames, range(len(pixels)), {}


def key_of(*parts: object) -> str:
    """Return 32 hex digits for `parts` and all that decides how images are decoded here.

    The parts must have a faithful repr: texts, numbers and tuples of them.
    """
    return _short((_decoders(), parts), 32)


def place_of(*parts: object) -> str:
    """Return 16 hex digits for the place (a path, a shape) of which only the newest decoded copy is kept."""
    return _short(parts, 16)


def cached(
    key: str | None,
    make: Callable[[], Loaded],
    what: str = "data",
    place: str = "",
    unchanged: Callable[[], bool] | None = None,
) -> Decoded:
    """Return what `make` returned when it was last called for `key`, or call it; a `key` of None keeps
    nothing.

    Two callers share one array in memory while one of them holds it. What was kept for `place` under another
    key is removed.

    Args:
        key: from `key_of`, or None.
        make: decodes, and returns frames, the rows that gave an image, and how many did not by their reasons.
        what: the name of the data, for messages.
        place: from `place_of`, or "" for pixels that belong to no place.
        unchanged: whether the sources are still those that `key` was made of; asked after `make`, whose work
            is not kept if not.
    """
    found = (_shared(key) or _load(key, what, place)) if key else None
    if found:
        return found
    frames, rows, skipped = make()
    # Only now is it known which files were images.
    frames.keep(rows)
    decoded = _share(key, Decoded(frames.pixels, tuple(rows), dict(skipped)))
    if key is None or UNREADABLE in skipped:  # permissions change without a trace in the key
        return decoded
    # The key was made before decoding: pixels of a newer file would be found under the old content.
    if unchanged is not None and not unchanged():
        note(f"{what} changed while it was read; its decoded images are not kept")
        return decoded
    try:
        folder = own_folder(_folder())
        path = folder / _name(place, key)
        # The key is in the file as well: its name may have been given to another file.
        write_sealed(path, {"key": key, "skipped": dict(skipped)}, np.array(rows, np.int64), decoded.pixels)
        if place:
            sweep(folder, f"{place}-*.images", path)
    except StorageError as error:
        note(
            f"decoded images are not kept: {error.message}; set GENZOO_CACHE to a folder that can be written"
        )
    return decoded


# Decoded without its pixels: those live as long as they are in use
_alive: dict[str, tuple[weakref.ref[Array], Decoded]] = {}


def _share(key: str | None, decoded: Decoded) -> Decoded:
    # A view keeps its owner alive, not itself: a weak reference to the view would die at once.
    owner = decoded.pixels if decoded.pixels.base is None else decoded.pixels.base
    # Several callers share the array, so a caller that writes into it would change the images of the others.
    decoded.pixels.setflags(write=False)
    if key is not None and isinstance(owner, np.ndarray):
        owner.setflags(write=False)
        _alive[key] = (
            weakref.ref(owner, lambda _: _alive.pop(key, None)),
            Decoded(np.empty(0), decoded.rows, decoded.skipped),
        )
    return decoded


def _shared(key: str) -> Decoded | None:
    reference, decoded = _alive.get(key, (None, None))
    owner = reference() if reference else None
    return (
        None
        if owner is None or decoded is None
        else Decoded(owner[: len(decoded.rows)], decoded.rows, decoded.skipped)
    )


def _load(key: str, what: str, place: str) -> Decoded | None:
    folder = _folder()
    paths = [folder / _name(place, key)]
    with contextlib.suppress(OSError):
        # of a folder that was moved or copied
        paths += sorted(path for path in folder.glob(f"*-{key}.images") if path not in paths)
    for path in paths:
        found = read_sealed(path, what)
        if found is None or found.about.get("key") != key:
            continue
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            skipped = {str(reason): int(count) for reason, count in found.about["skipped"].items()}
            return _share(key, Decoded(found.pixels, found.rows, skipped))
    return None


def _folder() -> Path:
    # A folder per user: in a shared cache no user reads pixels that another could have written.
    user = str(os.geteuid()) if hasattr(os, "geteuid") else "own"
    return cache_dir() / "data" / f"decoded-{user}"


def _name(place: str, key: str) -> str:
    return f"{place or 'anywhere'}-{key}.images"


def _short(parts: object, digits: int) -> str:
    # File names that are not UTF-8 occur in the parts.
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:digits]


def _decoders() -> tuple[object, ...]:
    """Return all but source and shape that decides what an image becomes: versions, and switches that a
    program may have turned.
    """
    switches = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS, str(GifImagePlugin.LOADING_STRATEGY))
    return (
        VERSION,
        _versions(),
        openers(),
        switches,
        PngImagePlugin.MAX_TEXT_CHUNK,
        PngImagePlugin.MAX_TEXT_MEMORY,
    )


@cache
def _versions() -> tuple[str, ...]:
    # Another libjpeg decodes the same file to other pixels.
    libraries = (f"{name} {features.version(name)}" for name in LIBRARIES)
    return genzoo.__version__, PIL.__version__, np.__version__, platform.machine(), *libraries
