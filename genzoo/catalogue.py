"""The catalogue: for each name its card and the ledger's row of its published weights, read once per process.

Everything that takes a model's name looks it up here, once, and hands on the `Entry`.
"""

from __future__ import annotations

import fnmatch
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from genzoo.card import Card
from genzoo.errors import ArgumentError, HubError
from genzoo.ledger import Ledger, Row, ledger_files, load_ledgers
from genzoo.registry import Registry, installed


class Entry(NamedTuple):
    """What is known of one model; `row` is None where no weights are published."""

    card: Card
    row: Row | None


class Catalogue(Mapping[str, Entry]):
    """Every installed model by name, in the order of the taxonomy.

    Attributes:
        ledger: all rows, also those of models whose plugin is not installed.
        problems: one line for each ledger, row or part of a row that was left out.
    """

    def __init__(self, registry: Registry, ledger: Ledger) -> None:
        self._registry = registry
        self.ledger = ledger
        self.problems = ledger.problems
        self._entries = {
            name: Entry(card.replace(has_weights=name in ledger), ledger.get(name))
            for name, card in registry.cards.items()
        }

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, name: str) -> Entry:
        """Return the entry of `name`.

        Raises:
            ArgumentError: `name` is not a text.
            UnknownNameError: no installed plugin has it; the message holds the nearest name.
        """
        return self._entries[self._registry.find(name).name]

    def published(self, name: str) -> Row:
        """Return the row of the published weights of `name`, whether its plugin is installed or not.

        Raises:
            ArgumentError, UnknownNameError: see `find`.
            HubError: a model without published weights; the message says which have some.
        """
        row = self.ledger.get(name) if isinstance(name, str) else None
        return row if row is not None else self.row_of(self.find(name))

    def row_of(self, entry: Entry) -> Row:
        """Return the row of `entry`; HubError as in `published`."""
        if entry.row is None:
            raise self._unpublished(entry.card)
        return entry.row

    def _unpublished(self, card: Card) -> HubError:
        name = card.name
        mark = f"[{name}]"
        spoilt = next((line for line in self.problems if mark in line and "left out" in line), "")
        if spoilt:
            return HubError(
                f"the row of {name!r} cannot be used: {spoilt}",
                "fix it, or ask the maintainer of this ledger",
            )
        own = [f"genzoo train {name} trains your own; genzoo sample runs/{name} uses them"]
        twin = next((c.name for c, row in self.values() if row is not None and c.model == card.model), "")
        if twin:
            ways = [f"{twin!r} has", *own[: card.recipe is not None]]
        else:
            ways = [*own[: card.recipe is not None], f"genzoo.create({name!r}) has fresh ones"]
        return HubError(f"{name!r} has no published weights", "; ".join(ways))


class _Kept(NamedTuple):
    """A catalogue, and all that it was made from."""

    registry: Registry
    files: tuple[tuple[str, tuple[int, ...]], ...]
    catalogue: Catalogue


_lock = threading.Lock()
_kept: list[_Kept] = []  # at most one, guarded by _lock


def catalogue() -> Catalogue:
    """Return the catalogue of this process; it is read again when a ledger has changed, or GENZOO_ZOO.

    Raises:
        LedgerError, StorageError: the core's ledger is missing or broken.
    """
    registry = installed()
    with _lock:
        # looked at before they are read: a change in between is seen by the next call
        files = tuple(map(_state, ledger_files(plugins=registry.ledgers)))
        if not _kept or _kept[0].registry is not registry or _kept[0].files != files:
            _kept[:] = [_Kept(registry, files, Catalogue(registry, load_ledgers(plugins=registry.ledgers)))]
        return _kept[0].catalogue


def _state(path: Path) -> tuple[str, tuple[int, ...]]:
    """Return the path of a ledger, and facts that change when it is written."""
    try:
        facts = os.stat(path)
        return os.path.abspath(path), (facts.st_mtime_ns, facts.st_size, facts.st_dev, facts.st_ino)
    except (OSError, ValueError):  # missing, or not a file name: reported when the ledgers are read
        return str(path), ()


def matching(pattern: str, names: Mapping[str, Entry]) -> list[str]:
    """Return those of `names` that fit a pattern with `*`, `?` and `[abc]`; the case of letters counts not.

    Raises:
        ArgumentError: the pattern is not a text.
    """
    if not isinstance(pattern, str):
        raise ArgumentError(f"a pattern must be a text, not {pattern!r}", "for example '*mnist*'")
    return [name for name in names if fnmatch.fnmatchcase(name, pattern.lower())]
