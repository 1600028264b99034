"""One cell of an experiment: skipped if it is finished, resumed if it was interrupted; a run that collapses
is a result too.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from genzoo import runs
from genzoo.card import Card
from genzoo.data.splits import FIT
from genzoo.errors import CollapseError, Interrupted, StorageError, TrainingError
from genzoo.evaluation.held_out import every_way
from genzoo.evaluation.scoring import held_in, score_model
from genzoo.experiments.claims import Claims
from genzoo.experiments.plan import MEASURED, Cell, Experiment, cells
from genzoo.files import atomic_write, make_folder, read_capped
from genzoo.images import save_picture
from genzoo.models import TranslatingModel
from genzoo.models.weights import build_filled
from genzoo.training import checkpoint
from genzoo.training.plan import plan
from genzoo.training.train import train

RESULT = "cell.json"
TRANSLATIONS, SHOWN = "translations.png", 8  # held-out pictures of a translator, and how many
PAUSE = 2.0  # seconds between two looks at what other processes have done
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
    part: tuple[int, int] = (1, 1),
) -> Iterator[list[Result]]:
    """Train every unfinished cell; after each, and at the end, yield all results that there are, in the order
    of the cells.

    Several processes may share `folder`: each takes the next cell that none is at work on, and at the end
    waits for the cells of the others, to take over those of processes that died.

    Args:
        experiment: the experiment, with its rows, columns and seeds.
        cards: cards by the names of models.
        folder: the folder that holds a folder for each cell.
        device: None = a GPU if there is one.
        tell: called when a cell starts, with progress on stderr; None = silent.
        part: (k, n): only every n-th cell from number k, for the k-th of n jobs.

    Raises:
        Interrupted, TrainingError: see `play_cell`.
    """
    every, told = list(cells(experiment)), -1
    for cell in every:  # report a wrong key before the first cell, not hours after it
        plan(cards[cell.model], cell.settings, steps=cell.steps)
    done = {cell.name: finished(cell, folder / cell.name) for cell in every}
    mine, claims, patient = every[part[0] - 1 :: part[1]], Claims(), False
    words = {cell.name: _words(number, len(every), cell) for number, cell in enumerate(every, 1)}
    while open_cells := [cell for cell in mine if done[cell.name] is None]:
        played = 0
        for cell in open_cells:
            how = (device, tell, words[cell.name])
            found = _turn(claims, cell, cards[cell.model], folder / cell.name, how)
            if found is None:
                continue
            done[cell.name] = found
            played, results = played + 1, _results(done, every, folder)
            told = len(results)
            yield results
        if not played:
            patient = patient or _say(tell, f"waiting for other processes, cells left: {len(open_cells)}")
            time.sleep(PAUSE)
    if len(results := _results(done, every, folder)) != told:
        yield results


def _turn(
    claims: Claims,
    cell: Cell,
    card: Card,
    folder: Path,
    how: tuple[str | None, Callable[[str], None] | None, str],
) -> Result | None:
    """Return the result of the cell, played now if there is none; None if another process is at work on
    it.
    """
    device, tell, words = how
    with claims.claimed(folder) as mine:
        if not mine:
            return None
        found = finished(cell, folder)  # another process may have finished it since
        if found is None:
            _say(tell, words)
            found = play_cell(cell, card, folder, device, quiet=tell is None)
        return found


def _words(number: int, total: int, cell: Cell) -> str:
    words = " × ".join(filter(None, (cell.row, cell.column)))
    return f"cell {number} of {total}: {words}, seed {cell.seed}, {cell.model}, {cell.steps:,} rounds"


def _say(tell: Callable[[str], None] | None, words: str) -> bool:
    if tell is not None:
        tell(words)
    return True


def _results(done: dict[str, Result | None], every: list[Cell], folder: Path) -> list[Result]:
    """Return the results that there are by now, those of other processes among them."""
    for cell in every:
        if done[cell.name] is None:
            done[cell.name] = finished(cell, folder / cell.name)
    return [result for result in done.values() if result is not None]


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

    The likelihood is measured if there is one and the experiment names neither metrics nor features. Of a
    translator a picture of held-out pictures is written next to the weights.
    """
    model: Any = build_filled(card, read_capped(weights, _LARGE), str(weights))
    known = card.replace(recipe=plan(card, cell.settings)[0])
    train, test = (
        held_in(model, known, cell.data, part)
        for part in (FIT if cell.split == "valid" else "train", cell.split)
    )
    if isinstance(model, TranslatingModel):
        save_picture(every_way(model, test, SHOWN, cell.seed), weights.parent / TRANSLATIONS)
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
