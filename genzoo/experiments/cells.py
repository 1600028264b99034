"""One cell of an experiment: skipped if it is finished, resumed if it was interrupted; a run that collapses
is a result too.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from genzoo import runs
from genzoo.card import Card
from genzoo.data.splits import FIT
from genzoo.errors import CollapseError, Interrupted, StorageError, TrainingError
from genzoo.evaluation.scoring import held_in, score_model
from genzoo.experiments.plan import MEASURED, Cell, Experiment, cells
from genzoo.files import atomic_write, make_folder, read_capped
from genzoo.models.weights import build_filled
from genzoo.training import checkpoint
from genzoo.training.plan import plan
from genzoo.training.train import train

RESULT = "cell.json"
_CAP = 2**24  # bytes of a result
_LARGE = 2**33  # bytes of weights and logs, which are our own: the cap only bounds a mistake


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a cell.

    Attributes:
        cell: the cell.
        records: records of its samples and of the floor, or of its likelihood, as dictionaries.
        collapsed: why the run ended early, "" if it did not.
        found: findings of the training doctor, kind by kind.
        seconds: training time, over all resumptions.
    """

    cell: Cell
    records: list[dict[str, Any]] = field(default_factory=list)
    collapsed: str = ""
    found: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return every field, ready for JSON."""
        return {
            **facts_of(self.cell),
            **{key: getattr(self, key) for key in ("records", "collapsed", "found", "seconds")},
        }


def facts_of(cell: Cell) -> dict[str, Any]:
    """Return what a cell is, as JSON gives it back."""
    facts = {key: getattr(cell, key) for key in ("row", "column", "seed", "model", "steps", *MEASURED)}
    return json.loads(json.dumps({**facts, "settings": dict(cell.settings)}))  # type: ignore[no-any-return]


def play_all(
    experiment: Experiment,
    cards: Mapping[str, Card],
    folder: Path,
    device: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[list[Result]]:
    """Train every unfinished cell; after each, yield the results so far, in the order of the cells.

    Args:
        experiment: the experiment, with its rows, columns and seeds.
        cards: cards by the names of models.
        folder: the folder that holds a folder for each cell.
        device: None = a GPU if there is one.
        tell: called when a cell starts, with progress on stderr; None = silent.

    Raises:
        Interrupted, TrainingError: see `play_cell`.
    """
    todo = list(cells(experiment))
    for cell in todo:  # report a wrong key before the first cell, not hours after it
        plan(cards[cell.model], cell.settings, steps=cell.steps)
    done = {cell.name: finished(cell, folder / cell.name) for cell in todo}
    for number, cell in enumerate(todo, 1):
        if done[cell.name] is None:
            if tell is not None:
                words = " × ".join(filter(None, (cell.row, cell.column)))
                tell(
                    f"cell {number} of {len(todo)}: {words}, seed {cell.seed}, {cell.model}, "
                    f"{cell.steps:,} rounds"
                )
            done[cell.name] = play_cell(
                cell, cards[cell.model], folder / cell.name, device, quiet=tell is None
            )
        yield [result for result in done.values() if result is not None]


def finished(cell: Cell, folder: Path) -> Result | None:
    """Return the result in the cell's folder, or None if it is not finished.

    With more steps than before, a cell continues; with other measures, it is measured again.

    Raises:
        TrainingError: it was made with other settings, or with more steps.
        StorageError: it cannot be read.
    """
    path = folder / RESULT
    if not os.path.isfile(path):
        return None
    try:
        told = {"condition": "", **json.loads(read_capped(path, _CAP))}  # an earlier genzoo told none
        result = Result(cell=cell, **{key: told[key] for key in ("records", "collapsed", "found", "seconds")})
        known, wanted = {key: told[key] for key in facts_of(cell)}, facts_of(cell)
        again = [known.pop(key) != wanted.pop(key) for key in ("n", "metrics", "features", "condition")]
        longer = known["steps"] < wanted["steps"]
        known["steps"] = wanted["steps"] if longer else known["steps"]
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} is damaged: {type(error).__name__}: {error}", "delete it to measure the cell again"
        ) from error
    if known != wanted:
        raise TrainingError(
            f"the cell in {folder} was made with other settings", "choose another --out, or delete the folder"
        )
    return None if longer or any(again) else result


def play_cell(cell: Cell, card: Card, folder: Path, device: str | None, quiet: bool) -> Result:
    """Train the cell or resume it, measure it and store the result.

    Raises:
        Interrupted: a signal asked for the end; the cell is saved.
        TrainingError: the recipe is refused, or the folder holds another run.
    """
    make_folder(folder)
    collapsed, weights = "", None
    try:
        outcome = train(
            card,
            cell.data,
            folder,
            cell.steps,
            resume="auto",
            settings=cell.settings,
            device=device,
            quiet=quiet,
            scored=False,
        )
        weights = outcome.weights
        if not outcome.finished:
            raise Interrupted(outcome.signal or signal.SIGINT)
    except CollapseError as error:
        collapsed = error.message
    records = measure(cell, card, weights) if weights else []
    result = Result(
        cell=cell, records=records, collapsed=collapsed, found=findings(folder), seconds=seconds(folder)
    )
    atomic_write(folder / RESULT, json.dumps(result.as_dict(), indent=2).encode())
    return result


def measure(cell: Cell, card: Card, weights: Path) -> list[dict[str, Any]]:
    """Return the records of the trained cell's samples and of the floor (the score of real images), or of its
    likelihood.

    The likelihood is measured if there is one and the experiment names neither metrics nor features.
    """
    model: Any = build_filled(card, read_capped(weights, _LARGE), str(weights))
    known = card.replace(recipe=plan(card, cell.settings)[0])
    train, test = (
        held_in(model, known, cell.data, part)
        for part in (FIT if cell.split == "valid" else "train", cell.split)
    )
    with torch.no_grad():
        found = score_model(model, train, test, cell.request, subject=cell.name)
    return [record.as_dict() for record in found]


def findings(folder: Path) -> list[str]:
    """Return what the training doctor logged in a run's folder, kind by kind."""
    return [finding.kind for finding in runs.findings(folder)]


def seconds(folder: Path) -> float:
    """Return the training time of the run in a folder, over all resumptions, from its last checkpoint."""
    path = folder / checkpoint.NAME
    return round(checkpoint.read(path)[1].seconds, 3) if os.path.isfile(path) else 0.0
