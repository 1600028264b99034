"""Write rows: always in the same form, and into a zoo.toml without harm to anything else that stands
there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from genzoo.errors import LedgerError
from genzoo.files import atomic_write, locked, read_capped
from genzoo.ledger.reading import broken, load_text, parse_rows
from genzoo.ledger.rows import LEDGER_CAP, Facts, Row
from genzoo.ledger.scores import write_score
from genzoo.ledger.text import foreign, quoted, replace_table

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEYS = tuple(f.name for f in dataclasses.fields(Facts))
_TRIES = 10  # to write while others, whom no lock keeps out, write too


def format_row(row: Row, keys: Sequence[str] = (), tables: Sequence[str] = ()) -> str:
    """Return `row` as TOML; equal rows give equal text, and empty values are left out.

    `keys` and `tables` are lines of further keys and sub-tables of the row.
    """
    head = row.name if _BARE.fullmatch(row.name) else quoted(row.name)
    lines = [f"[{head}]", *_pairs(row), *keys]
    for score in row.scores:
        pairs = write_score(score, row.data).items()
        lines += ["", f"[[{head}.scores]]", *(f"{key} = {_value(value)}" for key, value in pairs)]
    return "\n".join([*lines, *([""] if tables else []), *tables]) + "\n"


def _pairs(row: Row) -> list[str]:
    found = [(f, getattr(row, f.name)) for f in dataclasses.fields(Facts) if f.name != "scores"]
    return [
        f"{f.name} = {_value(value)}"
        for f, value in found
        if f.default is dataclasses.MISSING or value not in ("", None, ())
    ]


def _value(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return "[\n" + "".join(f"    {quoted(item)},\n" for item in value) + "]"
    # repr of a float is the shortest text that reads back as the same number.
    return repr(value)


def with_row(data: bytes, row: Row, origin: Path) -> bytes:
    """Return the content of a zoo.toml with `row` added or replaced; all other rows, keys and comments stay
    as they are.

    Keys of the replaced row that are not known here stay too: as comments where the row now pins other
    weights.

    Raises:
        LedgerError: the content is broken already, grows too large, or writes the row in a form that cannot
            be replaced safely.
    """
    text, before = _read(data, origin)
    keys, tables = foreign(text, row.name, _KEYS)
    old = before.get(row.name)
    # Unknown keys may describe the old weights (a signature, say): kept for people, but no longer in force.
    if isinstance(old, dict) and old.get("sha256") != row.sha256:
        keys, tables = [f"# {line}" for line in keys], [f"# {line}" for line in tables]
    new = replace_table(text, row.name, format_row(row, keys, tables)).encode()
    try:
        # The text was edited line by line, so the result is parsed again and compared: a form that the editor
        # does not understand must not damage other rows.
        _, after = _read(new, origin)
    except LedgerError as error:
        raise LedgerError(
            f"{origin}: the row [{row.name}] cannot be written: {error.message}", "edit the file by hand"
        ) from error
    found = parse_rows(new, origin)
    if found.get(row.name) != row.replace(origin=origin) or not _same_but(row.name, before, after):
        why = "".join(f": {problem}" for problem in found.problems if f"[{row.name}]" in problem)
        raise LedgerError(
            f"{origin}: the row [{row.name}] cannot be replaced without harm to others{why}",
            "edit the file by hand",
        )
    if len(new) > LEDGER_CAP:
        raise LedgerError(
            f"{origin} would grow beyond {LEDGER_CAP:,} bytes", "publish to another folder or repository"
        )
    # Keep the line ends of the file, or every line would show up as changed.
    return new.replace(b"\n", b"\r\n") if b"\r\n" in data else new


def _read(data: bytes, origin: Path) -> tuple[str, dict[str, Any]]:
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        return text, load_text(text)
    except ValueError as error:
        raise broken(error, origin) from error


def _same_but(name: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    one, other = ({key: value for key, value in tables.items() if key != name} for tables in (before, after))
    if one == other:
        return True
    with contextlib.suppress(ValueError):  # of whole numbers too long to write
        return repr(one) == repr(other)  # a NaN is not equal to itself
    return False


class _ChangedError(Exception):
    """Somebody wrote the file while a new one was made from it."""


def add_row(path: Path, row: Row) -> None:
    """Add `row` to the zoo.toml at `path`, or replace the row of that name; the file is created if it is
    missing.

    Several processes may do so at once: each change is made under a lock and in one step. Where the file
    system has no locks, the file is read again before it is replaced and after. Raises as `with_row`, and
    StorageError.
    """
    # A lock file beside it, not the file itself: that one is replaced, and a lock on it would be lost.
    with locked(path.with_name(f".{path.name}.lock")):
        for _ in range(_TRIES):
            if _is_written(path, row):
                return
    raise LedgerError(
        f"{path}: others keep writing to it, and the row [{row.name}] is lost each time", "try again later"
    )


def _is_written(path: Path, row: Row) -> bool:
    """Write `row`, and return whether it is in the file: a program without a lock may have written, too."""
    before = _content(path)
    new = with_row(before, row, path)
    try:
        # The comparison runs after the new file is written and just before it is renamed, which keeps the gap
        # for writers without a lock as short as possible.
        atomic_write(path, partial(_write_unless_changed, new=new, path=path, before=before))
    except _ChangedError:
        return False
    # Read back: on a file system without locks another writer may have replaced it at the same moment.
    return parse_rows(_content(path), path).get(row.name) == row.replace(origin=path)


def _content(path: Path) -> bytes:
    return read_capped(path, LEDGER_CAP) if os.path.exists(path) else b""


def _write_unless_changed(file: BinaryIO, new: bytes, path: Path, before: bytes) -> None:
    file.write(new)
    if _content(path) != before:
        raise _ChangedError
