"""A source of image files, a folder or what is like one, decoded: in pieces, once for all of its splits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.data.cache import Loaded, Room, cached, folder_of, key_of, manner_of, place_of
from genzoo.data.caption_files import are_captions
from genzoo.data.collection import skipped_text
from genzoo.data.decode import HalvesError
from genzoo.data.depth import asked_bits
from genzoo.data.formats import FORMATS
from genzoo.data.frames import Task
from genzoo.data.index import SUFFIX, Index
from genzoo.data.layout import SPLITS, FolderLayout
from genzoo.data.listing import parts
from genzoo.data.notes import note
from genzoo.data.pool import Progress
from genzoo.data.source import Captioned, Folder, Source
from genzoo.data.splits import fractions
from genzoo.data.survey import PAGES, Stacks, Survey, survey
from genzoo.data.types import Array, Shape
from genzoo.errors import DataError

MOST_TOLD = 1 << 25  # characters of captions that are kept with the images
DEFAULT: Shape = (3, 64, 64)


def index_of(source: Source, cache: bool) -> Index:
    """Return what the files of `source` are by their content, which is read where it is not known yet; kept
    with `cache`.
    """
    index = Index(source.files, index_path(source.path, source.view) if cache else None)
    index.read(source.digest, source.path.name)
    return index


def index_path(path: Path, view: tuple[str, ...] = ()) -> Path | None:
    """Return the place of the index of the files at `path`, see `Source.view`, or None where there can be
    none.
    """
    folder = folder_of()
    return folder / f"{place_of('index', str(path.resolve()), view)}{SUFFIX}" if folder else None


def hex_of(index: Index) -> Iterator[str]:
    """Yield the sha256 of each file as 64 digits, its name where it cannot be read."""
    for name, digest in zip(index.files.names(), index.digests, strict=True):
        yield bytes(digest).hex() if digest.any() else name


def read_source(
    source: Source,
    shape: Shape | None,
    cache: bool = True,
    progress: Progress | None = None,
    *,
    keys: Sequence[str] | None = None,
) -> Folder:
    """Decode all images of `source` as `shape`, 3x64x64 where None is given.

    `keys`, one per file, take the place of the files' contents where order and splits are decided: those of
    both sides of a pair.

    They are kept in the order of their splits, and of the hashes of their files' contents: the held-out ones
    come first, so that both parts are views of one array, and a new file or another name moves none of the
    others to the other part.

    Raises:
        DataError: no file, or none that is an image.
    """
    index = index_of(source, cache)
    target = shape or DEFAULT
    digests = [_digest(column) for column in (source.files.blob, index.digests)]
    orders = _short(keys) if keys is not None else ""
    parts = (target, source.view, source.told, *digests, orders, asked_bits())
    key = key_of("files", *parts) if cache else None
    make = _Reading(source, index, keys, target, progress)
    place = place_of("files", str(source.path.resolve()), target, source.view)
    decoded = cached(key, make, source.path.name, place)
    if "captions" in decoded.about:
        captions, why = decoded.about["captions"]
        captions = None if captions is None else tuple(map(tuple, captions))
    else:
        captions, why = source.captions(decoded.rows)
    return Folder(source.path, decoded, captions, why, source.facts)


def _digest(column: Array) -> str:
    digest = hashlib.sha256()
    for part in parts(column):
        digest.update(part.data)
    return digest.hexdigest()


def _short(keys: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class _Reading:
    """One decoding of a source."""

    source: Source
    index: Index
    keys: Sequence[str] | None
    shape: Shape
    progress: Progress | None

    def __call__(self, room: Room) -> Loaded:
        source, name = self.source, self.source.path.name
        layout = source.layout()
        index = self.index
        seen = survey(len(source.files), source.content, name, plain=index.plain, noted=index.note)
        self._note_plain(seen)
        rows, places, ranks, left_out = self._in_order(layout, seen)
        if not len(rows):
            raise self._empty("holds no images" + ", only captions of some" * bool(len(source.apart)))
        loaded = self._load(room, rows, seen)
        good = np.asarray(loaded.rows, np.int64)
        if not len(good):
            if are_captions(source.files.names()):
                raise self._empty("holds no images, only captions of some")
            raise self._empty(f"holds no readable image; {skipped_text(loaded.skipped)}")
        if loaded.skipped:
            bad = np.setdiff1d(np.arange(len(rows)), good)
            first = source.name(int(rows[bad].min()))
            note(f"{source.path}: {skipped_text(loaded.skipped)} (one of them: {first})")
        kept = rows[good]
        classes = source.classes(kept)
        for line in (*seen.notes, *layout.notes(classes, left_out), *self._copies(layout, kept, ranks[good])):
            note(f"{source.path}: {line}")
        loaded.frames.keep(good)  # here, since rows are numbers of files and pages, not places in the frames
        columns = {"places": places[good], "ranks": ranks[good]}
        if classes.labels is not None:
            columns["labels"] = classes.labels
        about: dict[str, Any] = {
            "class_names": classes.names,
            "why": classes.why,
            "splits": dict(layout.splits),
        }
        about |= self._told(kept)
        return Loaded(loaded.frames, kept, loaded.skipped, columns, about)

    def _empty(self, words: str) -> DataError:
        path = self.source.path
        what = "file" if os.path.isfile(path) else "folder"
        return DataError(f"the {what} {path} {words}", f"formats: {', '.join(FORMATS)}")

    def _told(self, rows: Array) -> dict[str, Captioned]:
        """Return the captions, where they are kept with the images and not too long for that."""
        if not self.source.told:
            return {}
        captions, why = self.source.captions(rows)
        length = sum(len(text) + 4 for texts in captions or () for text in texts)
        return {"captions": (captions, why)} if length < MOST_TOLD else {}

    def _note_plain(self, seen: Survey) -> None:
        if not np.array_equal(seen.plain, self.index.plain):
            self.index.plain = seen.plain
            self.index.save()

    def _fractions(self) -> Array:
        """Return the fraction of each file."""
        return fractions(hex_of(self.index) if self.keys is None else self.keys)

    def _in_order(self, layout: FolderLayout, seen: Survey) -> tuple[Array, Array, Array, list[str]]:
        """Return the images as rows (see `Source.name`), split by split and then by the hashes of their
        contents, with their fractions and the ranks of their splits; and names that lie in no split.
        """
        source = self.source
        wanted = np.ones(len(source.files), bool)
        wanted[list(source.apart)] = False
        pages = {number: pages for number, pages in seen.pages.items() if wanted[number]}
        wanted[list(pages)] = False
        single = np.flatnonzero(wanted) * PAGES
        several = [number * PAGES + page for number, found in pages.items() for page in found]
        rows = np.sort(np.concatenate([single, np.array(several, np.int64)]))
        ranks = np.full(len(source.files), SPLITS.index("train"), np.int8)
        left_out: list[str] = []
        if layout.splits:
            ranks = np.fromiter(
                _ranks(layout, map(source.inside, source.files.names())), np.int8, len(source.files)
            )
            left_out = [source.name(int(row)) for row in rows[ranks[rows // PAGES] < 0]]
            rows = rows[ranks[rows // PAGES] >= 0]
        places, own = self._fractions()[rows // PAGES], ranks[rows // PAGES]
        order = np.lexsort((places, own))
        return rows[order], places[order], own[order].astype(np.uint8), left_out

    def _load(self, room: Room, rows: Array, seen: Survey) -> Loaded:
        source, digests = self.source, self.index.digests
        tags = np.concatenate(
            [digests[rows // PAGES], (rows % PAGES).astype(">u4")[:, None].view(np.uint8)], 1
        )
        stacks = Stacks()

        def load(place: int) -> Array:
            number, page = divmod(int(rows[place]), PAGES)
            content = source.content(number)
            try:
                if number in seen.pages:
                    return stacks.decode(content, page, self.shape, seen.scale, source.half)
                return source.decode(content, self.shape, seen.scale, source.half)
            except HalvesError as error:
                raise DataError(
                    f"{source.path / source.name(number * PAGES)}: {error.message}", error.hint
                ) from error

        def steady(place: int) -> bool:
            return source.steady(int(rows[place]) // PAGES)

        job = Task(
            count=len(rows),
            load=load,
            shape=self.shape,
            what=source.path.name,
            progress=self.progress,
            tags=tags,
            manner=manner_of(self.shape, asked_bits(), (seen.scale.bits, seen.scale.white), source.half),
            arrival=np.argsort(rows, kind="stable").astype("<i8"),
            steady=steady,
        )
        try:
            return room(job)
        finally:
            stacks.close()

    def _copies(self, layout: FolderLayout, rows: Array, ranks: Array) -> list[str]:
        """Return a line on images that are exact copies of held-out ones, where the folders themselves say
        what is held out.
        """
        if not layout.splits:
            return []
        own = self.index.digests[rows // PAGES]
        names = own.view(f"S{own.shape[1]}").reshape(-1)
        train = ranks == SPLITS.index("train")
        twice = rows[train][np.isin(names[train], names[~train]) & own[train].any(axis=1)]
        if not len(twice):
            return []
        files = f"{len(twice):,} training image{'s' * (len(twice) != 1)}"
        copies = (
            "is an exact copy of a held-out image"
            if len(twice) == 1
            else "are exact copies of held-out images"
        )
        first = min(self.source.name(int(row)) for row in twice)
        return [f"{files} {copies}: scores look too good (one of them: {first})"]


def _ranks(layout: FolderLayout, names: Iterable[str]) -> Iterator[int]:
    """Yield the place of the split of each file in SPLITS, -1 for none."""
    known: dict[str, int] = {}  # of each folder
    for name in names:
        folder = name.rpartition("/")[0]
        if folder not in known:
            split = layout.split_of(name)
            known[folder] = SPLITS.index(split) if split else -1
        yield known[folder]
