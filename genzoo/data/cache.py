"""Decoded images on disk, so that no epoch and no second run decodes anything twice.

`GENZOO_CACHE/data/decoded-<user>/<place>-<key>.images` holds them (see `genzoo.data.sealed`), once it has
grown (see `genzoo.data.growing`). The key covers all that the pixels depend on: the content of the sources,
what is made of them, and the libraries that decode. The place says whose pixels they are: when a folder has
changed, what is still true of its earlier copy is taken over, and that copy is removed. What is damaged is
made again; a cache that cannot be written costs one line on stderr and nothing else, as long as the memory
has room.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL
from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin, features

import genzoo
from genzoo.data.decode import UNREADABLE, VERSION, openers
from genzoo.data.frames import Frames, Loaded, Room, kept_frames
from genzoo.data.growing import FullError, Growing
from genzoo.data.notes import note
from genzoo.data.pool import decode_all
from genzoo.data.sealed import MAPPED, own_folder, read_sealed, sweep
from genzoo.data.types import Array
from genzoo.errors import DataError, StorageError
from genzoo.files import cache_dir
from genzoo.locks import locked

__all__ = ["Decoded", "Loaded", "Make", "Room", "cached", "kept_frames", "key_of", "manner_of", "place_of"]

Make: TypeAlias = "Callable[[Room], Loaded]"

LIBRARIES = ("jpg", "libjpeg_turbo", "zlib", "webp", "libtiff", "avif", "jpg_2000")


@dataclass(frozen=True)
class Decoded:
    """Pixels (N, C, H, W) uint8, read-only, the rows (N,) of the source they came from, and why the others
    were left out; what else was kept with them, by image and as a whole.
    """

    pixels: Array
    rows: Array
    skipped: Mapping[str, int]
    columns: Mapping[str, Array] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


def key_of(*parts: object) -> str:
    """Return 32 hex digits for `parts` and all that decides how images are decoded here.

    The parts must have a faithful repr: texts, numbers and tuples of them.
    """
    return _short((_decoders(), parts), 32)


def place_of(*parts: object) -> str:
    """Return 16 hex digits for the place (a path, a shape) of which only the newest decoded copy is kept."""
    return _short(parts, 16)


def manner_of(*parts: object) -> str:
    """Return 32 hex digits for how images are decoded, apart from what they are made from."""
    return key_of("manner", *parts)


def cached(key: str | None, make: Make, what: str = "data", place: str = "") -> Decoded:
    """Return what `make` returned when it was last called for `key`, or call it; a `key` of None keeps
    nothing.

    Two callers share one array in memory while one of them holds it. What was kept for `place` under another
    key is removed. Another process that decodes the same is waited for.

    Args:
        key: from `key_of`, or None.
        make: calls the room that it is given with a `genzoo.data.frames.Task`, and returns what became of it.
        what: the name of the data, for messages.
        place: from `place_of`, or "" for pixels that belong to no place.
    """
    found = (_shared(key) or _load(key, what, place)) if key else None
    if found:
        return found
    if key is None:
        return _in_memory(None, make)
    stem = place or ANYWHERE
    try:
        folder = own_folder(_folder())
        with locked(folder / f"{stem}-{key if stem == ANYWHERE else 'busy'}.lock"):
            return _load(key, what, place) or _kept(folder, key, make, what, stem)
    except StorageError as error:
        if isinstance(error, FullError) and error.large:
            raise
        _not_kept(error)
        return _in_memory(key, make)


def _not_kept(error: StorageError) -> None:
    note(f"decoded images are not kept: {error.message}; set GENZOO_CACHE to a folder that can be written")


ANYWHERE = "anywhere"


def _in_memory(key: str | None, make: Make) -> Decoded:
    loaded = make(decode_all)
    # Only now is it known which files were images.
    loaded.frames.keep(loaded.rows)
    if not isinstance(loaded.frames, Frames):
        raise TypeError("images in memory are in Frames")
    return _share(key, _decoded(loaded, loaded.frames.pixels))


def _decoded(loaded: Loaded, pixels: Array) -> Decoded:
    rows = np.asarray(loaded.rows, np.int64)
    return Decoded(pixels, rows, dict(loaded.skipped), loaded.columns, loaded.about)


def _kept(folder: Path, key: str, make: Make, what: str, stem: str) -> Decoded:
    with Growing(folder, stem, key) as growing:
        loaded = make(growing.fill)
        loaded.frames.keep(loaded.rows)
        if isinstance(loaded.frames, Frames):  # they were in memory before
            growing.store(loaded.frames.pixels)
        # The key was made before decoding: pixels of a newer file would be found under the old content.
        # Permissions change without a trace in the key.
        if not growing.steady or UNREADABLE in loaded.skipped:
            return _passing(growing, loaded, what)
        path = folder / _name(stem, key)
        try:
            growing.finish(loaded, path)
        except FullError:
            raise
        except StorageError as error:
            _not_kept(error)
            return _share(key, _decoded(loaded, growing.pixels()))
    if stem != ANYWHERE:
        sweep(folder, stem, keep=f"{stem}-{key}")
    found = _load(key, what, stem)
    if found is None:
        raise StorageError(f"cannot read {path}, which was just written", "check the disk")
    return found


def _passing(growing: Growing, loaded: Loaded, what: str) -> Decoded:
    """Return images that are not kept as a whole: the pieces are, of which nothing changed."""
    large = growing.large
    if not growing.steady and large:
        raise DataError(
            f"{what} changed while it was read",
            "type the same again: what has not changed is kept and is not decoded anew",
        )
    if not growing.steady:
        note(f"{what} changed while it was read; its decoded images are not kept")
    return _share(None, _decoded(loaded, growing.pixels()))


# Decoded without its pixels: those live as long as they are in use
_alive: dict[str, tuple[weakref.ref[Array], Decoded, Path | None]] = {}


def _share(key: str | None, decoded: Decoded, path: Path | None = None) -> Decoded:
    # A view keeps its owner alive, not itself: a weak reference to the view would die at once.
    base = decoded.pixels.base
    owner = base if isinstance(base, np.ndarray) else decoded.pixels
    # Several callers share the array, so a caller that writes into it would change the images of the others.
    decoded.pixels.setflags(write=False)
    if key is not None:
        owner.setflags(write=False)
        rest = Decoded(np.empty(0), decoded.rows, decoded.skipped, decoded.columns, decoded.about)
        _alive[key] = (weakref.ref(owner, lambda _: _alive.pop(key, None)), rest, path)
    return decoded


def _shared(key: str) -> Decoded | None:
    reference, rest, _ = _alive.get(key, (None, None, None))
    owner = reference() if reference else None
    if owner is None or rest is None:
        return None
    return Decoded(owner[: len(rest.rows)], rest.rows, rest.skipped, rest.columns, rest.about)


def stretch_of(pixels: Array) -> tuple[Path, str] | None:
    """Return the kept file that `pixels` are a stretch of, if it is mapped, and a name for the stretch."""
    for reference, rest, path in list(_alive.values()):
        owner = reference()
        if path is None or owner is None or not (pixels is owner or pixels.base is owner):
            continue
        if not pixels.flags.c_contiguous:
            return None
        begin = (pixels.ctypes.data - owner.ctypes.data) // max(1, pixels[:1].nbytes)
        if pixels.shape[1:] == tuple(rest.about["shape"]):
            return path, f"{begin}+{len(pixels)}"
    return None


def _load(key: str, what: str, place: str) -> Decoded | None:
    folder = _folder()
    paths = [folder / _name(place, key)]
    with contextlib.suppress(OSError):
        # of a folder that was moved or copied
        paths += sorted(path for path in folder.glob(f"*-{key}.images") if path not in paths)
    for path in paths:
        found = read_sealed(path, what, key)
        if found is None:
            continue
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            skipped = {str(reason): int(count) for reason, count in found.about["skipped"].items()}
            large = found.pixels.nbytes > MAPPED
            about = {**found.about, "shape": list(found.pixels.shape[1:])}
            decoded = Decoded(found.pixels, found.columns["rows"], skipped, found.columns, about)
            return _share(key, decoded, path if large else None)
    return None


def folder_of() -> Path | None:
    """Return the folder of what is kept, or None where there can be none."""
    with contextlib.suppress(StorageError):
        return own_folder(_folder())
    return None


def _folder() -> Path:
    # A folder per user: in a shared cache no user reads pixels that another could have written.
    user = str(os.geteuid()) if hasattr(os, "geteuid") else "own"
    return cache_dir() / "data" / f"decoded-{user}"


def _name(place: str, key: str) -> str:
    return f"{place or ANYWHERE}-{key}.images"


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
