"""The files of a folder, of any nesting, and what its folders mean."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from genzoo.data.formats import FORMATS, LEFT_BEHIND
from genzoo.data.layout import FolderLayout, layout_of
from genzoo.data.notes import note
from genzoo.errors import DataError

Files: TypeAlias = "list[tuple[str, os.stat_result]]"


@dataclass(frozen=True)
class Listing:
    """The names and states of all files of a folder, in order, and what its folders mean.

    Attributes:
        files: (name, state) each; the name is the path relative to the folder, unless `paths` are given.
        layout: what the folders in these names mean.
        paths: the relative path of each file, where it is not its name: of one side of a paired set, in which
            both files of a pair have one name.
        half: "left" or "right" where that half of each picture is an image.
        side: what this view of the folder is called, "" for the whole.
    """

    files: Files
    layout: FolderLayout
    paths: Sequence[str] = ()
    half: str = ""
    side: str = ""

    def path(self, number: int) -> str:
        """Return the path of file `number`, relative to the folder."""
        return self.paths[number] if self.paths else self.files[number][0]


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
