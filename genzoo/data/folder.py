"""A folder of images, of any nesting and any make."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from genzoo.data import idx
from genzoo.data.cache import Decoded, Loaded, cached, key_of, place_of
from genzoo.data.collection import Images, skipped_text
from genzoo.data.contents import digest_files
from genzoo.data.decode import Skip, decode, decoder
from genzoo.data.depth import asked_bits
from genzoo.data.formats import FORMATS, LEFT_BEHIND
from genzoo.data.labels import note_lost
from genzoo.data.layout import SPLITS, Layout, check, layout_of
from genzoo.data.notes import note
from genzoo.data.pool import Progress, decode_all
from genzoo.data.splits import fractions, nothing_held_out, split_mask
from genzoo.data.survey import PAGES, Stacks, Survey, survey
from genzoo.data.types import Array, Shape
from genzoo.errors import DataError

DEFAULT: Shape = (3, 64, 64)
FACTS = {"source": "a folder of images", "terms": "those of the images"}


def open_folder(
    folder: Path,
    shape: Shape | None,
    split: str,
    val_split: float,
    cache: bool = True,
    progress: Progress | None = None,
) -> Images:
    """Return a split of the images of `folder` as `shape`, 3x64x64 where None is given; see `read_folder`.

    Raises:
        ArgumentError: a split that the folder has not.
        DataError: no file, none that is an image, or no test images.
    """
    if idx.is_pair(folder):
        return idx.open_pair(folder, folder.name, split)
    files = list_files(folder)
    check(split, files.layout.splits, folder.name)
    return read_folder(folder, shape, cache, progress, files).part(split, val_split)


@dataclass(frozen=True)
class Folder:
    """All images of a folder, decoded: those of a split follow each other, so that each part is a view of one
    array.
    """

    path: Path
    decoded: Decoded
    names: Sequence[str]  # of the images: relative paths with /, and #2 for the second page of a file
    # of the images: the content of their files, so that copies, and the pages of one file, lie on one side
    keys: Sequence[str]
    layout: Layout

    def part(self, split: str, val_split: float) -> Images:
        """Return the images of a split: that of its own folder where there are such folders, else the rest of
        `val_split` or that share.

        Raises:
            ArgumentError, DataError: see `open_folder`.
        """
        split = check(split, self.layout.splits, self.path.name)
        rows = np.flatnonzero(self._mask(split, val_split))
        if not len(rows) and split in self.layout.splits:
            empty = f"{self.layout.splits[split]}/ of the folder {self.path}"
            raise DataError(f"{empty} holds no readable image", f"formats: {', '.join(FORMATS)}")
        if (
            not len(rows)
            and val_split
            and len(self.keys) > len({row // PAGES for row in self.decoded.rows}) == 1
        ):
            raise DataError(
                f"{self.path} has no {split} images: the pages of its one file stay together",
                "give it more files",
            )
        if not len(rows):
            raise nothing_held_out(f"the folder {self.path}", val_split, len(self.names), split)
        chosen = slice(rows[0], rows[-1] + 1)
        classes, name = self.layout.classes(self.names), self.path.resolve().name
        labels = None if classes.labels is None else classes.labels[chosen]
        note_lost(f"{name} ({split})", classes.labels, labels, classes.names)
        return Images(
            pixels=self.decoded.pixels[chosen],
            name=name,
            split=split,
            labels=labels,
            class_names=classes.names,
            facts={**FACTS, "decoder": decoder(), **({"labels": classes.why} if classes.why else {})},
            skipped=self.decoded.skipped,
        )

    def _mask(self, split: str, val_split: float) -> Array:
        """Return which images are in `split`: (N,) bool, one stretch."""
        if not self.layout.splits:
            return split_mask(fractions(self.keys), split, val_split)
        own = np.array(
            [
                self.layout.split_of(name) == (split if split in self.layout.splits else "train")
                for name in self.names
            ],
            bool,
        )
        # a share of the training images, where no validation images lie apart
        if split not in self.layout.splits:
            own[own] = split_mask(
                fractions(key for key, ours in zip(self.keys, own, strict=True) if ours), split, 0.0
            )
        return own


Files: TypeAlias = "list[tuple[str, os.stat_result]]"


@dataclass(frozen=True)
class Listing:
    """The relative paths and states of all files of a folder, in order, and what its folders mean."""

    files: Files
    layout: Layout


def list_files(folder: Path) -> Listing:
    """Return what lies in `folder`; DataError where there is no file."""
    found = sorted(_entries(folder))
    files = [entry for entry in found if not stat.S_ISDIR(entry[1].st_mode)]
    folders = [path for path, status in found if stat.S_ISDIR(status.st_mode)]
    if not files:
        raise DataError(
            f"the folder {folder} holds no files",
            f"put images there: {', '.join(FORMATS)}, in folders of any depth",
        )
    return Listing(files, layout_of((path for path, _ in files), folders))


def read_folder(
    folder: Path,
    shape: Shape | None,
    cache: bool = True,
    progress: Progress | None = None,
    listing: Listing | None = None,
) -> Folder:
    """Decode all images of `folder` as `shape`, 3x64x64 where None is given.

    They are kept in the order of their splits, and of the hashes of their files' contents: the held-out ones
    come first, so that both parts are views of one array, and a new file or another name moves none of the
    others to the other part.

    Raises:
        DataError: no file, or none that is an image.
    """
    listing = list_files(folder) if listing is None else listing
    files = listing.files
    digests = digest_files([folder / path for path, _ in files], folder.name)
    contents = [digest or path for digest, (path, _) in zip(digests, files, strict=True)]
    decoded = _decode(folder, listing, contents, shape or DEFAULT, cache=cache, progress=progress)
    names = [_name(files, row) for row in decoded.rows]
    keys = [contents[row // PAGES] for row in decoded.rows]
    return Folder(folder, decoded, names, keys, listing.layout)


def _name(files: Files, row: int) -> str:
    """Return the name of the image `row`: number of its file times PAGES, and its page."""
    number, page = divmod(row, PAGES)
    return f"{files[number][0]}#{page + 1}" if page else files[number][0]


def _decode(
    folder: Path,
    listing: Listing,
    contents: list[str],
    shape: Shape,
    *,
    cache: bool,
    progress: Progress | None,
) -> Decoded:
    files, layout = listing.files, listing.layout

    def make() -> Loaded:
        seen = survey(len(files), lambda number: folder / files[number][0], folder.name)
        rows, left_out = _in_order(files, contents, layout, seen)
        frames, good, skipped = _load(folder, files, rows, seen, shape, progress)
        if not good:
            raise DataError(
                f"the folder {folder} holds no readable image; {skipped_text(skipped)}",
                f"formats: {', '.join(FORMATS)}",
            )
        if skipped:
            first = _name(files, min(set(rows) - {rows[place] for place in good}))
            note(f"{folder}: {skipped_text(skipped)} (one of them: {first})")
        kept = [rows[place] for place in good]
        names = [_name(files, row) for row in kept]
        for line in (
            *seen.notes,
            *layout.notes(names, left_out),
            *_copies(layout, names, [contents[row // PAGES] for row in kept]),
        ):
            note(f"{folder}: {line}")
        frames.keep(good)  # here, since rows are numbers of files and pages, not places in the frames
        return frames, kept, skipped

    def unchanged() -> bool:
        return all(_state(folder / path) == _state(status) for path, status in files)

    sources = tuple((path, content) for (path, _), content in zip(files, contents, strict=True))
    key = key_of("folder", shape, sources, asked_bits()) if cache else None
    return cached(key, make, folder.name, place_of("folder", str(folder.resolve()), shape), unchanged)


def _state(file: Path | os.stat_result) -> tuple[int, ...]:
    """Return what shows that a file was changed while it was read; it cannot show that one was not changed
    since another day.
    """
    try:
        status = file.stat() if isinstance(file, Path) else file
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _copies(layout: Layout, names: Sequence[str], contents: Sequence[str]) -> list[str]:
    """Return a line on images that are exact copies of held-out ones, where the folders themselves say what
    is held out.
    """
    splits = [layout.split_of(name) for name in names]
    apart = {content for split, content in zip(splits, contents, strict=True) if split != "train"}
    twice = sorted(
        name
        for name, split, content in zip(names, splits, contents, strict=True)
        if split == "train" and content in apart
    )
    if not twice:
        return []
    files = f"{len(twice):,} training image{'s' * (len(twice) != 1)}"
    copies = (
        "is an exact copy of a held-out image" if len(twice) == 1 else ("are exact copies of held-out images")
    )
    return [f"{files} {copies}: scores look too good (one of them: {twice[0]})"]


def _in_order(files: Files, contents: list[str], layout: Layout, seen: Survey) -> tuple[list[int], list[str]]:
    """Return the images as rows (see `_name`), split by split and then by the hashes of their contents; and
    names that lie in no split.
    """
    rows = [number * PAGES + page for number in range(len(files)) for page in seen.pages.get(number, (0,))]
    names = [_name(files, row) for row in rows]
    splits = [layout.split_of(name) if layout.splits else "train" for name in names]
    ranks = np.array([SPLITS.index(split or "train") for split in splits])
    inwards = np.lexsort((fractions(contents[row // PAGES] for row in rows), ranks)).tolist()
    return [rows[place] for place in inwards if splits[place]], [
        name for name, split in zip(names, splits, strict=True) if not split
    ]


def _load(
    folder: Path, files: Files, rows: list[int], seen: Survey, shape: Shape, progress: Progress | None
) -> Loaded:
    stacks = Stacks()

    def load(place: int) -> Array:
        number, page = divmod(rows[place], PAGES)
        path, status = files[number]
        if not stat.S_ISREG(status.st_mode):
            raise Skip("not a file")  # a pipe would never answer
        if number in seen.pages:
            return stacks.decode(folder / path, page, shape, seen.scale)
        return decode(folder / path, shape, seen.scale)

    try:
        return decode_all(len(rows), load, shape, folder.name, progress)
    finally:
        stacks.close()


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield relative path (with /) and status of every file and folder that is not hidden; links are
    followed, but no folder twice.
    """
    seen: set[tuple[int, int]] = set()
    todo = [""]
    while todo:
        for path, status in _listed(folder, todo.pop(), seen):
            if stat.S_ISDIR(status.st_mode):
                todo.append(path)
            yield path, status


def _listed(folder: Path, inside: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield relative path and status of what lies in `inside`, unless that folder is among those `seen`."""
    try:
        here = os.stat(folder / inside)
        if (here.st_dev, here.st_ino) in seen:
            return
        seen.add((here.st_dev, here.st_ino))
        entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
    except OSError as error:
        if not inside:
            raise DataError(
                f"the folder {folder} cannot be read: {error.strerror}", "check its permissions"
            ) from error
        note(f"{folder / inside} cannot be read: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in LEFT_BEHIND:
            continue
        try:
            status = entry.stat()
        except OSError:
            continue  # a link to nowhere
        yield f"{inside}/{entry.name}" if inside else entry.name, status
