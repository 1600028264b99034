"""Decoded images on disk, so that no epoch and no second run decodes anything twice.

`GENZOO_CACHE/data/<key>.npy` holds the pixels, opened as a memory map; `<key>.json` the rows, the reasons of the files left out and a
checksum. Both are written whole or not at all. What is damaged is made again; a cache that cannot be written costs one line on
stderr and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from genzoo.data.decode import UNREADABLE
from genzoo.data.notes import note
from genzoo.errors import DataError, StorageError
from genzoo.files import atomic_write, cache_dir, make_folder

Array: TypeAlias = "np.ndarray[Any, Any]"
Shape: TypeAlias = "tuple[int, int, int]"


@dataclass(frozen=True)
class Decoded:
    """Pixels (N, C, H, W) uint8, the rows of the source they came from, and why the others were left out."""

    pixels: Array
    rows: tuple[int, ...]
    skipped: Mapping[str, int]


def key_of(*parts: object) -> str:
    """Return 32 hex digits for `parts`, which must have a faithful repr: texts, numbers and tuples of them."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def stat_key(path: Path) -> tuple[str, int, int]:
    """Return what tells one state of a file from another: its full path, size and time of change."""
    status = path.stat()
    return str(path.resolve()), status.st_size, status.st_mtime_ns


class Frames:
    """An array (count, C, H, W) uint8 that lies inside the bytes of its own .npy file: to save it takes no second copy."""

    HEAD = 128  # bytes, padded with spaces, so that the header can be written again for fewer images

    def __init__(self, count: int, shape: Shape, what: str) -> None:
        self._size = int(np.prod(shape))
        check_memory(count * self._size, what)
        self._bytes = bytearray(self.HEAD + count * self._size)
        self.pixels: Array = np.frombuffer(self._bytes, np.uint8, offset=self.HEAD).reshape(count, *shape)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep the images at `rows` (ascending) and forget the others."""
        if len(rows) < len(self.pixels):
            for new, old in enumerate(rows):
                self.pixels[new] = self.pixels[old]
            self.pixels = self.pixels[: len(rows)]

    def file(self) -> memoryview:
        """Return the bytes of the .npy file (format 1.0)."""
        head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {self.pixels.shape}, }}"
        text = head.ljust(self.HEAD - 11).encode("latin-1") + b"\n"
        self._bytes[: self.HEAD] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
        return memoryview(self._bytes)[: self.HEAD + len(self.pixels) * self._size]


def kept_frames(pixels: Array, what: str) -> tuple[Frames, Sequence[int], dict[str, int]]:
    """Return frames that hold a copy of `pixels` (N, C, H, W), in the form that `cached` takes."""
    count, channels, height, width = pixels.shape
    frames = Frames(count, (channels, height, width), what)
    frames.pixels[:] = pixels
    return frames, range(count), {}


def check_memory(size: int, what: str) -> None:
    """Raise DataError if `size` bytes are more than this machine has: better one line than the system's killer."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return  # Windows: numpy will say it
    if size > memory:
        need = f"{what} needs {size / 1e9:,.1f} GB of memory, and this machine has {memory / 1e9:,.1f} GB"
        raise DataError(need, "use a smaller image_shape")


def cached(key: str | None, make: Callable[[], tuple[Frames, Sequence[int], Mapping[str, int]]]) -> Decoded:
    """Return what `make` returned when it was last called for `key`, or call it; a `key` of None keeps nothing."""
    found = _load(key) if key else None
    if found:
        return found
    frames, rows, skipped = make()
    frames.keep(rows)
    decoded = Decoded(frames.pixels, tuple(rows), dict(skipped))
    if key is None or UNREADABLE in skipped:  # permissions change without a trace in the key
        return decoded
    try:
        folder = make_folder(cache_dir() / "data")
        about = {"rows": list(rows), "skipped": dict(skipped), "crc32": zlib.crc32(frames.file())}
        atomic_write(folder / f"{key}.npy", lambda file: file.write(frames.file()))
        atomic_write(folder / f"{key}.json", json.dumps(about).encode())
    except StorageError as error:
        note(f"decoded images are not kept: {error.message}; set GENZOO_CACHE to a folder that can be written")
        return decoded
    return _load(key) or decoded


def _load(key: str) -> Decoded | None:
    try:
        path = cache_dir() / "data" / f"{key}.npy"
        about = json.loads(path.with_suffix(".json").read_bytes())
        rows, skipped, expected = tuple(map(int, about["rows"])), {str(k): int(v) for k, v in about["skipped"].items()}, about["crc32"]
        if _checksum(path) != expected:
            return None
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # absent or damaged: it is made again
    good = pixels.ndim == 4 and pixels.dtype == np.uint8 and len(pixels) == len(rows)
    return Decoded(pixels, rows, skipped) if good else None


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return value
