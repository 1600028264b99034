"""A folder as a hub: at every instant a reader finds the old state or the new one.

Weights and model card are files that are named after their content and never change. The row names both;
it is written last and in one step. Files that no row names any more stay for `GRACE`, for those who read the
old row before, and go at a later push.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from genzoo.errors import GenzooError
from genzoo.files import atomic_write, make_folder, read_capped, sha256_of, storage, sweep
from genzoo.ledger import LEDGER_CAP, Row, add_row, with_row

GRACE = 86_400.0  # seconds that files of a replaced row are kept
_HEX = 16  # digits of the sha256 in a file's name


def weights_name(row: Row) -> str:
    """Return the name of the file that holds the weights of `row`: it differs where the weights differ."""
    return f"{row.name}-{row.sha256[:_HEX]}.safetensors"


def publish_to_folder(
    folder: Path, row: Row, weights: bytes, card_text: str, files: Mapping[str, bytes]
) -> Row:
    """Publish in `folder`, created if it is missing, and return the row as it stands in its zoo.toml.

    `files` are for people and not named by the row: those of an older push are removed before the row changes
    and written after it, so that none ever stands beside weights of another run.

    Raises:
        StorageError: the folder cannot be written; what was published before still is.
        LedgerError: its zoo.toml is broken.
    """
    # Temporary files of a push that was killed.
    sweep(make_folder(folder))
    card = card_text.encode("utf-8", "replace")
    final = row.replace(
        sources=(f"folder:{weights_name(row)}",),
        card=f"{row.name}-{sha256_of(card)[:_HEX]}.md",
        origin=folder / "zoo.toml",
    )
    before = _ledger(final.origin)
    # a ledger that cannot take the row raises before anything is written
    with_row(before, final, final.origin)
    # Weights and card first, under new names; the row, which makes them visible, last. A crash in between
    # leaves files without a row, which a later push sweeps.
    _write_once(folder / weights_name(row), weights)
    _write_once(folder / final.card, card)
    for path in _ours(folder, row.name):
        if path.name.encode() in before:
            _touch(path)  # its time of grace begins when the row that names it goes
    for name in files:
        with storage("remove", folder / name):
            (folder / name).unlink(missing_ok=True)
    # From here on readers see the new state.
    add_row(final.origin, final)
    for name, data in files.items():
        make_folder((folder / name).parent)
        atomic_write(folder / name, data)
    _sweep(folder, row.name)
    return final


def _write_once(path: Path, data: bytes) -> None:
    """Write the file unless it is there and right; either way it is new as far as `_sweep` is concerned."""
    with contextlib.suppress(GenzooError, OSError):
        if (
            # A link could point to a file that changes later: it is replaced by a real file.
            not os.path.islink(path)
            and path.stat().st_size == len(data)
            and sha256_of(path) == sha256_of(data)
        ):
            os.utime(path)
            return
    atomic_write(path, data)


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)


def _ledger(path: Path) -> bytes:
    return read_capped(path, LEDGER_CAP) if os.path.exists(path) else b""


def _ours(folder: Path, name: str) -> list[Path]:
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{_HEX}}}\.(safetensors|md)")
    return [path for path in folder.iterdir() if pattern.fullmatch(path.name)]


def _sweep(folder: Path, name: str) -> None:
    """Remove old files of `name` that no row names; what cannot be removed stays."""
    with contextlib.suppress(GenzooError, OSError):
        named = _ledger(folder / "zoo.toml")
        for path in _ours(folder, name):
            # A search of the text is enough, and errs on the safe side: a name that occurs anywhere keeps its
            # file.
            if path.name.encode() not in named and path.lstat().st_mtime < time.time() - GRACE:
                path.unlink()
