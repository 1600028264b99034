"""An experiment as data: a TOML file of rows and columns, each a few settings; every row with every column
and seed is a cell.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo.errors import ArgumentError, UnknownNameError, suggest
from genzoo.files import read_capped
from genzoo.request import Request
from genzoo.schema import is_reference, limits, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOME = Path(__file__).resolve().parent
_CAP = 2**20  # bytes of a file
FIGURES = ("saturation",)
MEASURED = ("data", "n", "metrics", "features", "split", "condition")  # of an experiment that its cells share


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The rows and columns that an experiment compares.

    Attributes:
        title: heading of the table.
        data: data set that every cell is trained and measured on, see `genzoo train --data`.
        budget: turns of all players in a cell, so that each costs about the same: a round with five turns of
            D and one of G takes six.
        players: the players whose turns count; ["model"] for models trained by their likelihood.
        split: the split that cells are measured on: "valid", which is then held out of training, or "test",
            once everything is chosen.
        n: number of images to measure.
        metrics: metrics to measure, see `genzoo.metrics.METRICS`; none = all, or the likelihood for a model
            that has one.
        features: features to compare images in, "gist" or a published feature net; "" = the data set's own.
        condition: of conditional models, the one label to measure, or "all" for each by itself as well; "" =
            all images, each given its own label.
        seeds: runs per cell; their spread is reported.
        model: the card that a cell trains, unless its row or column names another (`model = "..."`).
        settings: settings of every cell, overridden by those of the row, then by those of the column.
        rows: name → settings.
        columns: name → settings.
        figure: "saturation", or none.
    """

    title: str
    data: str
    budget: int = field(default=6000, metadata=limits(2, 10**9))
    players: tuple[str, ...] = ("discriminator", "generator")
    split: str = field(default="valid", metadata=limits(choices=("valid", "test")))
    n: int = field(default=1000, metadata=limits(6, 10**6))
    metrics: tuple[str, ...] = ()
    features: str = ""
    condition: str = ""
    seeds: int = field(default=1, metadata=limits(1, 1000))
    model: str = "dcgan"
    settings: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figure: str = field(default="", metadata=limits(choices=("", *FIGURES)))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run: the place in the table, the card, data and settings, how many rounds the budget allows, and
    what is measured.
    """

    row: str
    column: str
    seed: int
    model: str
    data: str
    settings: Mapping[str, Any]
    steps: int
    n: int
    metrics: tuple[str, ...]
    features: str
    split: str = "valid"
    condition: str = ""

    @property
    def name(self) -> str:
        """The cell's folder: `no-batch-norm--wgan--0`."""
        return "--".join(
            re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") or "all"
            for part in (self.row, self.column, str(self.seed))
        )

    @property
    def request(self) -> Request:
        """What is measured of the trained cell: its likelihood, without tighter bounds, if it has one and
        neither metrics nor features are named.
        """
        return Request(
            data=self.data,
            split=self.split,
            n=self.n,
            draws=(),
            metrics=self.metrics or None,
            features=self.features or None,
            condition=self.condition or None,
        )


def read(source: str, changes: Mapping[str, Any] | None = None) -> Experiment:
    """Return the experiment of a file, or of one that comes with genzoo by its name; `changes` replace keys
    of it.

    Raises:
        UnknownNameError: there is no such file or built-in experiment, or a key is unknown.
        ArgumentError: the file is not TOML, or a value is invalid.
    """
    path = HOME / f"{source}.toml" if source in names() else Path(source)
    if not os.path.isfile(path):
        raise UnknownNameError(
            f"there is no experiment {source!r}{suggest(source, names())}",
            f"a .toml file, or {', '.join(names())}",
        )
    try:
        found = tomllib.loads(read_capped(path, _CAP).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArgumentError(
            f"{path} cannot be read: {error}", "see genzoo/experiments for examples"
        ) from error
    _check_no_code(found, path)
    given = {key: value for key, value in (changes or {}).items() if value is not None}
    settings = (
        {**found.pop("settings", {}), **given.pop("settings", {})}
        if isinstance(found.get("settings", {}), dict)
        else None
    )
    return parse(
        Experiment, {**found, **given, **({} if settings is None else {"settings": settings})}, path.name
    )


def _check_no_code(table: Mapping[str, Any], path: Path) -> None:
    """Raise ArgumentError where a setting of the file names code to import: only a person may (rule R3)."""
    inner = [value for value in table.values() if isinstance(value, Mapping)]
    values = [item for part in inner for value in part.values() for item in _each(value)]
    if named := next(filter(is_reference, values), None):
        raise ArgumentError(
            f"{path} names code to be imported, {named!r}, which an experiment file may not",
            "give it on the command line: --set KEY=package.module:name",
        )
    for part in inner:
        _check_no_code(part, path)


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def names() -> list[str]:
    """Return the names of the experiments that come with genzoo."""
    return sorted(path.stem for path in HOME.glob("*.toml"))


def cells(experiment: Experiment) -> Iterator[Cell]:
    """Yield the cells row by row, all seeds of one before the next.

    Raises:
        ArgumentError: two cells would use the same folder.
    """
    rows, columns = experiment.rows or {"": {}}, experiment.columns or {"": {}}
    taken: dict[str, Cell] = {}
    for (row, of_row), (column, of_column), seed in itertools.product(
        rows.items(), columns.items(), range(experiment.seeds)
    ):
        settings = {
            "seed": seed,
            "validation": experiment.split == "valid",
            **flat(experiment.settings),
            **flat(of_row),
            **flat(of_column),
        }
        model = str(settings.pop("model", experiment.model))
        turns = sum(int(settings.get(f"turns.{player}", 1)) for player in experiment.players)
        steps = max(1, experiment.budget // max(1, turns))
        shared = {key: getattr(experiment, key) for key in MEASURED}
        cell = Cell(row=row, column=column, seed=seed, model=model, settings=settings, steps=steps, **shared)
        if cell.name in taken:
            raise ArgumentError(
                f"two cells would use the same folder {cell.name}", "give rows and columns other names"
            )
        taken[cell.name] = cell
        yield cell


def flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a table: `lr.generator = 1e-4`, which TOML reads as a table in a table, is one
    key again.
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            found[key] = tuple(value) if isinstance(value, list) else value
    return found
