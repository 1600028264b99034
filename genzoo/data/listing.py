"""The files of a folder, of any nesting, and what its folders mean."""

from __future__ import annotations

import io
import os
import stat
import sys
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
from genzoo.data.sealed import release
from genzoo.data.types import Array
from genzoo.errors import DataError

LARGEST = 2**63 - 1  # what a column of states holds; some systems number their disks above it
BLOCK = 1 << 20  # bytes of names or states that are looked at at a time
STEP = 1 << 14  # files that are listed between two looks at what is known


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
    """Names and states of files, in little room: three millions have some 100 bytes each, not a thousand, and
    none if they are in a mapped file.

    Attributes:
        blob: the names, encoded as file names are, with a zero byte behind each, uint8.
        states: (N, 6) int64, see `State`.
        kept: what the cache said of them when they were listed, also where that is true no more.
    """

    def __init__(self, blob: bytes | Array, states: Array, kept: Kept | None = None) -> None:
        self.blob: Array = blob if isinstance(blob, np.ndarray) else np.frombuffer(blob, np.uint8)
        self.states, self.kept = states, kept

    @classmethod
    def of(cls, names: Sequence[str], states: Array) -> Files:
        """Return the files of these names and states."""
        return cls(os.fsencode("".join(f"{name}\0" for name in names)), states)

    @cached_property
    def _ends(self) -> Array:
        ends, start = [np.zeros(0, np.int64)], 0
        for part in parts(self.blob):
            ends.append(np.flatnonzero(part == 0) + start)
            start += len(part)
        return np.concatenate(ends)

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
        return os.fsdecode(self.blob[start : int(self._ends[number])].tobytes())

    def names(self) -> Iterator[str]:
        """Yield the names."""
        rest = b""
        for part in parts(self.blob):
            *whole, rest = (rest + part.tobytes()).split(b"\0")
            yield from map(os.fsdecode, whole)

    def any_ends_with(self, *endings: str) -> bool:
        """Whether a name ends with one of `endings`, which are in small letters, in letters of either
        case.
        """
        wanted = [ending.encode() + b"\0" for ending in endings]
        longest, before = max(map(len, wanted)), b""
        for part in parts(self.blob):
            low = before + part.tobytes().lower()
            if any(word in low for word in wanted):
                return True
            before = low[-longest:]
        return False

    def __iter__(self) -> Iterator[Entry]:
        for number, name in enumerate(self.names()):
            yield name, State(*self.states[number].tolist())


@dataclass(frozen=True, eq=False)
class Kept:
    """What an index in the cache says of files, see `genzoo.data.index`; the file is mapped, so that it takes
    no memory but where it is looked at.

    Attributes:
        path: of the index.
        files: their names and states.
        digests: (N, 32) uint8.
        plain: (N,) uint8, 0 or 1.
        of: of what they are the members, "" for files of their own.
    """

    path: Path
    files: Files
    digests: Array
    plain: Array
    of: str


def parts(column: Array) -> Iterator[Array]:
    """Yield the rows of `column`, as many at a time as are `BLOCK` bytes; those of a mapped file do not stay
    in memory.
    """
    step = max(1, BLOCK // max(1, column[:1].nbytes))
    for start in range(0, len(column), step):
        part = column[start : start + step]
        yield part
        release(part)


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


def list_files(folder: Path, kept: Kept | None = None) -> Listing:
    """Return what lies in `folder`; DataError where there is no file.

    As long as the files are those that are `kept`, they are not in memory: names and states of millions take
    hundreds of megabytes.
    """
    found, names, states, folders = _Found(kept), list[str](), array("q"), list[str]()
    for path, state in _entries(folder):
        if path.endswith("/"):
            folders.append(path[:-1])
            continue
        names.append(path)
        states.extend(state)
        if len(names) == STEP:
            found.take(names, states)
            del names[:], states[:]
    files = found.files(names, states)
    if not len(files):
        raise DataError(
            f"the folder {folder} holds no files",
            f"put images there: {', '.join(FORMATS)}, in folders of any depth",
        )
    return Listing(files, sorted(folders))


class _Found:
    """The files that were listed: a number of the first ones that are `kept`, or all, in memory."""

    def __init__(self, kept: Kept | None) -> None:
        self._kept, self._known = kept, None if kept is None else kept.files
        self._bytes = self._count = 0  # of those that are as they are kept
        self._blob, self._states = io.BytesIO(), array("q")

    def take(self, names: Sequence[str], states: array[int]) -> None:
        """Take some more files."""
        blob = os.fsencode("".join(f"{name}\0" for name in names))
        if self._known is not None:
            own = self._known.blob[self._bytes : self._bytes + len(blob)]
            own_states = self._known.states[self._count : self._count + len(names)]
            same = own.tobytes() == blob and own_states.tobytes() == states.tobytes()
            release(own)
            release(own_states)
            if same:
                self._bytes, self._count = self._bytes + len(blob), self._count + len(names)
                return
            self._remember(self._known)
        self._blob.write(blob)
        self._states.extend(states)

    def _remember(self, known: Files) -> None:
        """Take those that are as they are kept into memory, with which the others will be."""
        self._known = None
        self._blob.write(known.blob[: self._bytes].data)
        self._states.frombytes(known.states[: self._count].tobytes())

    def files(self, names: Sequence[str], states: array[int]) -> Files:
        """Take the last files, and return all."""
        self.take(names, states)
        known = self._known
        if known is not None and (self._bytes, self._count) == (len(known.blob), len(known)):
            return Files(known.blob, known.states, self._kept)
        if known is not None:
            self._remember(known)
        columns = np.array(self._states) if not self._states else np.frombuffer(self._states, np.int64)
        return Files(self._blob.getvalue(), columns.reshape(-1, len(State._fields)), self._kept)


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
    names, packed, states, width = list[str](), _Packed(), array("q"), len(State._fields)
    for name, status in _listed(folder, inside, seen):
        # With the slash, names have the order of the paths that begin with them.
        names.append(f"{name}/" if stat.S_ISDIR(status.st_mode) else name)
        states.extend(numbers_of(status))
        if len(names) == STEP:
            packed.take(names)
            del names[:]
    if not packed.width:
        for place in sorted(range(len(names)), key=names.__getitem__):
            yield f"{inside}{names[place]}", states[width * place : width * (place + 1)]
        return
    packed.take(names)
    for place, name in packed.ordered():
        yield f"{inside}{name}", states[width * place : width * (place + 1)]


class _Packed:
    """Names as rows of bytes, half as large as texts, in one stretch of memory that grows."""

    def __init__(self) -> None:
        self.width = 0  # bytes of a row
        self._rows = bytearray()
        self._unicode = sys.getfilesystemencoding() == "utf-8"

    def take(self, names: Sequence[str]) -> None:
        """Take some more names."""
        if not names:
            return
        part = np.array([os.fsencode(name) for name in names], np.bytes_)
        self._unicode = self._unicode and _is_unicode(part)
        if part.itemsize > self.width:
            wider = np.frombuffer(self._rows, f"S{self.width or 1}").astype(part.dtype)
            self.width, self._rows = part.itemsize, bytearray(wider.tobytes())
        self._rows += part.astype(f"S{self.width}").tobytes()

    def ordered(self) -> Iterator[tuple[int, str]]:
        """Yield place and name of each name in their order."""
        names = np.frombuffer(self._rows, f"S{self.width}")
        if self._unicode:  # whose bytes have the order of their letters
            order = names.argsort()
        else:
            texts = [os.fsdecode(name) for name in names]
            order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
        for block in parts(order):
            for place in block.tolist():
                yield place, os.fsdecode(names[place])


def _is_unicode(names: Array) -> bool:
    try:
        names.tobytes().decode()
    except UnicodeDecodeError:
        return False
    return True


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
