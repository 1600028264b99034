"""Rows of a zoo.toml: what is published, where it lies, and what was measured; read strictly, written always the same."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo.card import check_name, fold
from genzoo.errors import ArgumentError, GenzooError, LedgerError
from genzoo.files import atomic_write, is_digest, locked, read_capped
from genzoo.ledger.sources import Source, parse_source
from genzoo.ledger.text import KeyPath, load, locate, quoted, replace_table
from genzoo.schema import limits, parse

LARGEST = 1 << 31  # bytes of weights: they are read into memory as a whole (rule R8)
_LEDGER_CAP = 8 << 20  # bytes of a zoo.toml
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measurement, with all that is needed to know what it may be compared with."""

    metric: str
    value: float
    unit: str = ""
    kind: str = field(default="sample", metadata=limits(choices=("exact", "elbo", "iwae", "sample", "reconstruction", "classification")))
    n: int = field(default=0, metadata=limits(0, 10**12))  # images measured, 0 where that has no meaning
    stderr: float | None = field(default=None, metadata=limits(0))
    blocks: int | None = field(default=None, metadata=limits(1, 10**12))  # independent groups of images that stderr counts
    subject: str = ""  # whose images: the model's name, or "train" for the floor that real images reach
    data: str = ""
    split: str = ""
    transform: str = ""  # of the data: 8-bit, static or dynamic binarisation
    protocol: str = ""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """The keys of a row as they stand in the file."""

    plugin: str = ""  # distribution that provides the card
    sha256: str
    bytes: int = field(metadata=limits(1, LARGEST))
    sources: tuple[str, ...]
    licence: str = ""
    data: str = ""  # what it was trained on, one line
    terms: str = ""  # of the data, such as research use
    trained: str = ""  # steps, images, time, hardware, one line
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Row(_Facts):
    """One published set of weights.

    Attributes:
        name: the model's name.
        origin: the zoo.toml that holds the row; relative `folder:` sources start beside it.
        sha256, bytes: of the safetensors file; pinned before anything is fetched (rule R1).
        sources: where it can be had, tried in this order; see `genzoo.ledger.sources`.
        plugin, licence, data, terms, trained, scores: facts for people.
    """

    name: str
    origin: Path = Path("zoo.toml")

    def __post_init__(self) -> None:
        check_name(self.name)
        if not is_digest(self.sha256):
            raise LedgerError(f"sha256 must be 64 lower-case hexadecimal digits, not {self.sha256!r}")
        if not self.sources:
            raise LedgerError("sources must name at least one place")
        if not isinstance(self.bytes, int) or not 1 <= self.bytes <= LARGEST:
            raise LedgerError(f"bytes must lie between 1 and {LARGEST}, not {self.bytes!r}")
        self.places()

    def places(self) -> list[Source]:
        """Return the sources, read; LedgerError names one that breaks the rules."""
        return [parse_source(text, self.origin.parent) for text in self.sources]

    def replace(self, **changes: Any) -> Row:
        """Return a copy with `changes`."""
        return dataclasses.replace(self, **changes)


def read_rows(path: Path) -> dict[str, Row]:
    """Read the zoo.toml at `path`.

    Raises:
        StorageError: it is missing, unreadable or larger than 8 MB.
        LedgerError: it breaks the rules; the message opens with file and line.
    """
    return parse_rows(read_capped(path, _LEDGER_CAP), path)


def parse_rows(data: bytes, origin: Path) -> dict[str, Row]:
    """Read the content of a zoo.toml; `origin` is what messages call it and where relative folders start. Raises as `read_rows`."""
    text = _decode(data, origin)
    try:
        tables = load(text)
    except ValueError as error:
        found = re.search(r"at line (\d+)", str(error))
        raise LedgerError(f"{origin}:{found[1] if found else 1}: not valid TOML: {error}", "fix the line") from error
    rows: dict[str, Row] = {}
    folds: dict[str, str] = {}
    lines = locate(text)
    for name, table in tables.items():
        rows[name] = _row(name, table, origin, lines)
        if fold(name) in folds:
            raise LedgerError(f"{origin}:{lines.get((name,), 1)}: [{name}] clashes with [{folds[fold(name)]}]", "choose another name")
        folds[fold(name)] = name
    return rows


def _decode(data: bytes, origin: Path) -> str:
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LedgerError(f"{origin}:{line}: not UTF-8 text", "save the file as UTF-8") from error


def _row(name: str, table: Any, origin: Path, lines: Mapping[KeyPath, int]) -> Row:
    """Build one row; what the checks say is told with the line of the key it is about."""
    here: KeyPath = (name,)
    values: Any = table
    try:
        check_name(name)
        if not isinstance(table, dict):
            raise ArgumentError("must be a table of key = value")
        scores: list[Score] = []
        given = table.get("scores", [])
        if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
            raise ArgumentError(f"scores must be a list of tables, written [[{name}.scores]]")
        for index, values in enumerate(given):
            here = (name, "scores", index)
            scores.append(parse(Score, values, ""))
        here, values = (name,), table
        facts = parse(_Facts, {**table, "scores": tuple(scores)}, "")
        return Row(name=name, origin=origin, **{f.name: getattr(facts, f.name) for f in dataclasses.fields(facts)})
    except GenzooError as error:
        words = error.message.removeprefix(":").strip()
        line = lines.get((*here, _blamed(words, values)), lines.get(here, lines.get((name,), 1)))
        label = ".".join(str(part) for part in here if isinstance(part, str))
        raise LedgerError(f"{origin}:{line}: [{label}] {words}", error.hint) from error


def _blamed(words: str, values: Any) -> str:
    """Return the key of `values` that a message of the checker is about, or an empty text."""
    keys = values if isinstance(values, dict) else ()
    about = [key for key in keys if words.startswith((f"unknown key {key!r}", f"{key} ", f"{key}."))]
    return about[0] if about else "sources" if words.startswith("source ") else ""


def format_row(row: Row) -> str:
    """Return `row` as TOML; equal rows give equal text, and empty values are left out."""
    head = row.name if _BARE.fullmatch(row.name) else quoted(row.name)
    lines = [f"[{head}]", *_pairs(row, _Facts)]
    for score in row.scores:
        lines += ["", f"[[{head}.scores]]", *_pairs(score, Score)]
    return "\n".join(lines) + "\n"


def _pairs(values: Any, kind: type[Any]) -> list[str]:
    found = [(f, getattr(values, f.name)) for f in dataclasses.fields(kind) if f.name != "scores"]
    return [f"{f.name} = {_value(value)}" for f, value in found if f.default is dataclasses.MISSING or value not in ("", None)]


def _value(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return "[\n" + "".join(f"    {quoted(item)},\n" for item in value) + "]"
    return repr(value)


def with_row(data: bytes, row: Row, origin: Path) -> bytes:
    """Return the content of a zoo.toml with `row` added or replaced; all other rows and comments stay as they are.

    Raises:
        LedgerError: the content is broken already, or writes the row in a form that cannot be replaced safely.
    """
    before = parse_rows(data, origin)
    text = replace_table(_decode(data, origin), row.name, format_row(row)).encode()
    try:
        after = parse_rows(text, origin)
    except LedgerError as error:
        raise LedgerError(f"{origin}: the row [{row.name}] cannot be written: {error.message}", "edit the file by hand") from error
    if after != {**before, row.name: row.replace(origin=origin)}:
        raise LedgerError(f"{origin}: the row [{row.name}] cannot be replaced without harm to others", "edit the file by hand")
    return text.replace(b"\n", b"\r\n") if b"\r\n" in data else text


def add_row(path: Path, row: Row) -> None:
    """Add `row` to the zoo.toml at `path`, or replace the row of that name; the file is created if it is missing.

    Several processes may do so at once: each change is made under a lock and in one step. Raises as `with_row`, and StorageError.
    """
    with locked(path.with_name(f".{path.name}.lock")):
        before = read_capped(path, _LEDGER_CAP) if path.exists() else b""
        atomic_write(path, with_row(before, row, path))
