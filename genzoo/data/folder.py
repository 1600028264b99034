"""A folder of images, of any nesting and any make."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from genzoo.data import idx
from genzoo.data.archives import archives_in, source_of
from genzoo.data.caption_files import captions_in, is_told, told_in
from genzoo.data.collection import Images
from genzoo.data.contents import digest_file
from genzoo.data.decode import Skip, decode
from genzoo.data.index import open_kept
from genzoo.data.layout import FolderLayout, check, is_image
from genzoo.data.listing import Files, Listing, list_files, state_of
from genzoo.data.parquet import Tables
from genzoo.data.pool import Progress
from genzoo.data.reading import DEFAULT, hex_of, index_of, index_path, read_source
from genzoo.data.source import Captioned, Folder, Source
from genzoo.data.survey import PAGES
from genzoo.data.tar import Tars
from genzoo.data.types import Array, Shape
from genzoo.errors import DataError

__all__ = ["DEFAULT", "digest_listing", "open_folder", "read_folder"]

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
    return read_folder(folder, shape, cache, progress, split=split).part(split, val_split)


def read_folder(
    folder: Path,
    shape: Shape | None,
    cache: bool = True,
    progress: Progress | None = None,
    listing: Listing | None = None,
    *,
    keys: Sequence[str] | None = None,
    split: str = "",
) -> Folder:
    """Decode all images of `folder`, of which `listing` are the files; see
    `genzoo.data.reading.read_source`.

    Raises:
        ArgumentError: a `split` that the folder has not, if one is given; before anything is decoded.
        DataError: no file, or none that is an image.
    """
    if listing is None:
        listing = list_files(folder, open_kept(index_path(folder)) if cache else None)
    source = _source(folder, listing, split)
    return read_source(source, shape, cache, progress, keys=keys)


def read_archive(
    path: Path,
    shape: Shape | None,
    cache: bool = True,
    progress: Progress | None = None,
    *,
    whole: str = "",
    column: str = "",
) -> Folder:
    """Decode all images of the archive at `path`, or of the archives in that folder; see `read_folder`.

    `whole` is the split that is taken as the whole set, `column` the one in which a table has its images.

    Raises:
        DataError: no archive, no image that is readable, or no such split or column.
    """
    if os.path.isdir(path):
        root, archives = path, archived(list_files(path))
    else:
        root, archives = path.parent, Files.of([path.name], np.array([state_of(path.stat())], np.int64))
    if archives is None:
        raise DataError(f"the folder {path} holds no archives", f"expected {' or '.join(READERS)} files")
    reader = reader_of(archives.name(0), column)
    return read_source(
        source_of(path, root, archives, reader, whole=whole, column=column), shape, cache, progress
    )


def archived(listing: Listing) -> Files | None:
    """Return the archives of a folder that holds archives, and no images besides; None for any other."""
    for suffix in READERS:
        if listing.files.any_ends_with(suffix) and not any(map(is_image, listing.files.names())):
            return archives_in(listing, suffix)
    return None


def reader_of(name: str, column: str = "") -> Tars | Tables:
    """Return what reads archives such as `name`."""
    return Tars() if name.lower().endswith(".tar") else Tables(column)


READERS = (".tar", ".parquet")


def digest_listing(folder: Path, listing: Listing, cache: bool = True) -> list[str]:
    """Return the sha256 of each file of `listing`, its name where it cannot be read."""
    return list(hex_of(index_of(_source(folder, listing), cache)))


def _source(folder: Path, listing: Listing, split: str = "") -> Source:
    files = listing.files
    archives = None if listing.side else archived(listing)
    if archives is not None:
        return source_of(folder, folder, archives, reader_of(archives.name(0)), split=split)

    def layout() -> FolderLayout:
        if split:
            check(split, listing.layout.splits, folder.name)
        return listing.layout

    def content(number: int) -> Path:
        if not stat.S_ISREG(files[number][1].st_mode):
            raise Skip("not a file")  # a pipe would never answer
        return folder / listing.path(number)

    return Source(
        path=folder,
        files=files,
        layout=layout,
        digest=lambda number: digest_file(folder / listing.path(number)),
        content=content,
        decode=lambda *how: decode(*how),
        steady=partial(_is_steady, folder, listing),
        classes=lambda rows: listing.layout.classes(_names(listing, rows)),
        captions=partial(_captions, folder, listing),
        view=(listing.half, listing.side) if listing.side else (),
        apart=told_in(listing) if is_told(files) else (),
        half=listing.half,
        facts=FACTS,
    )


def _names(listing: Listing, rows: Array) -> Iterator[str]:
    """Yield the name of the file of each image."""
    return (listing.files.name(number) for number in (rows // PAGES).tolist())


def _is_steady(folder: Path, listing: Listing, number: int) -> bool:
    """Whether a file has the state that it had when it was listed; that cannot show that it was not changed
    since another day.
    """
    try:
        return bool(state_of((folder / listing.path(number)).stat()) == listing.files[number][1])
    except OSError:
        return False


def _captions(folder: Path, listing: Listing, rows: Array) -> Captioned:
    if not is_told(listing.files):
        return None, ""
    return captions_in(folder, listing, list(_names(listing, rows)))
