"""Rows of a zoo.toml: what is published, where it is, and what was measured."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo.card import check_name
from genzoo.errors import LedgerError, safe_repr
from genzoo.files import is_digest
from genzoo.ledger.sources import Source, parse_source
from genzoo.record import Record
from genzoo.schema import limits

LARGEST = 1 << 31  # bytes of weights: they are read into memory as a whole (rule R8)
# bytes of a zoo.toml: some 600 rows with all their scores, read in a fraction of a second
LEDGER_CAP = 1 << 20
MOST_KEYS = 100  # of a recipe
_SETTING = re.compile(r"[^=\n]{1,200}=.{0,500}")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The keys of a row as they stand in the file."""

    plugin: str = ""  # distribution that provides the card
    sha256: str
    bytes: int = field(metadata=limits(1, LARGEST))
    sources: tuple[str, ...]
    card: str = ""  # the file with the model card, beside the zoo.toml
    licence: str = ""
    data: str = ""  # what it was trained on, one line
    terms: str = ""  # of the data, such as research use
    trained: str = ""  # steps, images, time, hardware, one line
    recipe: tuple[str, ...] = ()  # KEY=VALUE of each key of the recipe that was not the card's
    lineage: tuple[str, ...] = ()  # weights that the training started from, NAME@SHA256, nearest first
    scores: tuple[Record, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Row(Facts):
    """One published set of weights.

    Attributes:
        name: the model's name.
        origin: the zoo.toml that holds the row; relative `folder:` sources start beside it.
        sha256, bytes: of the safetensors file; pinned before anything is fetched (rule R1).
        sources: where it can be had, tried in this order; see `genzoo.ledger.sources`.
        card: the name of the model card's file beside the zoo.toml, empty where there is none.
        recipe: the keys of the recipe that were not the card's, as `genzoo train --set KEY=VALUE` takes them;
            empty if there were none, or if nobody recorded them.
        lineage: the weights that the training started from, as NAME@SHA256, the nearest first; empty if it
            started from random ones.
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
        if len(self.recipe) > MOST_KEYS:
            raise LedgerError(f"recipe must have at most {MOST_KEYS} keys, not {len(self.recipe):,}")
        for text in self.recipe:
            if not _SETTING.fullmatch(text):
                raise LedgerError(f"recipe must hold short texts KEY=VALUE, not {safe_repr(text)}")
        # Parsed here and not kept: a wrong source is an error when the row is read, not when somebody pulls.
        self.places()

    def places(self) -> list[Source]:
        """Return the sources, read; LedgerError names one that breaks the rules."""
        return [parse_source(text, self.origin.parent) for text in self.sources]

    def replace(self, **changes: Any) -> Row:
        """Return a copy with `changes`."""
        return dataclasses.replace(self, **changes)


class Ledger(Mapping[str, Row]):
    """Rows by name; `problems` holds one line for each ledger, row or part of a row that was left out."""

    def __init__(self, rows: Mapping[str, Row], problems: Iterable[str] = ()) -> None:
        self._rows = dict(rows)
        self.problems = tuple(problems)

    def __getitem__(self, name: str) -> Row:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
