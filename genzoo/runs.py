"""The folder of a training run, read while it is written: losses, findings of the training doctor, sample
grids. Nothing here imports torch.

What is in a folder may come from anyone: every line is checked, sizes and numbers are capped, and nothing is
followed out of it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from genzoo.errors import safe_text
from genzoo.files import read_capped
from genzoo.safe_open import open_to_read, storage

LOG, SAMPLES = "log.jsonl", "samples"
MOST_CURVES, MOST_FINDINGS, MOST_GRIDS = 64, 1_000, 10_000
LONGEST_LINE = 65_536
LARGEST_GRID = 2**26  # bytes
_PIECE = 2**20  # bytes that are read at a time
_GRID = re.compile(r"step-([0-9]{1,15})\.png", re.ASCII)
_PNG = b"\x89PNG\r\n\x1a\n"


class Round(NamedTuple):
    """The losses and curves of one round."""

    step: int
    values: dict[str, float]


class Told(NamedTuple):
    """A finding of the training doctor: its kind, and what was observed."""

    step: int
    kind: str
    words: str


class News(NamedTuple):
    """What a log has new: rounds and findings, and whether it was cut or replaced, so that it starts over."""

    rounds: list[Round]
    findings: list[Told]
    restarted: bool


def is_run(folder: Path | str) -> bool:
    """Return whether `folder` has the log of a training run."""
    return os.path.isfile(os.path.join(folder, LOG))


def is_finished(folder: Path | str) -> bool:
    """Return whether the run in `folder` is over: its weights are published in it."""
    return os.path.isfile(os.path.join(folder, "zoo.toml"))


class LogReader:
    """Reads the log of the run in `folder` from where it stopped the time before."""

    def __init__(self, folder: Path | str) -> None:
        self._path = Path(folder) / LOG
        self.place, self._rest = 0, b""  # bytes that were read, and the line that they end in
        self._same: tuple[int, int] | None = None  # device and number of the file that was read

    def read(self, most: int = _PIECE) -> News:
        """Return what was logged since the last call, from at most `most` bytes; nothing where there is no
        log.

        A line that is not finished is read when it is. A line that says nothing valid is left out. After a
        run was resumed, its log is another file: then `restarted` is true, and it is read from its start.

        Raises:
            StorageError: the log cannot be read.
        """
        with storage("read", self._path):
            try:
                file = open_to_read(self._path)
            except FileNotFoundError:  # none yet, or it was moved away a moment ago
                return News([], [], False)
        with storage("read", self._path), file:
            about = os.fstat(file.fileno())
            restarted = self._same is not None and (
                self._same != (about.st_dev, about.st_ino) or about.st_size < self.place
            )
            if restarted:
                self.place, self._rest = 0, b""
            self._same = (about.st_dev, about.st_ino)
            file.seek(self.place)
            piece = file.read(most)
        self.place += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self._rest = self._rest[:LONGEST_LINE]
        found = [entry for line in lines if (entry := read_line(line)) is not None]
        return News(
            [entry for entry in found if isinstance(entry, Round)],
            [entry for entry in found if isinstance(entry, Told)],
            restarted,
        )


def read_line(line: bytes | str) -> Round | Told | None:
    """Return what a line of a log says, or None for one that is not valid: another format, too long, a step
    that is not a whole number, no value that is a number.
    """
    if len(line) > LONGEST_LINE:
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = found.pop("step", None) if isinstance(found, dict) else None
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < 2**53:
        return None
    if isinstance(kind := found.get("doctor"), str):
        return Told(step, safe_text(kind, 60), safe_text(found.get("words", ""), 1000))
    values = {safe_text(name, 60): float(value) for name, value in found.items() if _is_number(value)}
    return Round(step, dict(list(values.items())[:MOST_CURVES])) if values else None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) < 2**53


def findings(folder: Path | str) -> list[Told]:
    """Return all findings of the training doctor in the log of the run in `folder`, at most 1,000."""
    reader, found, before = LogReader(folder), list[Told](), -1
    while before < reader.place and len(found) < MOST_FINDINGS:
        before = reader.place
        found += reader.read().findings
    return found[:MOST_FINDINGS]


def grids(folder: Path | str) -> list[int]:
    """Return the steps at which the run in `folder` wrote a grid of samples, in ascending order, at most
    10,000.
    """
    try:
        with os.scandir(Path(folder) / SAMPLES) as entries:
            names = [entry.name for entry, _ in zip(entries, range(MOST_GRIDS), strict=False)]
    except OSError:  # none yet
        return []
    return sorted(int(found[1]) for name in names if (found := _GRID.fullmatch(name)))


def read_grid(folder: Path | str, step: int) -> bytes:
    """Return the PNG of the samples at `step`, one of `grids`, or empty bytes where there is none.

    A link, and a file that is no PNG, count as none: they may lead out of the folder.

    Raises:
        StorageError: it cannot be read, or is too large.
    """
    path = Path(folder) / SAMPLES / f"step-{step:07d}.png"
    if os.path.islink(path) or os.path.islink(path.parent) or not os.path.isfile(path):
        return b""
    data = read_capped(path, LARGEST_GRID)
    return data if data.startswith(_PNG) else b""
