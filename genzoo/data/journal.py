"""Which pieces of a growing file of images are done: a line for each, which a killed process has written or
not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from genzoo.data.frames import Task
from genzoo.data.types import Array
from genzoo.safe_open import open_to_read, open_to_write

GROWING, JOURNAL = ".growing", ".journal"
VERSION = 1
PIECES = 50  # of a set at least: a killed run loses a fiftieth
LEAST, MOST = 16, 4096  # images of a piece
ROOM = 1 << 25  # bytes of a piece, which is in memory while it is decoded


@dataclass(frozen=True)
class Head:
    """The first line of a journal: what the growing file will hold."""

    key: str
    count: int
    shape: tuple[int, int, int]
    manner: str
    tagged: int  # bytes of the tag of an image
    arrives: bool  # whether the order of decoding is in the file
    piece: int  # images of one

    @classmethod
    def of(cls, key: str, job: Task) -> Head:
        """Return the head for `job`."""
        each = int(np.prod(job.shape))
        piece = max(min(max(job.count // PIECES, LEAST), MOST, ROOM // each), 1)
        tagged = 0 if job.tags is None else job.tags.shape[1]
        return cls(key, job.count, job.shape, job.manner, tagged, job.arrival is not None, piece)

    @property
    def each(self) -> int:
        """Bytes of one image."""
        return int(np.prod(self.shape))

    @property
    def pixels(self) -> int:
        """Bytes of all images."""
        return self.count * self.each

    @property
    def size(self) -> int:
        """Bytes of the growing file."""
        return self.pixels + self.count * (self.tagged + 8 * self.arrives)

    @property
    def line(self) -> bytes:
        """The head as the line of JSON."""
        return json.dumps({"version": VERSION, **self.__dict__}).encode() + b"\n"


def pieces_of(count: int, piece: int, arrival: Array | None) -> list[Array]:
    """Return the places of the images of each piece, in the order in which they are decoded."""
    order = np.arange(count) if arrival is None else np.asarray(arrival, np.int64)
    return [order[start : start + piece] for start in range(0, count, piece)]


class Journal:
    """The lines of a growing file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def goes_on(self, head: Head) -> bool:
        """Whether the journal is one of `head`."""
        with contextlib.suppress(OSError), open_to_read(self._path) as file:
            return file.readline(1 << 16) == head.line
        return False

    def begin(self, head: Head) -> None:
        """Begin anew."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        with os.fdopen(open_to_write(self._path, new=True), "wb") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), 0o600)
            file.write(head.line)

    def note(self, number: int, digest: str, reasons: dict[int, str]) -> None:
        """Add the line of a piece that is written."""
        line = {"piece": number, "sha256": digest, "none": {str(row): why for row, why in reasons.items()}}
        with os.fdopen(open_to_write(self._path, append=True), "ab") as file:
            file.write(json.dumps(line).encode() + b"\n")

    def head(self) -> Head:
        """Return the head.

        Raises:
            OSError, ValueError, TypeError, KeyError: there is none.
        """
        with open_to_read(self._path) as file:
            known = json.loads(file.readline(1 << 16))
        if known.pop("version") != VERSION:
            raise ValueError("another version")
        found = Head(**{**known, "shape": tuple(known["shape"])})
        if found.line != Head(**found.__dict__).line or min(found.count, found.each, found.piece) < 1:
            raise ValueError("no head")
        return found

    def finished(self, file: BinaryIO, head: Head, arrival: Array | None) -> dict[int, dict[int, str]]:
        """Return the numbers of the pieces whose pixels in the growing `file` are those that were written,
        each with its images that are none and why.
        """
        pieces = pieces_of(head.count, head.piece, arrival)
        found = {}
        for line in self._lines():
            with contextlib.suppress(ValueError, TypeError, KeyError, IndexError, AttributeError):
                said = json.loads(line)
                rows = pieces[int(said["piece"])]
                if said["sha256"] == hashlib.sha256(read_rows(file, rows, head.each).data).hexdigest():
                    found[int(said["piece"])] = {int(row): str(why) for row, why in said["none"].items()}
        return found

    def _lines(self) -> Iterator[bytes]:
        with contextlib.suppress(OSError), open_to_read(self._path) as file:
            file.readline(1 << 16)
            # A line that a killed process has half written does not end.
            yield from (line for line in file if line.endswith(b"\n"))


def read_rows(file: BinaryIO, rows: Array | Sequence[int], each: int) -> Array:
    """Return the images at the places `rows` of a file as (n, each) uint8, read stretch by stretch."""
    places = np.asarray(rows, np.int64)
    room: Array = np.empty((len(places), each), np.uint8)
    start = 0
    for end in [*(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]:
        file.seek(int(places[start]) * each)
        part: Any = room[start:end].data.cast("B")
        if file.readinto(part) != len(part):  # type: ignore[attr-defined]
            raise ValueError("cut short")
        start = end
    return room
