"""Arrays in files that are ours alone: others may neither write nor swap them, and each ends in a digest.

A file is the pixels (uint8), columns of one entry per image, one line of JSON that says what they are and has
the sha256 of each block of pixels, its length and the sha256 of all but the pixels. Up to `MAPPED` bytes of
pixels are read into memory, block by block checked. A larger file is mapped, so that a set may be larger than
the memory and processes share it; its blocks are checked once, and again when the file is no longer the one
that was checked (see `genzoo.data.seen`). Nobody writes into a finished file: a new one takes its name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import mmap
import os
import stat
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from genzoo import files
from genzoo.data.memory import check_memory
from genzoo.data.seen import is_seen, mark_seen
from genzoo.data.types import Array
from genzoo.files import make_folder, storage

MAPPED = 1 << 27  # bytes of pixels: of more, the file is mapped
BLOCK = 1 << 24  # bytes of pixels, about, that have one digest
LONGEST = 1 << 26  # bytes of the line of JSON, at most
TAGS = "tags"  # the column of what the images were made from, which only those who decode anew look at
_WHOLE = hashlib.sha256().digest_size
_TAIL = 8 + _WHOLE


@dataclass(frozen=True)
class Foot:
    """What the end of a file says: the shape of the pixels, columns by name, and whatever else."""

    shape: tuple[int, int, int, int]
    columns: Mapping[str, Array] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    digests: Sequence[str] = ()

    @property
    def each(self) -> int:
        """Bytes of one image."""
        return self.shape[1] * self.shape[2] * self.shape[3]

    @property
    def step(self) -> int:
        """Images of one block."""
        return max(1, BLOCK // self.each)


@dataclass(frozen=True)
class Sealed:
    """What a file holds: pixels (N, C, H, W) uint8, columns of N entries, and whatever else its foot says."""

    pixels: Array
    columns: Mapping[str, Array]
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


def seal(file: BinaryIO, foot: Foot) -> None:
    """End `file`, which holds the pixels of `foot` and nothing that counts behind them."""
    digests = list(_digests(file, foot))
    columns = {name: _plain(column) for name, column in foot.columns.items()}
    head = {
        **foot.about,
        "shape": list(foot.shape),
        "columns": [[name, column.dtype.str, list(column.shape)] for name, column in columns.items()],
        "digests": digests,
    }
    line = json.dumps(head).encode() + b"\n"
    if len(line) > LONGEST:
        raise ValueError(f"a foot of {len(line):,} bytes")
    file.seek(foot.shape[0] * foot.each)
    file.truncate()
    digest = hashlib.sha256()
    length = len(line).to_bytes(8, "little")
    parts: list[memoryview] = [column.data.cast("B") for column in columns.values() if column.size]
    for part in (*parts, memoryview(line), memoryview(length)):
        digest.update(part)
        file.write(part)
    file.write(digest.digest())
    file.flush()


def _plain(column: Array) -> Array:
    # A fixed byte order: a home folder may be shared by machines of both kinds.
    return np.ascontiguousarray(column, column.dtype.newbyteorder("<"))


def _digests(file: BinaryIO, foot: Foot) -> Iterator[str]:
    """Yield the sha256 of each block of the pixels in `file`."""
    file.seek(0)
    room = bytearray(min(foot.step, max(foot.shape[0], 1)) * foot.each)
    for start in range(0, foot.shape[0], foot.step):
        part = memoryview(room)[: min(foot.step, foot.shape[0] - start) * foot.each]
        if file.readinto(part) != len(part):  # type: ignore[attr-defined]
            raise ValueError("cut short")
        yield hashlib.sha256(part).hexdigest()


def open_sealed(path: Path) -> BinaryIO:
    """Open a file of ours that is closed to others; OSError where `path` is none."""
    flags = (
        # No link, and no waiting for a writer if it is a pipe.
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    file = os.fdopen(os.open(path, flags), "rb")
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and _ours(status):
        return file
    file.close()
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def read_foot(file: BinaryIO, without: Container[str] = ()) -> Foot:
    """Return the foot of an open file; columns named in `without` are checked, but not kept.

    Raises:
        OSError, ValueError, TypeError, KeyError, RecursionError: it is damaged.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    length = int.from_bytes(tail[:8], "little")
    if size < _TAIL or not 0 < length <= min(size, LONGEST):
        raise ValueError("no foot")
    file.seek(size - _TAIL - length)
    line = file.read(length)
    about = json.loads(line)
    shape, listed = tuple(about.pop("shape")), about.pop("columns")
    pixels = _volume(shape)
    forms = [(name, np.dtype(kind), tuple(sizes)) for name, kind, sizes in listed]
    if any(kind.hasobject or not sizes or sizes[0] != shape[0] for _, kind, sizes in forms):
        raise ValueError("no columns")
    lengths = [kind.itemsize * _product(sizes) for _, kind, sizes in forms]
    # A truncated file is refused before memory for its columns is taken.
    if size != pixels + sum(lengths) + length + _TAIL:
        raise ValueError("cut short")
    file.seek(pixels)
    columns, digest = {}, hashlib.sha256()
    for (name, kind, sizes), wide in zip(forms, lengths, strict=True):
        if name in without:
            for start in range(0, wide, BLOCK):
                digest.update(file.read(min(BLOCK, wide - start)))
            continue
        data = file.read(wide)
        digest.update(data)
        columns[str(name)] = np.frombuffer(data, kind).reshape(sizes)
    digest.update(line + tail[:8])
    if digest.digest() != tail[8:]:
        raise ValueError("damaged")
    return Foot(shape, columns, about, about.pop("digests"))


def sound_blocks(file: BinaryIO, foot: Foot) -> list[bool]:
    """Return for each block of the pixels in `file` whether it is as it was written."""
    return [own == said for own, said in zip(_digests(file, foot), foot.digests, strict=True)]


def read_sealed(path: Path, what: str, key: str) -> Sealed | None:
    """Return what the sealed file `path` holds, or None where there is none for `key` that is whole, ours and
    closed to others.

    Raises:
        DataError: it needs more memory than is free; `what` is named.
    """
    with contextlib.suppress(*DAMAGE), open_sealed(path) as file:
        foot = read_foot(file, without=(TAGS,))
        if foot.about.get("key") != key:
            return None
        size = foot.shape[0] * foot.each
        pixels = _copied(file, foot, what) if size <= MAPPED else _mapped(file, foot, path)
        return Sealed(pixels, foot.columns, foot.about)
    return None  # absent or damaged: it is made again


DAMAGE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, IndexError)


def _copied(file: BinaryIO, foot: Foot, what: str) -> Array:
    check_memory(foot.shape[0] * foot.each, what)
    pixels = np.empty(foot.shape, np.uint8)
    file.seek(0)
    for number, start in enumerate(range(0, foot.shape[0], foot.step)):
        part = pixels[start : start + foot.step].data.cast("B")
        file.readinto(part)  # type: ignore[attr-defined]
        if hashlib.sha256(part).hexdigest() != foot.digests[number]:
            raise ValueError("damaged")
    return pixels


def _mapped(file: BinaryIO, foot: Foot, path: Path) -> Array:
    status = os.fstat(file.fileno())
    if not is_seen(path, status):
        if not all(sound_blocks(file, foot)):
            raise ValueError("damaged")
        mark_seen(path, status)
    return mapped(file, foot.shape)


def mapped(file: BinaryIO, shape: tuple[int, int, int, int]) -> Array:
    """Return the pixels at the beginning of `file` as a read-only array that is read where it is looked
    at.
    """
    room = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    found: Array = np.ndarray(shape, np.uint8, buffer=room)
    return found


def release(pixels: Array) -> None:
    """Give back the memory in which a stretch of a mapped file was read; the file keeps it. Nothing for an
    array in memory.
    """
    owner = pixels.base if isinstance(pixels.base, np.ndarray) else pixels
    room = owner.base
    if not isinstance(room, mmap.mmap) or not hasattr(room, "madvise"):
        return
    if not len(pixels) or not pixels.flags.c_contiguous:
        return
    begin = pixels.ctypes.data - owner.ctypes.data
    start = begin // mmap.PAGESIZE * mmap.PAGESIZE
    room.madvise(mmap.MADV_DONTNEED, start, begin + pixels.nbytes - start)


def sweep(folder: Path, stem: str, keep: str) -> None:
    """Remove the files in `folder` whose names begin with `stem` and not with `keep`, and the temporary files
    that killed processes left there.
    """
    for path in folder.glob(f"{stem}-*"):
        # a lock may be held, by us or by who waits for us
        if not path.name.startswith(keep) and path.suffix != ".lock":
            with contextlib.suppress(OSError):
                path.unlink()
    files.sweep(folder)


def _ours(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user, and nobody else may write to it."""
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def _volume(shape: tuple[Any, ...]) -> int:
    if len(shape) != 4:
        raise ValueError(f"no shape of images: {shape}")
    return _product(shape)


def _product(shape: tuple[Any, ...]) -> int:
    # The numbers come from a file: their product must not be astronomically large, and True is an int.
    if not all(type(size) is int and 0 < size < 1 << 40 for size in shape):
        raise ValueError(f"no shape: {shape}")
    volume = 1
    for size in shape:
        volume *= size
    return volume
