"""Trackers: TensorBoard, Weights & Biases, Trackio, MLflow, or a plugin's, as callbacks of a run.

A tracker is made for one run and writes where its library keeps such things. What it is given is the same for
all: the recipe and config, the losses and curves of the rounds, the training doctor's figures and findings,
the sample grids, and at the end the scores. Libraries are imported only when a tracker is asked for.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from genzoo.card import Card
from genzoo.errors import ArgumentError, TrainingError, UnknownNameError, safe_repr, suggest
from genzoo.files import atomic_write, read_capped
from genzoo.isolation import describe, import_target
from genzoo.names import TRACKERS
from genzoo.record import FLOOR, Record
from genzoo.registry import installed
from genzoo.show import tell
from genzoo.training.callbacks import Callback, Moment
from genzoo.training.doctor import EXAMINED
from genzoo.training.findings import Finding
from genzoo.training.loop import Run
from genzoo.training.publish import Outcome, describe_data
from genzoo.training.report import grid_of

KEY = "tracking.json"  # in the folder of a run: the key by which trackers find it again
FINISHED, INTERRUPTED, FAILED = "finished", "interrupted", "failed"
_CAP = 1 << 12


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """The run that a tracker is made for.

    Attributes:
        name: name of the model.
        key: 16 hexadecimal digits that belong to this run alone; a resumed run has the same.
        folder: the folder of the run.
        step: rounds played before; 0 for a new run.
        config: the model, its config, the recipe, the data and the machine, flat: "recipe.batch_size" → 64.
    """

    name: str
    key: str
    folder: Path
    step: int
    config: Mapping[str, str | int | float | bool]


class Tracker(Protocol):
    """What a tracker is. Steps count rounds from 1 and never fall; after a resumption they continue from
    `Tracked.step`. What a tracker raises is reported once, and the run continues without it.
    """

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take numbers of a step, by names such as "loss/generator"."""

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Take a picture, uint8 (H, W, 3)."""

    def note(self, step: int, name: str, words: str) -> None:
        """Take a text, such as a finding of the training doctor."""

    def flush(self) -> None:
        """Store what has been taken: a checkpoint was written, and a killed run continues from here."""

    def close(self, state: str) -> None:
        """Store everything and end: the run is "finished", "interrupted" or "failed"."""


def chosen_trackers(track: Any) -> tuple[str, ...]:
    """Return the names of the trackers in `track`, one or several, each once.

    Raises:
        ArgumentError: it is neither a name nor a list of names.
        UnknownNameError: there is no such tracker.
        TrainingError: the package of one is not installed; the hint is what to type.
    """
    names = [track] if isinstance(track, str) else track
    if isinstance(names, (bytes, Mapping)) or not isinstance(names, Iterable):
        raise ArgumentError(f"track must be a list of names, not {safe_repr(track)}", "track=['tensorboard']")
    found = dict.fromkeys(names)
    known = [*TRACKERS, *installed().trackers]
    for name in found:
        if name not in known:
            raise UnknownNameError(
                f"no tracker is called {safe_repr(name)}{suggest(str(name), known)}",
                f"there are {', '.join(known)}",
            )
        if name in TRACKERS and not _is_there(TRACKERS[name]):
            raise TrainingError(
                f"the tracker {name} needs the package {TRACKERS[name]}, which is not installed",
                f"pip install 'genzoo[{name}]'",
            )
    return tuple(found)


def _is_there(package: str) -> bool:
    if package in sys.modules:
        return sys.modules[package] is not None
    return importlib.util.find_spec(package) is not None


class Tracking(Callback):
    """One tracker as a callback. The first error that it raises is reported, and it is not called again."""

    def __init__(self, name: str, tracker: Tracker, run: Run) -> None:
        self._name, self._run = name, run
        self._tracker: Tracker | None = tracker
        self._players = {player.name for player in run.players}

    def on_round(self, moment: Moment, losses: Mapping[str, float]) -> None:
        """Pass on losses and curves, and the doctor's figures when it has examined the run."""
        values = {
            f"{'loss' if name in self._players else 'curve'}/{name}": value for name, value in losses.items()
        }
        if moment.step % EXAMINED == 0:
            values |= {f"doctor/{name}": value for name, value in self._run.doctor.figures.items()}
        self._do(moment.step, lambda tracker: tracker.scalars(moment.step, values))

    def on_finding(self, moment: Moment, finding: Finding) -> None:
        """Pass on the doctor's words."""
        name = portable(f"doctor/{finding.kind}")
        self._do(moment.step, lambda tracker: tracker.note(finding.step, name, str(finding)))

    def on_checkpoint(self, moment: Moment, path: Path) -> None:
        """Pass on the sample grid, if one was drawn with this checkpoint."""
        self._do(moment.step, lambda tracker: _show(tracker, moment))
        self._do(moment.step, lambda tracker: tracker.flush())

    def on_end(self, moment: Moment, outcome: Outcome | None) -> None:
        """Pass on the scores, and close."""
        state = FAILED if outcome is None else FINISHED if outcome.finished else INTERRUPTED
        scores = {} if outcome is None else dict(map(_score, outcome.records))
        if scores:
            self._do(moment.step, lambda tracker: tracker.scalars(moment.step, scores))
        self._do(moment.step, lambda tracker: tracker.close(state))

    def _do(self, step: int, work: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            work(self._tracker)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - hours of training are not lost to it
            self._tracker = None
            tell(
                f"the tracker {self._name} failed at step {step:,}: {describe(error)}; the run continues "
                "without it"
            )


def _show(tracker: Tracker, moment: Moment) -> None:
    path = grid_of(moment.folder, moment.step)
    if os.path.isfile(path):
        with Image.open(path) as picture:
            tracker.picture(moment.step, "samples", np.asarray(picture.convert("RGB")))


def _score(record: Record) -> tuple[str, float]:
    """Return what a score is called, "score/kid-gist-v1", or "floor/…" for real images; and its value."""
    kind = "floor" if record.subject == FLOOR else "score"
    return portable(f"{kind}/{record.short_label}"), record.value


def portable(name: str) -> str:
    """Return `name` in characters that every tracker takes in a name: letters, digits, and "_-. /"."""
    return re.sub(r"[^\w./ -]+", "-", name, flags=re.ASCII).strip("- ")


def trackings(run: Run, card: Card, names: Iterable[str]) -> tuple[Tracking, ...]:
    """Start the trackers `names` for `run`; on ranks that do not write there are none.

    Raises:
        TrainingError: one does not start, and the run has not started either. A resumed run continues without
            it, with a line on stderr.
    """
    opened: list[Tracking] = []
    if not run.world.writes:
        return ()
    for name in names:
        try:
            opened.append(Tracking(name, _maker(name)(_tracked(run, card)), run))
        except (Exception, SystemExit) as error:
            words = f"the tracker {name} does not start: {describe(error)}"
            if run.resumed:
                tell(f"{words}; the run continues without it")
                continue
            for other in opened:
                other._do(run.step, lambda tracker: tracker.close(FAILED))
            raise TrainingError(words, f"fix that, or leave out --track {name}") from error
    return tuple(opened)


def _maker(name: str) -> Callable[[Tracked], Tracker]:
    """Return the function that makes the tracker `name`."""
    provided = installed().trackers.get(name)
    if provided is None:
        target, owner = f"genzoo.training.trackers:{name}", "genzoo"
    else:
        target, owner = provided.value, provided.plugin
    made: Callable[[Tracked], Tracker] = import_target(target, f"the tracker {name!r} of {owner}")
    return made


def _tracked(run: Run, card: Card) -> Tracked:
    facts = run.facts()
    told: dict[str, Any] = {
        "model": card.name,
        "plugin": card.plugin,
        "data": describe_data(run.data),
        "steps": facts.steps,
        "processes": facts.processes,
        "lineage": ", ".join(facts.lineage),
    }
    for name, table in (("config", facts.config), ("recipe", facts.recipe), ("machine", facts.machine)):
        told |= _flat(name, table)
    return Tracked(name=card.name, key=_key(run), folder=run.folder, step=run.step, config=told)


def _flat(name: str, value: Any) -> dict[str, str | int | float | bool]:
    """Return nested tables as one, with names such as "recipe.lr.generator"; lists become texts."""
    if isinstance(value, Mapping):
        return {
            key: one for part, inner in value.items() for key, one in _flat(f"{name}.{part}", inner).items()
        }
    return {portable(name): value if isinstance(value, (str, int, float, bool)) else json.dumps(value)}


def _key(run: Run) -> str:
    """Return the key of `run`: that of its folder if it is resumed, else a new one, which is stored there."""
    path = run.folder / KEY
    if run.resumed or run.step:
        with contextlib.suppress(Exception):
            found = json.loads(read_capped(path, _CAP))["key"]
            if re.fullmatch("[0-9a-f]{16}", found):
                return str(found)
    key = secrets.token_hex(8)
    atomic_write(path, json.dumps({"key": key}).encode())
    return key
