"""All ledgers together: the core's, those that plugins bring, and the user's own (GENZOO_ZOO)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from genzoo.card import fold
from genzoo.errors import GenzooError, LedgerError
from genzoo.files import find_resource
from genzoo.ledger.rows import Row, parse_rows, read_rows

FILE = "zoo.toml"


class Ledger(Mapping[str, Row]):
    """Rows by name; `problems` holds one line for each ledger or row that was left out, in the order they were met."""

    def __init__(self, rows: Mapping[str, Row], problems: Iterable[str] = ()) -> None:
        self._rows = dict(rows)
        self.problems = tuple(problems)

    def __getitem__(self, name: str) -> Row:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def find_ledger() -> Path:
    """Return the core's zoo.toml: inside the package (wheel), else at the top of the repository (editable install).

    Raises:
        LedgerError: there is none.
    """
    package = Path(__file__).parent.parent
    top = package.parent
    if (package / FILE).is_file():
        return package / FILE
    if (top / FILE).is_file() and (top / "pyproject.toml").is_file():
        return top / FILE
    raise LedgerError(f"{package / FILE} is missing", "reinstall genzoo")


def load_ledgers(core: Path | None = None, *, plugins: Iterable[str] = (), extra: Iterable[str | Path] | None = None) -> Ledger:
    """Read all ledgers into one.

    The user's own rows win over the core's, the first of several ledgers over the later ones; a plugin may add rows but never
    replace one. A broken ledger other than the core's is left out and named in `Ledger.problems`.

    Args:
        core: the core's zoo.toml; by default `find_ledger()`.
        plugins: resources, as `package/path/zoo.toml`.
        extra: zoo.toml files or folders that hold one; by default those of GENZOO_ZOO, separated as in PATH.

    Raises:
        LedgerError, StorageError: the core's ledger is missing or broken.
    """
    rows = read_rows(core or find_ledger())
    problems: list[str] = []
    for resource in plugins:
        for row in _tried(_read_resource, resource, f"ledger {resource}", problems).values():
            _add(rows, row, f"ledger {resource}", problems)
    chosen = extra if extra is not None else filter(None, os.environ.get("GENZOO_ZOO", "").split(os.pathsep))
    mine: dict[str, Row] = {}
    for place in chosen:
        for row in _tried(_read_place, str(place), "GENZOO_ZOO", problems).values():
            if row.name not in mine:
                _add(mine, row, f"GENZOO_ZOO: {row.origin}", problems)
    for row in mine.values():
        rows.pop(row.name, None)
        _add(rows, row, f"GENZOO_ZOO: {row.origin}", problems)
    return Ledger(rows, problems)


def _tried(read: Callable[[str], Mapping[str, Row]], place: str, label: str, problems: list[str]) -> Mapping[str, Row]:
    try:
        return read(place)
    except GenzooError as error:
        problems.append(f"{label}: {error}")
        return {}


def _read_resource(resource: str) -> Mapping[str, Row]:
    found = find_resource(resource)
    if found is None:
        raise LedgerError(f"no file {resource}", "reinstall the plugin")
    return parse_rows(found, Path(resource)) if isinstance(found, bytes) else read_rows(found)


def _read_place(place: str) -> Mapping[str, Row]:
    path = Path(os.path.expanduser(place))
    return read_rows(path / FILE if os.path.isdir(path) else path)


def _add(rows: dict[str, Row], row: Row, label: str, problems: list[str]) -> None:
    clash = next((other for other in rows.values() if fold(other.name) == fold(row.name)), None)
    if clash is None:
        rows[row.name] = row
    else:
        problems.append(f"{label}: the row [{row.name}] is left out: the name belongs to [{clash.name}] of {clash.origin}")
