"""What the files of a folder are, by their content, without reading all of them each time.

An index in the cache has the name, state and sha256 of each file. A file whose state (disk, inode, size, and
the times of its last change and of the last change of its state) is the same is not read again: `rsync -t`,
`cp -p`, `tar` and an editor may give a new file the size and time of the old one, not its inode or the time
of its status. A file that had changed in the two seconds before it was read is read once more, since the
clock of a file system has steps.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from genzoo.data.listing import Files, Kept, State, parts
from genzoo.data.pool import Progress, in_parallel, showing
from genzoo.data.sealed import BLOCK, DAMAGE, open_sealed
from genzoo.data.seen import write_own
from genzoo.data.types import Array
from genzoo.errors import StorageError

SUFFIX = ".index"
VERSION = 1
STEP = 2 * 10**9  # nanoseconds: the coarsest clock of a file system, that of FAT
LEAST = 4096  # files that are read between two looks at the clock
EVERY = 10.0  # seconds between two writings of an index that grows
_WHOLE = hashlib.sha256().digest_size


class Index:
    """Files with what is known of them.

    Attributes:
        files: their names and states.
        digests: (N, 32) uint8, the sha256 of each; zero where it is not known, or cannot be read.
        plain: (N,) bool, whether the file was looked into and is one image of 8 bits; see
            `genzoo.data.survey`.
    """

    def __init__(self, files: Files, path: Path | None = None) -> None:
        """Begin with what the index at `path` in the cache knows of `files`."""
        self.files, self._path, self.of = files, path, ""
        self.digests: Array = np.zeros((len(files), _WHOLE), np.uint8)
        self.plain: Array = np.zeros(len(files), bool)
        self._fresh: Array = np.zeros(len(files), bool)  # may still change within a step of the clock
        self._written = time.monotonic()
        known = files.kept if files.kept is not None and files.kept.path == path else open_kept(path)
        if known is None:
            return
        if _same(known.files, files):
            self.digests, self.plain = known.digests, known.plain > 0
        else:
            self._take_over(known)
        self.plain &= self._is_read()

    def _is_read(self) -> Array:
        """Return whether the sha256 of each file is known, (N,) bool."""
        return np.concatenate([np.zeros(0, bool), *(part.any(axis=1) for part in parts(self.digests))])

    def _take_over(self, known: Kept) -> None:
        """Take what is known of those files that are as they were."""
        places = {name: place for place, name in enumerate(known.files.names())}
        found = np.array([places.get(name, -1) for name in self.files.names()], np.int64)
        same = (found >= 0) & (known.files.states[found] == self.files.states).all(axis=1)
        self.digests[same], self.plain[same] = known.digests[found[same]], known.plain[found[same]]

    def read(self, digest: Callable[[int], bytes], what: str) -> None:
        """Fill the gaps: `digest` gives the sha256 of file i, from 0, b"" where it cannot be read; `what` is
        the name of the data, for a bar where it takes long.
        """
        missing = np.flatnonzero(~self._is_read())
        if not len(missing):
            return
        if not self.digests.flags.writeable:  # a mapped file
            self.digests = self.digests.copy()
        times = [State._fields.index(name) for name in ("st_mtime_ns", "st_ctime_ns")]
        changed = self.files.states[:, times].max(axis=1)
        with showing(len(missing), f"reading {what}") as show:
            for start in range(0, len(missing), LEAST):
                rows = missing[start : start + LEAST]
                self._fresh[rows] = changed[rows] > time.time_ns() - STEP
                self._read(rows, digest, partial(_shift, show, start, len(missing)))
                if time.monotonic() - self._written > EVERY:
                    self.save()
        self.save()

    def _read(self, rows: Array, digest: Callable[[int], bytes], show: Progress) -> None:
        def work(place: int) -> None:
            row = int(rows[place])
            if found := digest(row):
                self.digests[row] = np.frombuffer(found, np.uint8)

        in_parallel(len(rows), work, "", show)

    def note(self, plain: Array) -> None:
        """Take over which files are `plain`, (N,) bool; written at most every ten seconds."""
        if time.monotonic() - self._written > EVERY:
            self.plain = plain.copy()
            self.save()

    def save(self) -> None:
        """Write the index; where that cannot be done, the files are read again another time."""
        if self._path is None:
            return
        about = {"version": VERSION, "files": len(self.files), "names": len(self.files.blob), "of": self.of}
        kept = self.digests
        if self._fresh.any():
            kept = np.where(self._fresh[:, None], np.uint8(0), kept)
        columns = (_states(self.files), kept, self.plain.astype(np.uint8))
        written: list[bytes | memoryview] = [json.dumps(about).encode() + b"\n"]
        written += map(_bytes, (self.files.blob, *columns))
        digest = hashlib.sha256()
        for part in written:
            digest.update(part)
        with contextlib.suppress(StorageError):
            write_own(self._path, *written, digest.digest())
        self._written = time.monotonic()


def _states(files: Files) -> Array:
    """Return the states as they are written, whatever the order of bytes of the machine."""
    return np.ascontiguousarray(files.states, "<i8")


def _bytes(column: Array) -> memoryview:
    return column.reshape(-1).view(np.uint8).data


def _shift(show: Progress, before: int, count: int, done: int, _: int) -> None:
    """Show that `done` files are done after those before."""
    show(before + done, count)


def save_files(path: Path, archives: Files, files: Files) -> None:
    """Note at `path` that the `archives`, as they are, hold `files`."""
    index = Index(files)
    index._path, index.of = path, signature_of(archives)
    index.save()


def load_files(path: Path, archives: Files) -> Files | None:
    """Return what `save_files` noted of the `archives`, or None if they have changed since."""
    found = open_kept(path)
    return None if found is None or found.of != signature_of(archives) else found.files


def signature_of(archives: Files) -> str:
    """Return 64 digits for the names and states of `archives`."""
    return hashlib.sha256(archives.blob.tobytes() + archives.states.astype("<i8").tobytes()).hexdigest()


def _same(one: Files, other: Files) -> bool:
    """Whether names and states are equal."""
    if one.blob is other.blob:
        return True
    pairs = (one.blob, other.blob), (one.states, other.states)
    return all(len(own) == len(its) for own, its in pairs) and all(
        np.array_equal(*both) for own, its in pairs for both in zip(parts(own), parts(its), strict=True)
    )


def open_kept(path: Path | None) -> Kept | None:
    """Return what the index at `path` says, None where it is none of ours or damaged."""
    with contextlib.suppress(*DAMAGE):
        if path is None:
            return None
        with open_sealed(path) as file:
            head, widths, count = _head(file)
            if not _is_whole(file, len(head) + sum(widths)):
                return None
            whole = _mapped(file)
        ends = list(accumulate(widths, initial=len(head)))
        names, states, digests, plain = (whole[start:end] for start, end in pairwise(ends))
        files = Files(names, states.view("<i8").reshape(count, -1))
        of = str(json.loads(head)["of"])
        return Kept(path, files, digests.reshape(count, _WHOLE), plain, of)
    return None


def _is_whole(file: BinaryIO, size: int) -> bool:
    """Whether the first `size` bytes have the sha256 that follows them."""
    file.seek(0)
    digest = hashlib.sha256()
    for start in range(0, size, BLOCK):
        digest.update(file.read(min(BLOCK, size - start)))
    return digest.digest() == file.read(_WHOLE)


def _mapped(file: BinaryIO) -> Array:
    """Return a file as bytes that are read where they are looked at."""
    size = os.fstat(file.fileno()).st_size
    if sys.platform == "win32":  # which puts no new file in the place of a mapped one
        file.seek(0)
        return np.frombuffer(file.read(), np.uint8)
    room = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    found: Array = np.ndarray((size,), np.uint8, buffer=room)
    return found


def _head(file: BinaryIO) -> tuple[bytes, tuple[int, ...], int]:
    """Return the first line of an index, the bytes of names, states, digests and `plain`, and the number of
    files.

    Raises:
        OSError, ValueError, TypeError, KeyError: it is none, or cut short.
    """
    head = file.readline(1 << 12)
    about = json.loads(head)
    count, length = int(about["files"]), int(about["names"])
    widths = (length, 8 * len(State._fields) * count, _WHOLE * count, count)
    size = len(head) + sum(widths) + _WHOLE
    if about["version"] != VERSION or min(widths) < 0 or size != os.fstat(file.fileno()).st_size:
        raise ValueError("no index")
    return head, widths, count
