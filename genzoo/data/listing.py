"""The files of a folder, of any nesting, and what its folders mean."""

from __future__ import annotations

import io
import os
import stat
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeAlias, overload

import numpy as np

from genzoo.data.formats import FORMATS, LEFT_BEHIND
from genzoo.data.layout import FolderLayout, is_image, layout_of
from genzoo.data.notes import note
from genzoo.data.types import Array
from genzoo.errors import DataError

LARGEST = 2**63 - 1  # what a column of states holds; some systems number their disks above it
BLOCK = 1 << 20  # bytes of names that are looked at at a time


class State(NamedTuple):
    """What a file system says of a file: the fields of `os.stat_result` of these names, up to `LARGEST`."""

    st_mode: int
    st_dev: int
    st_ino: int
    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int


def state_of(status: os.stat_result) -> State:
    """Return what `status` says, cut to the width of a column."""
    return State(*numbers_of(status))


def numbers_of(status: os.stat_result) -> tuple[int, ...]:
    """Return the numbers of `state_of`; of hundreds of thousands of files at each start, so nothing is built
    around them.
    """
    return (
        status.st_mode,
        status.st_dev & LARGEST,
        status.st_ino & LARGEST,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


Entry: TypeAlias = "tuple[str, State]"


class Files(Sequence[Entry]):
    """Names and states of files, in little room: three millions have some 120 bytes each, not a thousand.

    Attributes:
        blob: the names, encoded as file names are, with a zero byte behind each.
        states: (N, 6) int64, see `State`.
    """

    def __init__(self, blob: bytes, states: Array) -> None:
        self.blob, self.states = blob, states

    @classmethod
    def of(cls, names: Sequence[str], states: Array) -> Files:
        """Return the files of these names and states."""
        return cls(os.fsencode("".join(f"{name}\0" for name in names)), states)

    @cached_property
    def _ends(self) -> Array:
        return np.flatnonzero(np.frombuffer(self.blob, np.uint8) == 0)

    def __len__(self) -> int:
        return len(self.states)

    @overload
    def __getitem__(self, number: int) -> Entry: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Entry]: ...
    def __getitem__(self, number: int | slice) -> Entry | Sequence[Entry]:
        """Return name and state of file `number`."""
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        return self.name(number % len(self)), State(*self.states[number].tolist())

    def name(self, number: int) -> str:
        """Return the name of file `number`, from 0."""
        start = int(self._ends[number - 1]) + 1 if number else 0
        return os.fsdecode(self.blob[start : int(self._ends[number])])

    def names(self) -> Iterator[str]:
        """Yield the names."""
        start = 0
        for end in self._ends:
            yield os.fsdecode(self.blob[start:end])
            start = end + 1

    def any_ends_with(self, *endings: str) -> bool:
        """Whether a name ends with one of `endings`, which are in small letters, in letters of either
        case.
        """
        wanted = [ending.encode() + b"\0" for ending in endings]
        longest = max(map(len, wanted))
        for start in range(0, len(self.blob), BLOCK):
            low = self.blob[max(0, start - longest) : start + BLOCK].lower()
            if any(word in low for word in wanted):
                return True
        return False

    def __iter__(self) -> Iterator[Entry]:
        for number, name in enumerate(self.names()):
            yield name, State(*self.states[number].tolist())


@dataclass(frozen=True)
class Listing:
    """The names and states of all files of a folder, in order, and what its folders mean.

    Attributes:
        files: (name, state) each; the name is the path relative to the folder, unless `paths` are given.
        folders: the paths of all folders in it.
        paths: the relative path of each file, where it is not its name: of one side of a paired set, in which
            both files of a pair have one name.
        half: "left" or "right" where that half of each picture is an image.
        side: what this view of the folder is called, "" for the whole.
    """

    files: Files
    folders: Sequence[str] = ()
    paths: Sequence[str] = ()
    half: str = ""
    side: str = ""

    @cached_property
    def layout(self) -> FolderLayout:
        """Return what the folders in the names mean."""
        return layout_of(telling(self.files.names()), self.folders)

    def path(self, number: int) -> str:
        """Return the path of file `number`, relative to the folder."""
        return self.paths[number] if self.paths else self.files.name(number)


def telling(names: Iterator[str]) -> list[str]:
    """Return of the files of each folder the first image, or the first file where there is none: the folders
    of a set do not depend on the others.
    """
    images: dict[str, str] = {}
    others: dict[str, str] = {}
    for name in names:
        folder = name.rpartition("/")[0]
        if folder not in images:
            (images if is_image(name) else others).setdefault(folder, name)
    return sorted([*images.values(), *(name for folder, name in others.items() if folder not in images)])


def list_files(folder: Path) -> Listing:
    """Return what lies in `folder`; DataError where there is no file."""
    blob, states, folders = io.BytesIO(), array("q"), list[str]()
    for path, state in _entries(folder):
        if path.endswith("/"):
            folders.append(path[:-1])
            continue
        blob.write(os.fsencode(f"{path}\0"))
        states.extend(state)
    if not states:
        raise DataError(
            f"the folder {folder} holds no files",
            f"put images there: {', '.join(FORMATS)}, in folders of any depth",
        )
    columns = np.frombuffer(states, np.int64).reshape(-1, len(State._fields))
    return Listing(Files(blob.getvalue(), columns), sorted(folders))


def _entries(folder: Path) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield relative path (with /, that of a folder ends with one) and state of every file and folder that is
    not hidden, in the order of the paths; links are followed, but no folder twice.
    """
    seen: set[tuple[int, int]] = set()
    todo = [_ordered(folder, "", seen)]
    while todo:
        found = next(todo[-1], None)
        if found is None:
            todo.pop()
            continue
        yield found
        if found[0].endswith("/"):
            todo.append(_ordered(folder, found[0], seen))


def _ordered(folder: Path, inside: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield path and state of what lies in the folder `inside`, "" or a path that ends with /, in order."""
    names, states, width = list[str](), array("q"), len(State._fields)
    for name, status in _listed(folder, inside, seen):
        # With the slash, names have the order of the paths that begin with them.
        names.append(f"{name}/" if stat.S_ISDIR(status.st_mode) else name)
        states.extend(numbers_of(status))
    for place in sorted(range(len(names)), key=names.__getitem__):
        yield f"{inside}{names[place]}", states[width * place : width * (place + 1)]


def _listed(folder: Path, inside: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and status of what lies in `inside`, unless that folder is among those `seen`."""
    try:
        here = os.stat(folder / inside)
        if (here.st_dev, here.st_ino) in seen:
            return
        seen.add((here.st_dev, here.st_ino))
        entries = os.scandir(folder / inside)
    except OSError as error:
        if not inside:
            raise DataError(
                f"the folder {folder} cannot be read: {error.strerror}", "check its permissions"
            ) from error
        note(f"{folder / inside} cannot be read: {error.strerror}")
        return
    with entries:
        for entry in entries:
            name = entry.name
            if name[0] == "." or name.lower() in LEFT_BEHIND:
                continue
            try:
                status = entry.stat()
            except OSError:
                continue  # a link to nowhere
            yield name, status
