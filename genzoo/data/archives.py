"""Images in archives: shards of WebDataset (`.tar`), and tables of Parquet as the Hugging Face Hub has them.

They are read as a folder is: each image once into a file of the cache, in the order of the hashes of their
contents, whatever the shards are called and in whatever order they lie. A folder of images and its shards
are one set, with one identity. What an archive holds is listed once, and again when it has changed.

A split is named by a folder of the archive, or stands at the beginning of its name: `train/0001.tar`,
`train-00000-of-00005.parquet`.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import numpy as np

from genzoo.data.cache import folder_of, place_of
from genzoo.data.captions import Captions, read_captions, unused
from genzoo.data.contents import HEAD, digest_of_other
from genzoo.data.decode import Skip, recognised
from genzoo.data.index import SUFFIX, load_files, save_files, signature_of
from genzoo.data.labels import usable_labels
from genzoo.data.layout import WORDS, Classes, FolderLayout, check, layout_of
from genzoo.data.listing import Files, Listing, State, state_of, telling
from genzoo.data.source import Captioned, Source
from genzoo.data.survey import PAGES
from genzoo.data.types import Array
from genzoo.errors import ArgumentError, DataError

BETWEEN = ":"  # stands between the name of an archive and that of what it holds
_SPLIT = re.compile(rf"(?:.*[-_.])?({'|'.join(WORDS)})(?:[-_.\d].*)?", re.IGNORECASE)
_FOLDER = re.compile(rf"({'|'.join(WORDS)})(?:[_ -]?(?:set|images|imgs|data|split|\d{{4}}))?", re.IGNORECASE)


class Reader(Protocol):
    """What reads one kind of archive."""

    def members(self, path: Path) -> Iterable[tuple[str, int, int]]:
        """Yield name, place and size of each image of the archive at `path`."""

    def content(self, path: Path, place: int, size: int) -> bytes:
        """Return the bytes of the image at `place`, or raise a `genzoo.data.decode.Skip`."""

    def labels(self, members: Members, numbers: Array) -> tuple[Sequence[object] | None, tuple[str, ...]]:
        """Return the labels of the images `numbers` as they are written, None where there are none, and the
        names of the classes.
        """

    def captions(self, members: Members, numbers: Array) -> Sequence[object] | None:
        """Return the captions of the images `numbers`, or None where there are none."""


@dataclass(frozen=True)
class Members:
    """The images of some archives.

    Attributes:
        root: the folder in which the archives are.
        archives: their names and states.
        files: of each image its name, that of its archive before it, and its state: the disk, the place in
            the archive, inode of the archive, size, times of the archive.
    """

    root: Path
    archives: Files
    files: Files

    @cached_property
    def _numbers(self) -> Mapping[tuple[int, int], int]:
        states = self.archives.states.tolist()
        return {(state[1], state[2]): number for number, state in enumerate(states)}

    def where(self, number: int) -> tuple[Path, int, int]:
        """Return the archive of an image, its place there, and its size."""
        disk, place, inode, size, *_ = self.files.states[number].tolist()
        return self.root / self.archives.name(self._numbers[disk, inode]), place, size

    def name(self, number: int) -> str:
        """Return the name of an image in its archive."""
        return self.files.name(number).partition(BETWEEN)[2]

    def is_steady(self, number: int) -> bool:
        """Whether the archive of an image is what it was when it was listed."""
        disk, _, inode, *_ = self.files.states[number].tolist()
        archive = self._numbers[disk, inode]
        try:
            return state_of((self.root / self.archives.name(archive)).stat()) == self.archives[archive][1]
        except OSError:
            return False


def split_of(archive: str) -> str:
    """Return the split that the name of an archive says it holds, "" for none."""
    *folders, name = archive.split("/")
    for word in folders:
        if found := _FOLDER.fullmatch(word):
            return WORDS[found[1].lower()]
    found = _SPLIT.fullmatch(name.partition(".")[0])
    return WORDS[found[1].lower()] if found else ""


def archives_in(listing: Listing, suffix: str) -> Files | None:
    """Return the archives among the files of a folder, or None where there are none."""
    numbers = [number for number, name in enumerate(listing.files.names()) if name.lower().endswith(suffix)]
    if not numbers:
        return None
    return Files.of([listing.files.name(number) for number in numbers], listing.files.states[numbers])


def source_of(
    path: Path,
    root: Path,
    archives: Files,
    reader: Reader,
    *,
    split: str = "",
    whole: str = "",
    column: str = "",
) -> Source:
    """Return the images of `archives` as a source; `path` is what people named.

    Args:
        path: for messages, and in the place of what is kept.
        root: the folder in which they are.
        archives: their names and states.
        reader: what reads them.
        split: checked before anything is decoded, "" for none.
        whole: the split that is taken as the whole set, "" for all.
        column: the name of what is read of each row, for messages and as a part of what the set is.

    Raises:
        DataError: no such split, or an archive that cannot be read.
    """
    if whole:
        archives = _only(path, archives, whole)
    members = Members(root, archives, _listed(path, root, archives, reader, column))

    def inside(name: str) -> str:
        archive, _, member = name.partition(BETWEEN)
        return posixpath.join("" if whole else split_of(archive), member)

    def layout() -> FolderLayout:
        found = layout_of(telling(map(inside, members.files.names())))
        if split:
            check(split, found.splits, path.name)
        return found

    def content(number: int) -> bytes:
        return reader.content(*members.where(number))

    return Source(
        path=path,
        files=members.files,
        layout=layout,
        inside=inside,
        digest=partial(_digest, members, content),
        content=content,
        steady=members.is_steady,
        classes=partial(_classes, members, reader, inside),
        captions=partial(_captions, path, members, reader),
        view=("archives", whole, column),
        told=signature_of(archives),
        facts={"source": "archives of images", "terms": "those of the images"},
    )


def _only(path: Path, archives: Files, whole: str) -> Files:
    wanted = WORDS.get(whole.lower(), whole)
    numbers = [number for number, name in enumerate(archives.names()) if split_of(name) == wanted]
    if not numbers:
        known = ", ".join(sorted({split_of(name) for name in archives.names()} - {""})) or "none"
        raise DataError(f"{path} has no split {whole!r}", f"there are {known}")
    return Files.of([archives.name(number) for number in numbers], archives.states[numbers])


def _listed(path: Path, root: Path, archives: Files, reader: Reader, column: str) -> Files:
    """Return the images of all archives, from the cache where no archive has changed."""
    folder = folder_of()
    kept = folder / f"{place_of('members', str(path.resolve()), column)}{SUFFIX}" if folder else None
    if kept and (known := load_files(kept, archives)):
        return known
    names: list[str] = []
    states: list[tuple[int, ...]] = []
    for name, state in archives:
        for member, place, size in reader.members(root / name):
            names.append(f"{name}{BETWEEN}{member}")
            states.append((state.st_dev, place, state.st_ino, size, state.st_mtime_ns, state.st_ctime_ns))
    if not names:
        raise DataError(f"{path} holds no images", "see docs/data.md for the forms of archives")
    found = Files.of(names, np.array(states, np.int64).reshape(-1, len(State._fields)))
    if kept:
        save_files(kept, archives, found)
    return found


def _digest(members: Members, content: Callable[[int], bytes], number: int) -> bytes:
    import hashlib

    try:
        data = content(number)
    except Skip:
        return b""
    if not recognised(data[:HEAD], members.name(number)):
        return digest_of_other(len(data), data[:HEAD])
    return hashlib.sha256(data).digest()


def _classes(members: Members, reader: Reader, inside: Callable[[str], str], rows: Array) -> Classes:
    numbers = rows // PAGES
    found, names = reader.labels(members, numbers)
    if found is None:
        paths = [inside(members.files.name(number)) for number in numbers.tolist()]
        return layout_of(telling(iter(sorted(paths)))).classes(paths)
    labels, texts, why = usable_labels(found, len(numbers), f"{members.root.name}")
    if labels is None:
        return Classes(why=why)
    return Classes(labels, texts or names)


def _captions(path: Path, members: Members, reader: Reader, rows: Array) -> Captioned:
    found = reader.captions(members, rows // PAGES)
    if found is None:
        return None, ""
    try:
        read: Captions = read_captions(found, len(rows))
        return read, ""
    except ArgumentError as error:
        return None, unused(path, error)


def size_of(path: Path) -> int:
    """Return the bytes of an archive; DataError where it cannot be read."""
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
