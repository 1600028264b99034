"""Images that were decoded before, for an earlier state of the same data: they are copied, not decoded."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from genzoo.data.frames import Task
from genzoo.data.journal import GROWING, JOURNAL, Journal, pieces_of, read_rows
from genzoo.data.sealed import DAMAGE, TAGS, open_sealed, read_foot, sound_blocks
from genzoo.data.seen import is_seen
from genzoo.data.types import Array

IMAGES = ".images"


@dataclass
class _Source:
    """A file that has images: the tags of those, sorted, and their places."""

    file: BinaryIO
    tags: Array
    places: Array


class Earlier:
    """The images that the files of `place` in `folder` have, but for the growing one called `own`."""

    def __init__(self, folder: Path, place: str, own: str, job: Task) -> None:
        self._job = job
        self._each = int(np.prod(job.shape))
        self._sources: list[_Source] = []
        self._open = contextlib.ExitStack()
        for path in sorted(folder.glob(f"{place}-*")) if job.tags is not None else ():
            look = {IMAGES: _finished, GROWING: _half}.get(path.suffix)
            if look is None or path.name == own + GROWING:
                continue
            with contextlib.suppress(*DAMAGE):
                file = self._open.enter_context(open_sealed(path))
                if found := look(file, path, job):
                    self._sources.append(_source(file, *found))

    def __enter__(self) -> Earlier:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def copy(self, rows: Array, pixels: Array) -> Array:
        """Put those images of `rows` (n,) that there are into `pixels` (n, C, H, W), and return the places
        in it that are left.
        """
        missing = np.arange(len(rows))
        for source in self._sources:
            if not len(missing) or self._job.tags is None:
                break
            wanted = _sortable(self._job.tags[rows[missing]])
            places = np.minimum(np.searchsorted(source.tags, wanted), len(source.tags) - 1)
            there = source.tags[places] == wanted
            found = source.places[places[there]]
            order = np.argsort(found)
            with contextlib.suppress(*DAMAGE):
                read = read_rows(source.file, found[order], self._each)
                pixels[missing[there][order]] = read.reshape(-1, *self._job.shape)
                missing = missing[~there]
        return missing


def _sortable(tags: Array) -> Array:
    # of one length, so that zeros at the end, which this kind of text does not count, make no two equal
    return np.ascontiguousarray(tags).view(f"S{tags.shape[1]}").reshape(-1)


def _source(file: BinaryIO, tags: Array, places: Array) -> _Source:
    known = _sortable(tags[places])
    order = np.argsort(known)
    return _Source(file, known[order], places[order])


_Found: TypeAlias = "tuple[Array, Array] | None"


def _finished(file: BinaryIO, path: Path, job: Task) -> _Found:
    """Return the tags of a finished file, and the places of its images, without those of damaged blocks."""
    foot = read_foot(file)
    tags = foot.columns.get(TAGS)
    if tags is None or job.tags is None or foot.shape[1:] != job.shape:
        return None
    if foot.about.get("manner") != job.manner or tags.shape[1:] != job.tags.shape[1:]:
        return None
    places = np.arange(foot.shape[0])
    if not is_seen(path, path.lstat()):
        sound = np.array(sound_blocks(file, foot), bool)
        places = places[np.repeat(sound, foot.step)[: len(places)]]
    return (tags, places) if len(places) else None


def _half(file: BinaryIO, path: Path, job: Task) -> _Found:
    """Return the tags of a growing file, and the places of the images of its finished pieces."""
    journal = Journal(path.with_suffix(JOURNAL))
    head = journal.head()
    if job.tags is None or (head.shape, head.manner) != (job.shape, job.manner):
        return None
    if head.tagged != job.tags.shape[1]:
        return None
    file.seek(head.pixels)
    tags = np.frombuffer(file.read(head.count * head.tagged), np.uint8).reshape(head.count, -1)
    arrival = np.frombuffer(file.read(8 * head.count), "<i8") if head.arrives else None
    pieces = pieces_of(head.count, head.piece, arrival)
    rows = [
        pieces[number][~np.isin(pieces[number], list(none))]
        for number, none in journal.finished(file, head, arrival).items()
    ]
    return (tags, np.sort(np.concatenate(rows))) if rows else None
