"""Read a zoo.toml so that each row stands alone: what is wrong with one is a problem line, and the others
work.

A row of a newer genzoo is read as far as it is known: unknown keys and score kinds are left out and reported.
Where the text is not TOML, it is cut at its headers, and the blocks that are TOML are read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from genzoo.card import check_name, fold
from genzoo.errors import ArgumentError, GenzooError, LedgerError, safe_text, suggest
from genzoo.files import read_capped
from genzoo.ledger.rows import LEDGER_CAP, Facts, Ledger, Row
from genzoo.ledger.scores import KEYS, read_score
from genzoo.ledger.sources import parse_source
from genzoo.ledger.text import KeyPath, blocks, load, locate
from genzoo.record import Record
from genzoo.schema import parse

MOST_PROBLEMS = 20  # lines reported of one file
_MOST_SOURCES = 32  # of one row
_MOST_SCORES = 5_000  # of one file
_KEYS: Mapping[type[Any], Mapping[str, None]] = {  # dicts, as sets that keep the order
    Facts: dict.fromkeys(f.name for f in dataclasses.fields(Facts)),
    Record: dict.fromkeys(KEYS),
}


def read_rows(path: Path) -> Ledger:
    """Read the zoo.toml at `path`; what cannot be used is left out and listed in the ledger's `problems`,
    with file and line.

    Raises:
        StorageError: it is missing, unreadable or larger than 1 MB.
        LedgerError: it is not TOML, and no row can be made out.
    """
    return parse_rows(read_capped(path, LEDGER_CAP), path)


def parse_rows(data: bytes, origin: Path) -> Ledger:
    """Read the content of a zoo.toml; `origin` is what messages call it and where relative folders start.
    Raises as `read_rows`.
    """
    # Bytes that are not UTF-8 survive as surrogates, so that one bad row does not cost the whole file.
    # Editors on Windows write a byte order mark and CR LF.
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff").replace("\r\n", "\n")
    reader = _Reader(origin)
    try:
        tables = load_text(text)
    except ValueError as error:
        with contextlib.suppress(ValueError):
            for raw in _salvage(text, reader):
                reader.add(raw)
        if not reader.rows:
            raise broken(error, origin) from error
    else:
        part = _Part(text)
        for name, table in tables.items():
            reader.add(_raw(name, table, part))
    return Ledger(reader.rows, reader.problems())


def load_text(text: str) -> dict[str, Any]:
    """Return what TOML says; ValueError where it is none, or holds bytes that were not UTF-8 (as lone
    surrogates).
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8 text (at line {line})") from error
    return load(text)


def broken(error: ValueError, origin: Path) -> LedgerError:
    """Return the error for a file that is not TOML; it opens with file and line."""
    line, words = _told(error)
    return LedgerError(
        f"{origin}:{line}: {words}", "save the file as UTF-8" if "UTF-8" in words else "fix the line"
    )


def _told(error: ValueError) -> tuple[int, str]:
    found = re.search(r"\(at line ([0-9]+)[^)]*\)", str(error))
    words = re.sub(r" *\(at [^)]*\)$", "", str(error))
    return int(found[1]) if found else 1, words if "UTF-8" in words else f"not valid TOML: {words}"


@dataclass
class _Part:
    """Text that is TOML, and the line of the file at which it starts."""

    text: str
    first: int = 1

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return locate(self.text)  # a second scan of the file: only what is wrong needs its line

    def line(self, *paths: KeyPath) -> int:
        """Return the line in the file of the first of `paths` that stands there."""
        return self.first - 1 + next((self._lines[path] for path in paths if path in self._lines), 1)


@dataclass
class _Raw:
    """A row as it stands in the file; its scores may come from other blocks than its keys."""

    name: str
    table: Any
    part: _Part
    scores: list[tuple[Any, _Part, KeyPath]] = field(default_factory=list)


def _raw(name: str, table: Any, part: _Part) -> _Raw:
    given = table.get("scores", []) if isinstance(table, dict) else []
    raw = _Raw(name, table, part)
    if isinstance(given, list):
        raw.scores += [(item, part, (name, "scores", index)) for index, item in enumerate(given)]
    return raw


def _salvage(text: str, reader: _Reader) -> list[_Raw]:
    """Return the rows of text that is not TOML, each put together from those of its blocks that are; report
    the others.
    """
    found: dict[str, _Raw] = {}
    for line, block, tables in _readable(text, reader):
        for name, table in tables.items():
            raw = _raw(name, table, _Part(block, line))
            if name not in found:
                found[name] = raw
            elif isinstance(table, dict) and set(table) == {"scores"}:
                found[name].scores += raw.scores
            else:
                reader.fault(line, name, "is defined twice in the file (the second is ignored)")
    return list(found.values())


def _readable(
    text: str, reader: _Reader, first: int = 1, whole_strings: bool = True
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield line, text and tables of the blocks that are TOML; a block that is none is cut once more, through
    its strings.
    """
    for line, name, block in blocks(text, whole_strings=whole_strings):
        try:
            yield first + line - 1, block, load_text(block)
        except ValueError as error:
            if whole_strings and "\n[" in block:
                yield from _readable(block, reader, first + line - 1, whole_strings=False)
                continue
            at, words = _told(error)
            reader.fault(first + line + at - 2, name, f"{words} (this part is left out)")


class _Reader:
    """Collects the rows of one file and its problems, the same problem only once."""

    def __init__(self, origin: Path) -> None:
        self.origin = origin
        self.rows: dict[str, Row] = {}
        self._scores_left = _MOST_SCORES
        self._folds: dict[str, str] = {}
        self._faults: dict[tuple[str, str], tuple[str, int]] = {}  # what -> where it was met first, how often
        self._unknown: dict[tuple[type[Any], str], tuple[_Part, KeyPath, str, int]] = {}

    def add(self, raw: _Raw) -> None:
        """Take the row if it can be used; else report why not."""
        if not isinstance(raw.table, dict):
            return self._note(Facts, raw.name, raw.part, (raw.name,), "")
        row = self._row(raw)
        if row is None:
            return None
        if clash := self._folds.get(fold(row.name)):
            line = raw.part.line((raw.name,))
            return self.fault(line, row.name, f"clashes with [{clash}] (this row is left out)")
        self._folds[fold(row.name)] = row.name
        self.rows[row.name] = (
            row if not raw.scores else row.replace(scores=tuple(self._scores(raw, row.data)))
        )
        return None

    def _row(self, raw: _Raw) -> Row | None:
        values = {key: value for key, value in raw.table.items() if key != "scores"}
        try:
            check_name(raw.name)
            if not isinstance(raw.table.get("scores", []), list):
                raise ArgumentError(f"scores must be a list of tables, written [[{raw.name}.scores]]")
            known = self._known(Facts, values, raw.part, (raw.name,), raw.name)
            if isinstance(known.get("sources"), list):
                known["sources"] = self._sources(known["sources"], raw)
            facts = parse(Facts, known, "")
            return Row(
                name=raw.name, origin=self.origin, **{key: getattr(facts, key) for key in _KEYS[Facts]}
            )
        except GenzooError as error:
            self._blame(error, values, raw.part, (raw.name,), raw.name, "this row is left out")
            return None

    def _sources(self, given: list[Any], raw: _Raw) -> list[Any]:
        """Leave out sources that break the rules as long as others remain; a newer genzoo may know more
        forms.
        """
        if len(given) > _MOST_SOURCES:
            raise ArgumentError(f"sources must name at most {_MOST_SOURCES} places, not {len(given):,}")
        usable: list[Any] = []
        refused: list[LedgerError] = []
        for text in given:
            try:
                if isinstance(text, str):
                    parse_source(text, self.origin.parent)
                usable.append(text)
            except LedgerError as error:
                refused.append(error)
        # A row without any usable source could never be pulled.
        if refused and not usable:
            raise refused[0]
        for reason in refused:
            self._blame(reason, raw.table, raw.part, (raw.name,), raw.name, "this source is left out")
        return usable

    def _scores(self, raw: _Raw, trained_on: str) -> Iterator[Record]:
        label, most = f"{raw.name}.scores", self._scores_left
        # Counted over the file: a thousand rows could each stay below a limit per row.
        self._scores_left = max(0, most - len(raw.scores))
        if len(raw.scores) > most:
            self.fault(
                raw.part.line((raw.name,)),
                raw.name,
                f"a file may hold {_MOST_SCORES:,} scores (the others are left out)",
            )
        for values, part, path in raw.scores[:most]:
            try:
                if not isinstance(values, dict):
                    raise ArgumentError(f"scores must be a list of tables, written [[{label}]]")
                yield read_score(self._known(Record, values, part, path, label), trained_on)
            except GenzooError as error:
                self._blame(error, values, part, path, label, "this score is left out")

    def _known(
        self, kind: type[Any], values: Mapping[str, Any], part: _Part, path: KeyPath, label: str
    ) -> dict[str, Any]:
        known = dict(values)
        for key in [key for key in values if key not in _KEYS[kind]]:
            self._note(kind, key, part, (*path, key), label)
            del known[key]
        return known

    def _note(self, kind: type[Any], key: str, part: _Part, path: KeyPath, label: str) -> None:
        first = self._unknown.get((kind, key), (part, path, label, 0))
        self._unknown[kind, key] = (*first[:3], first[3] + 1)

    def _blame(
        self, error: GenzooError, values: Any, part: _Part, path: KeyPath, label: str, end: str
    ) -> None:
        words = error.message.removeprefix(":").strip()
        # The most precise place that is known: the key, else its score, else the row.
        line = part.line((*path, _blamed(words, values)), path, path[:1])
        self.fault(line, label, f"{words} ({end})" + (f" — {error.hint}" if error.hint else ""))

    def fault(self, line: int, label: str, words: str) -> None:
        """Remember a problem; of scores, the same words again are only counted."""
        key = ("scores" if label.endswith(".scores") else label, words)
        where, count = self._faults.get(key, (_place(line, label), 0))
        self._faults[key] = (where, count + 1)

    def problems(self) -> list[str]:
        """Return the problems, one line each, at most `MOST_PROBLEMS` and one more."""
        lines = []
        # At most half of the lines: unknown keys of a newer genzoo must not crowd out real faults.
        for (kind, key), (part, path, label, count) in list(self._unknown.items())[: MOST_PROBLEMS // 2]:
            where = _place(part.line(path, path[:-1], path[:1]), label)
            lines.append(f"{where} unknown key {key!r}{suggest(key, _KEYS[kind])} (ignored){_times(count)}")
        faults = list(self._faults.items())[: MOST_PROBLEMS - len(lines)]
        lines += [f"{where} {words}{_times(count)}" for (_, words), (where, count) in faults]
        if (left := len(self._faults) + len(self._unknown) - len(lines)) > 0:
            lines.append(f" and {left:,} more problems")
        return [safe_text(f"{self.origin}:{line}", 1000) for line in lines]


def _place(line: int, label: str) -> str:
    return f"{line}: [{label}]" if label else f"{line}:"


def _times(count: int) -> str:
    return f", {count:,} times" if count > 1 else ""


def _blamed(words: str, values: Any) -> str:
    """Return the key of `values` that a message of the checker is about, or an empty text."""
    keys = (
        [key for key in values if key in _KEYS[Facts] or key in _KEYS[Record]]
        if isinstance(values, dict)
        else []
    )
    about = [key for key in keys if words.startswith((f"{key} ", f"{key}."))]
    return about[0] if about else "sources" if words.startswith("source ") else ""
