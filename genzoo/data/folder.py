"""A folder of images, of any nesting and any make."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from genzoo.data import idx
from genzoo.data.cache import Decoded, Loaded, cached, key_of, place_of
from genzoo.data.caption_files import captions_in
from genzoo.data.captions import Captions
from genzoo.data.collection import Images, skipped_text
from genzoo.data.contents import digest_files
from genzoo.data.decode import HalvesError, Skip, decode, decoder
from genzoo.data.depth import asked_bits
from genzoo.data.formats import FORMATS
from genzoo.data.labels import note_lost
from genzoo.data.layout import SPLITS, FolderLayout, check
from genzoo.data.listing import Files, Listing, list_files
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
    layout: FolderLayout
    captions: Captions | None = None
    uncaptioned: str = ""  # why there are no captions, "" where there is no file of them

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
        reasons = {"labels": classes.why, "captions": self.uncaptioned}
        return Images(
            pixels=self.decoded.pixels[chosen],
            name=name,
            split=split,
            labels=labels,
            class_names=classes.names,
            captions=None if self.captions is None else self.captions[chosen],
            facts={**FACTS, "decoder": decoder(), **{key: why for key, why in reasons.items() if why}},
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


def read_folder(
    folder: Path,
    shape: Shape | None,
    cache: bool = True,
    progress: Progress | None = None,
    listing: Listing | None = None,
    *,
    keys: Sequence[str] | None = None,
) -> Folder:
    """Decode all images of `folder` as `shape`, 3x64x64 where None is given.

    `keys`, one per file of `listing`, take the place of the files' contents where order and splits are
    decided: those of both sides of a pair.

    They are kept in the order of their splits, and of the hashes of their files' contents: the held-out ones
    come first, so that both parts are views of one array, and a new file or another name moves none of the
    others to the other part.

    Raises:
        DataError: no file, or none that is an image.
    """
    listing = list_files(folder) if listing is None else listing
    contents = digest_listing(folder, listing)
    orders = contents if keys is None else list(keys)
    view = (listing.half, listing.side, tuple(orders)) if listing.side else ()
    sources = tuple((path, content) for (path, _), content in zip(listing.files, contents, strict=True))
    target = shape or DEFAULT
    decoded = cached(
        key_of("folder", target, sources, asked_bits(), *view) if cache else None,
        partial(_decode, folder, listing, orders, target, progress),
        folder.name,
        place_of("folder", str(folder.resolve()), target, *view[:2]),
        partial(_unchanged, folder, listing),
    )
    names = [_name(listing.files, row) for row in decoded.rows]
    own = [orders[row // PAGES] for row in decoded.rows]
    return Folder(folder, decoded, names, own, listing.layout, *captions_in(folder, listing, names))


def digest_listing(folder: Path, listing: Listing) -> list[str]:
    """Return the sha256 of each file of `listing`, its name where it cannot be read."""
    files = listing.files
    digests = digest_files([folder / listing.path(number) for number in range(len(files))], folder.name)
    return [digest or path for digest, (path, _) in zip(digests, files, strict=True)]


def _name(files: Files, row: int) -> str:
    """Return the name of the image `row`: number of its file times PAGES, and its page."""
    number, page = divmod(row, PAGES)
    return f"{files[number][0]}#{page + 1}" if page else files[number][0]


def _decode(
    folder: Path, listing: Listing, contents: list[str], shape: Shape, progress: Progress | None
) -> Loaded:
    files, layout = listing.files, listing.layout
    seen = survey(len(files), lambda number: folder / listing.path(number), folder.name)
    rows, left_out = _in_order(files, contents, layout, seen)
    frames, good, skipped = _load(folder, listing, rows, seen, shape, progress)
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


def _unchanged(folder: Path, listing: Listing) -> bool:
    return all(
        _state(folder / listing.path(number)) == _state(status)
        for number, (_, status) in enumerate(listing.files)
    )


def _state(file: Path | os.stat_result) -> tuple[int, ...]:
    """Return what shows that a file was changed while it was read; it cannot show that one was not changed
    since another day.
    """
    try:
        status = file.stat() if isinstance(file, Path) else file
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _copies(layout: FolderLayout, names: Sequence[str], contents: Sequence[str]) -> list[str]:
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


def _in_order(
    files: Files, contents: list[str], layout: FolderLayout, seen: Survey
) -> tuple[list[int], list[str]]:
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
    folder: Path, listing: Listing, rows: list[int], seen: Survey, shape: Shape, progress: Progress | None
) -> Loaded:
    stacks = Stacks()

    def load(place: int) -> Array:
        number, page = divmod(rows[place], PAGES)
        path = folder / listing.path(number)
        if not stat.S_ISREG(listing.files[number][1].st_mode):
            raise Skip("not a file")  # a pipe would never answer
        try:
            if number in seen.pages:
                return stacks.decode(path, page, shape, seen.scale, listing.half)
            return decode(path, shape, seen.scale, listing.half)
        except HalvesError as error:
            raise DataError(f"{path}: {error.message}", error.hint) from error

    try:
        return decode_all(len(rows), load, shape, folder.name, progress)
    finally:
        stacks.close()
