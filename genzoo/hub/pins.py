"""Pins: which weights a place gave when it was first used.

A name of the zoo is pinned by a ledger that is installed. A branch of a repository and a file without a
ledger can change under their names, so their row is kept in the cache at the first use, and other weights
under the same name are refused afterwards. Each pin is a zoo.toml of one row, named after its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from genzoo.errors import GenzooError
from genzoo.files import atomic_write, cache_dir, digest_path, make_folder, sha256_of
from genzoo.ledger import Row, format_row, read_rows

FOLDER = "pins"


def path_of(place: str) -> Path:
    """Return where the pin of `place` is kept."""
    return digest_path(cache_dir() / FOLDER, sha256_of(place.encode("utf-8", "surrogateescape")), ".toml")


def read(place: str) -> Row | None:
    """Return the row that `place` had when it was first used, or None if it was not used yet.

    Raises:
        StorageError, LedgerError: the pin is there and cannot be read: it is not taken for absent.
    """
    path = path_of(place)
    if not os.path.lexists(path):
        return None
    rows = list(read_rows(path).values())
    if len(rows) != 1:
        raise GenzooError(f"the pin of {place} is damaged: {path}", "remove it to pin what is there now")
    return rows[0]


def write(place: str, row: Row) -> None:
    """Keep `row` as the pin of `place`.

    Raises:
        StorageError: the cache cannot be written.
    """
    path = path_of(place)
    make_folder(path.parent)
    atomic_write(path, format_row(row.replace(scores=())).encode())


def rows() -> Iterator[Row]:
    """Yield every pinned row that can be read."""
    folder = cache_dir() / FOLDER
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".toml"))
    except OSError:
        return
    for name in names:
        try:
            yield from read_rows(folder / name).values()
        except GenzooError:  # whoever uses its place is told
            continue
