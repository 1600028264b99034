"""Arrays in files that are ours alone: others may neither write nor swap them, and each ends in a digest of
the whole.

A file is one line of JSON, the rows (int64), the pixels (uint8) and the sha256 of all that. It is read into
memory as a whole: of a memory map, a file that is shortened or written to meanwhile would end or change a
running training.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from genzoo import files
from genzoo.data.memory import check_memory
from genzoo.data.types import Array
from genzoo.files import atomic_write, make_folder, storage

HEAD = 1 << 16  # bytes of the first line, at most
_WHOLE = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Sealed:
    """What a file holds: pixels (N, C, H, W) uint8, N rows, and whatever else stands in its first line."""

    pixels: Array
    rows: tuple[int, ...]
    about: Mapping[str, Any]


def own_folder(path: Path) -> Path:
    """Return the folder `path`, created if missing, that nobody else can write to (0700).

    Raises:
        StorageError: it is a link, another user's, or open to others for good.
    """
    make_folder(path.parent)
    with storage("use", path):
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        if sys.platform == "win32":
            return path
        # Checked through the handle: the name could be swapped for a link between two calls.
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            status = os.fstat(handle)
            # The umask, or an older genzoo, may have made it with other rights.
            if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != 0o700:
                os.fchmod(handle, 0o700)
            # Once more: some file systems accept chmod and ignore it.
            if not _ours(os.fstat(handle)):
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        finally:
            os.close(handle)
    return path


def write_sealed(path: Path, about: Mapping[str, Any], rows: Array, pixels: Array) -> None:
    """Write a sealed file with `about` (small, as JSON), `rows` (N,) int64 and `pixels` (N, C, H, W) uint8.

    Raises:
        StorageError: see `genzoo.files.atomic_write`.
    """
    head = json.dumps({**about, "shape": list(pixels.shape)}).encode() + b"\n"
    parts = (
        memoryview(head),
        # A fixed byte order: a home folder may be shared by machines of both kinds.
        np.ascontiguousarray(rows, "<i8").data.cast("B"),
        np.ascontiguousarray(pixels).data.cast("B"),
    )

    def write(file: BinaryIO) -> None:
        if hasattr(os, "fchmod"):
            # Before anything is written: the pixels may come from data that others must not read.
            os.fchmod(file.fileno(), 0o600)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
            file.write(part)
        file.write(digest.digest())

    with storage("write", path):
        with contextlib.suppress(FileNotFoundError):
            if not (stat.S_ISREG(mode := path.lstat().st_mode) or stat.S_ISDIR(mode)):
                path.unlink()  # a link leads to what is none of ours, a pipe would wait
    atomic_write(path, write)


def read_sealed(path: Path, what: str) -> Sealed | None:
    """Return what the sealed file `path` holds, or None where there is none that is whole, ours and closed to
    others.

    Raises:
        DataError: it needs more memory than is free; `what` is named.
    """
    flags = (
        # No link, and no waiting for a writer if it is a pipe.
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        with open(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not _ours(status):
                return None
            head = file.readline(HEAD)
            about = json.loads(head)
            shape = tuple(about.pop("shape"))
            count = _volume(shape)
            # A truncated file is refused before memory for its pixels is taken.
            if status.st_size != len(head) + 8 * shape[0] + count + _WHOLE:
                return None
            check_memory(count + 8 * shape[0], what)
            rows, pixels = np.empty(shape[0], "<i8"), np.empty(shape, np.uint8)
            digest = hashlib.sha256(head)
            for part in (rows.data.cast("B"), pixels.data.cast("B")):
                file.readinto(part)
                digest.update(part)
            return (
                Sealed(pixels, tuple(rows.tolist()), about)
                if file.read(_WHOLE + 1) == digest.digest()
                else None
            )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # absent or damaged: it is made again


def sweep(folder: Path, pattern: str, keep: Path) -> None:
    """Remove what matches `pattern` in `folder` except `keep`, and the temporary files that killed processes
    left there.
    """
    for path in folder.glob(pattern):
        if path != keep:
            with contextlib.suppress(OSError):
                path.unlink()
    files.sweep(folder)


def _ours(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user, and nobody else may write to it."""
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def _volume(shape: tuple[Any, ...]) -> int:
    # The numbers come from a file: their product must not be astronomically large, and True is an int.
    if len(shape) != 4 or not all(type(size) is int and 0 < size < 1 << 40 for size in shape):
        raise ValueError(f"no shape of images: {shape}")
    volume: int = shape[0] * shape[1] * shape[2] * shape[3]
    return volume
