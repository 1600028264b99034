"""All ledgers together: the core's, those that plugins bring, and the user's own (GENZOO_ZOO)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from genzoo.card import fold
from genzoo.errors import GenzooError, LedgerError
from genzoo.files import find_resource
from genzoo.ledger.reading import parse_rows, read_rows
from genzoo.ledger.rows import Ledger, Row

FILE = "zoo.toml"


def find_ledger() -> Path:
    """Return the core's zoo.toml: inside the package (wheel), else at the top of the repository (editable
    install).

    Raises:
        LedgerError: there is none.
    """
    package = Path(__file__).parent.parent
    top = package.parent
    if os.path.isfile(package / FILE):
        return package / FILE
    # The pyproject.toml shows that this is the repository: in site-packages a zoo.toml beside us would be any
    # other package's.
    if os.path.isfile(top / FILE) and os.path.isfile(top / "pyproject.toml"):
        return top / FILE
    raise LedgerError(f"{package / FILE} is missing", "reinstall genzoo")


def load_ledgers(
    core: Path | None = None, *, plugins: Iterable[str] = (), extra: Iterable[str | Path] | None = None
) -> Ledger:
    """Read all ledgers into one.

    The user's own rows win over the core's, the first of several ledgers over the later ones; a plugin may
    add rows but never replace one. What cannot be used, rows or (but for the core's) whole ledgers, is left
    out and named in `Ledger.problems`.

    Args:
        core: the core's zoo.toml; by default `find_ledger()`.
        plugins: resources, as `package/path/zoo.toml`.
        extra: zoo.toml files or folders that hold one; by default those of GENZOO_ZOO, separated as in PATH.

    Raises:
        LedgerError, StorageError: the core's ledger is missing or broken.
    """
    # Not _tried: without its own ledger genzoo is not installed properly, and should say so.
    official = read_rows(core or find_ledger())
    problems = list(official.problems)
    rows = {fold(row.name): row for row in official.values()}
    for resource in plugins:
        for row in _tried(_read_resource, resource, f"ledger {resource}", problems).values():
            _add(rows, row, f"ledger {resource}", problems)
    # Collected apart first: among GENZOO_ZOO the first wins, but all of them win over the core.
    mine: dict[str, Row] = {}
    for place in _chosen(extra):
        for row in _tried(_read_place, place, "GENZOO_ZOO", problems).values():
            first = mine.get(fold(row.name))
            if first is None or first.name != row.name:
                _add(mine, row, f"GENZOO_ZOO: {row.origin}", problems)
    for row in mine.values():
        # Only the same name is replaced. One that merely folds to it (gan_mnist) would hide the official
        # model under a name that looks the same.
        if (other := rows.get(fold(row.name))) and other.name == row.name:
            del rows[fold(row.name)]
        _add(rows, row, f"GENZOO_ZOO: {row.origin}", problems)
    return Ledger({row.name: row for row in rows.values()}, problems)


def ledger_files(*, plugins: Iterable[str] = (), extra: Iterable[str | Path] | None = None) -> Iterator[Path]:
    """Yield the paths that `load_ledgers` reads; one of `extra` may not be there.

    Raises:
        LedgerError: the core's ledger is missing.
    """
    yield find_ledger()
    for resource in plugins:
        with contextlib.suppress(GenzooError):  # a wrong name is reported when the ledger is read
            found = find_resource(resource)
            if isinstance(found, Path):  # inside an archive nothing changes
                yield found
    yield from map(_path, _chosen(extra))


def _chosen(extra: Iterable[str | Path] | None) -> list[str]:
    if extra is not None:
        return list(map(str, extra))
    return list(filter(None, os.environ.get("GENZOO_ZOO", "").split(os.pathsep)))


def _path(place: str) -> Path:
    path = Path(os.path.expanduser(place))
    return path / FILE if os.path.isdir(path) else path


def _tried(read: Callable[[str], Ledger], place: str, label: str, problems: list[str]) -> Ledger:
    try:
        found = read(place)
    except GenzooError as error:
        problems.append(f"{label}: {error}")
        return Ledger({})
    problems += [f"{label}: {problem}" for problem in found.problems]
    return found


def _read_resource(resource: str) -> Ledger:
    found = find_resource(resource)
    if found is None:
        raise LedgerError(f"no file {resource}", "reinstall the plugin")
    return parse_rows(found, Path(resource)) if isinstance(found, bytes) else read_rows(found)


def _read_place(place: str) -> Ledger:
    return read_rows(_path(place))


def _add(rows: dict[str, Row], row: Row, label: str, problems: list[str]) -> None:
    clash = rows.setdefault(fold(row.name), row)
    if clash is not row:
        problems.append(
            f"{label}: the row [{row.name}] is left out: the name belongs to [{clash.name}] of {clash.origin}"
        )
