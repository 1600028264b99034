"""What a preparation gives: contents of files, and remarks on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from genzoo.data.types import Array
from genzoo.errors import DataError
from genzoo.homes import HOMES

Content: TypeAlias = "bytes | Callable[[BinaryIO], object]"


@dataclass(frozen=True)
class Made:
    """Files by their path under GENZOO_DATA, and remarks, one line each."""

    files: Mapping[str, Content]
    remarks: tuple[str, ...] = field(default=())


def npz_of(arrays: Mapping[str, Array], packed: bool = True) -> Content:
    """Return what writes `arrays` as an .npz file, compressed unless `packed` is false."""
    save: Callable[..., None] = np.savez_compressed if packed else np.savez
    return lambda file: save(file, **arrays)


def end_to_end(files: Sequence[bytes]) -> tuple[Array, Array]:
    """Return `files` end to end, (B,) uint8, and where each begins and the last ends, (N + 1,) int64."""
    offsets = np.cumsum([0, *map(len, files)]).astype(np.int64)
    return np.frombuffer(b"".join(files), np.uint8), offsets


def refused(name: str, what: str) -> DataError:
    """Return the error for sources of the data set `name` that do not match: `what` was found, and what was
    expected.
    """
    home = HOMES[name]
    return DataError(f"{name}: {what}", f"expected {home.wanted} of {' and '.join(home.places)}")


def look_for(name: str, sources: Sequence[str], file: str) -> Path | None:
    """Return the file `file` or `file.gz`: one of `sources`, or anywhere in a folder of them; None if absent.

    Raises:
        DataError: a source that does not exist.
    """
    for source in map(existing(name), sources):
        for wanted in (file, f"{file}.gz"):
            found = (
                [source] if source.name == wanted and os.path.isfile(source) else sorted(source.rglob(wanted))
            )
            if found:
                return found[0]
    return None


def existing(name: str) -> Callable[[str], Path]:
    """Return the function from a source of the data set `name` to its path, which raises DataError if there
    is none.
    """

    def path_of(source: str) -> Path:
        path = Path(source).expanduser()
        if not os.path.exists(path):
            raise DataError(f"no such file or folder: {source!r}", HOMES[name].advice(name))
        return path

    return path_of
