"""A file of decoded images that grows: what is decoded is kept at once, so that a killed run loses one piece.

`<place>-<key>.growing` has the images at their final places, and behind them the tags of all (see
`genzoo.data.frames.Task`) and the order in which they are decoded. That order is cut into pieces. When all
images of a piece are written, `<place>-<key>.journal` gets one line with the sha256 of the piece; a piece
without a line, or whose pixels do not agree with it, is decoded again. So are its images that were made from
a file that changed meanwhile. Images that another file of the same place has, finished or not, are copied:
ten files added to a folder are ten images to decode.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from genzoo.data.decode import UNREADABLE
from genzoo.data.earlier import Earlier
from genzoo.data.frames import Loaded, Progress, Task
from genzoo.data.journal import GROWING, JOURNAL, Head, Journal, pieces_of
from genzoo.data.memory import check_memory, size_words
from genzoo.data.pool import counted, decode_rows, showing
from genzoo.data.sealed import MAPPED, TAGS, Foot, mapped, seal
from genzoo.data.seen import mark_seen
from genzoo.data.types import Array, Shape
from genzoo.errors import DataError, StorageError
from genzoo.files import put_in_place, storage
from genzoo.safe_open import open_to_write

MOVED = 1 << 24  # bytes that are moved at a time
SPARE = 1 << 26  # bytes of the disk that stay free


class FullError(StorageError):
    """A disk without room; `large` where the images are so many that they were not to be in memory."""

    large = False


class Growing:
    """Room for images in a file of `folder`, which becomes that of the `key` at `place`."""

    def __init__(self, folder: Path, place: str, key: str) -> None:
        self.folder, self.place, self.key = folder, place, key
        self.stem = f"{place}-{key}"
        self.steady = True  # whether nothing changed while it was decoded
        self._path = folder / f"{self.stem}{GROWING}"
        self._file: BinaryIO | None = None
        self._shape: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._tags: Array | None = None
        self._manner = ""

    def __enter__(self) -> Growing:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def fill(self, job: Task) -> Loaded:
        """Decode the images of `job` that are not decoded yet; see `genzoo.data.frames.Room`.

        Raises:
            FullError: the disk has no room for them.
            StorageError: they cannot be written.
            DataError: too large for the memory, into which up to `MAPPED` bytes are read at the end.
        """
        size = job.count * int(np.prod(job.shape))
        if size <= MAPPED:
            check_memory(size, job.what)
        with self._written(job.what):
            head = Head.of(self.key, job)
            file, journal = self._begin(head, job)
            reasons = journal.finished(file, head, job.arrival)
            self._check_room(size)
        done = self._decode(job, head, file, journal, reasons)
        good = np.ones(job.count, bool)
        good[[*done]] = False
        return Loaded(self, np.flatnonzero(good), counted(done))

    def _begin(self, head: Head, job: Task) -> tuple[BinaryIO, Journal]:
        path = self._path
        with contextlib.suppress(FileNotFoundError):
            if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
                path.unlink()  # a link leads to what is none of ours, a pipe would wait
        self._file = file = os.fdopen(open_to_write(path), "r+b")
        if hasattr(os, "fchmod"):
            # Before anything is written: the pixels may come from data that others must not read.
            os.fchmod(file.fileno(), 0o600)
        self._shape, self._tags, self._manner = (job.count, *job.shape), job.tags, job.manner
        journal = Journal(path.with_suffix(JOURNAL))
        if not journal.goes_on(head) or file.seek(0, os.SEEK_END) < head.size:
            file.truncate(0)
            file.truncate(head.pixels)  # a hole: the disk is filled as images come
            file.seek(head.pixels)
            for column in (job.tags, job.arrival):
                if column is not None:
                    file.write(np.ascontiguousarray(column).data.cast("B"))
            file.flush()
            journal.begin(head)
        return file, journal

    @property
    def large(self) -> bool:
        """Whether the images are too many to be read into memory."""
        return int(np.prod(self._shape, dtype=np.int64)) > MAPPED

    def _full(self, why: str) -> FullError:
        hint = "free some space, or set GENZOO_CACHE to a folder on another disk, and type the same again"
        error = FullError(f"cannot write {self._path}: the disk is full; {why}", hint)
        error.large = self.large
        return error

    def _check_room(self, size: int) -> None:
        status = os.stat(self._path)
        needed = size - 512 * getattr(status, "st_blocks", 0)
        free = shutil.disk_usage(self.folder).free
        if needed + SPARE > free and needed > 0:
            raise self._full(
                f"the images need {size_words(needed)}; {size_words(free)} are free, of which "
                f"{size_words(SPARE)} stay free"
            )

    @contextlib.contextmanager
    def _written(self, what: str, done: int = 0, count: int = 0) -> Iterator[None]:
        try:
            with storage("write", self._path):
                yield
        except StorageError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise self._full(f"{done:,} of {count:,} images of {what} are decoded and kept") from error

    def _decode(
        self, job: Task, head: Head, file: BinaryIO, journal: Journal, done: dict[int, dict[int, str]]
    ) -> dict[int, str]:
        """Decode the pieces that are not `done`, and return the reason of each image that is none."""
        reasons = {row: why for piece in done.values() for row, why in piece.items()}
        pieces = pieces_of(job.count, head.piece, job.arrival)
        ready = sum(len(pieces[number]) for number in done)
        with (
            Earlier(self.folder, self.place, self.stem, job) as earlier,
            showing(job.count, f"decoding {job.what}", job.progress) as show,
        ):
            for number in sorted({*range(len(pieces))} - {*done}):
                rows = pieces[number]
                pixels = np.empty((len(rows), *job.shape), np.uint8)
                found = _piece(job, rows, pixels, earlier, partial(_shift, show, ready, job.count))
                with self._written(job.what, ready, job.count):
                    _put(file, rows, pixels)
                if self._is_steady(job, rows, found):
                    self._note(job, journal, number, pixels, found)
                reasons |= found
                ready += len(rows)
                show(ready, job.count)
        return reasons

    def _note(self, job: Task, journal: Journal, number: int, pixels: Array, found: dict[int, str]) -> None:
        with self._written(job.what):
            journal.note(number, hashlib.sha256(pixels.data).hexdigest(), found)

    def _is_steady(self, job: Task, rows: Array, reasons: dict[int, str]) -> bool:
        """Whether the piece `rows` is what its tags say: its files did not change, and could be read."""
        steady = job.steady is None or all(map(job.steady, rows.tolist()))
        self.steady &= steady
        return steady and UNREADABLE not in reasons.values()

    def keep(self, places: Sequence[int] | Array) -> None:
        """Keep the images at `places` (ascending) and forget the others."""
        count = len(places)
        if count == self._shape[0] or self._file is None:
            return
        # They move to other places: what the journal says is true no more.
        with storage("write", self._path):
            self._path.with_suffix(JOURNAL).unlink(missing_ok=True)
            _close_up(self._file, np.asarray(places, np.int64), self._shape[1:])
        self._shape = (count, *self._shape[1:])
        if self._tags is not None:
            self._tags = self._tags[np.asarray(places, np.int64)]

    def finish(self, loaded: Loaded, target: Path) -> None:
        """Make the file that of `target`, with what `loaded` has besides."""
        file = self._opened()
        columns = {"rows": np.asarray(loaded.rows, np.int64), **loaded.columns}
        if self._tags is not None:
            columns[TAGS] = self._tags
        about = {**loaded.about, "key": self.key, "manner": self._manner, "skipped": dict(loaded.skipped)}
        with self._written(target.name):
            seal(file, Foot(self._shape, columns, about))
            if sys.platform == "win32":  # which renames no open file
                file.close()
            put_in_place(self._path, target)
            mark_seen(target, os.stat(target))
            self._path.with_suffix(JOURNAL).unlink(missing_ok=True)

    def store(self, pixels: Array) -> None:
        """Take `pixels` (N, C, H, W) that are in memory."""
        with self._written(""):
            self._path.unlink(missing_ok=True)
            self._file = os.fdopen(open_to_write(self._path, new=True), "r+b")
            self._check_room(pixels.nbytes)
            self._shape = tuple(pixels.shape)
            self._file.write(np.ascontiguousarray(pixels).data.cast("B"))

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise DataError("no images were decoded")
        return self._file

    def pixels(self) -> Array:
        """Return the images of a file that is not finished: in memory, or mapped where they are many."""
        file = self._opened()
        file.flush()
        if self.large:
            return mapped(file, self._shape)
        pixels = np.empty(self._shape, np.uint8)
        file.seek(0)
        file.readinto(pixels.data.cast("B"))  # type: ignore[attr-defined]
        return pixels


def _shift(show: Progress, before: int, count: int, done: int) -> None:
    """Show that `done` images are done after those before."""
    show(before + done, count)


def _piece(
    job: Task, rows: Array, pixels: Array, earlier: Earlier, show: Callable[[int], None]
) -> dict[int, str]:
    """Copy or decode the images `rows` into `pixels`, and return the reason of each that is none."""
    missing = earlier.copy(rows, pixels)
    if len(missing) == len(rows):
        return decode_rows(job, rows, pixels, show)
    if not len(missing):
        return {}
    room = np.empty((len(missing), *job.shape), np.uint8)
    reasons = decode_rows(job, rows[missing], room, show)
    pixels[missing] = room
    return reasons


def _put(file: BinaryIO, rows: Array, pixels: Array) -> None:
    """Write `pixels` (n, C, H, W) at the places `rows` of the file, stretch by stretch."""
    each = pixels[0].nbytes
    ends = [*(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    start = 0
    for end in ends:
        file.seek(int(rows[start]) * each)
        file.write(pixels[start:end].data.cast("B"))
        start = end
    file.flush()


def _close_up(file: BinaryIO, places: Array, shape: Shape) -> None:
    """Move the images at `places` to the beginning of the file."""
    each = shape[0] * shape[1] * shape[2]
    step = max(1, MOVED // each)
    first = int(np.argmax(places != np.arange(len(places)))) if len(places) else 0
    for start in range(first, len(places), step):
        part = places[start : start + step]
        stretch = np.empty((int(part[-1] - part[0]) + 1, each), np.uint8)
        file.seek(int(part[0]) * each)
        file.readinto(stretch.data.cast("B"))  # type: ignore[attr-defined]
        file.seek(start * each)
        file.write(stretch[part - part[0]].data.cast("B"))
    file.flush()
