"""Conduct a training run from card to published folder."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from genzoo.card import Card
from genzoo.data import Images
from genzoo.data.notes import once
from genzoo.errors import ArgumentError, HubError, TrainingError
from genzoo.evaluation.records import Record
from genzoo.evaluation.scoring import score_model
from genzoo.files import check_writable, make_folder
from genzoo.law import LawError
from genzoo.models import Model
from genzoo.noise import mix
from genzoo.recipe import Recipe
from genzoo.training import settings as machine
from genzoo.training.loop import Run, play
from genzoo.training.memory import keep_freed_memory
from genzoo.training.outcome import Outcome, finished_model, publish
from genzoo.training.parallel import enter
from genzoo.training.plan import open_both, plan, settle_shape
from genzoo.training.report import Report

FEWEST_TO_SCORE = 6  # held-out images below which sample quality says nothing


def conduct(
    card: Card,
    data: Any,
    out: str | Path | None,
    steps: int | None,
    *,
    resume: bool,
    settings: Mapping[str, Any],
    device: torch.device | str | None,
    quiet: bool,
    tensorboard: bool,
    scored: bool = True,
) -> Outcome:
    """Train `card`'s model; see `genzoo.zoo.train`. Without `scored` the model is published as it is and measured by whoever asked."""
    recipe, config = plan(card, settings, steps=steps, data=data if isinstance(data, str) else None)
    chosen = machine.settle(recipe, device)
    if chosen.device.type == "cpu":
        keep_freed_memory()
    world = enter(chosen.device)
    source = data if data is not None else recipe.data
    with once():
        settle_shape(source, config)
        folder = make_folder(Path(out or Path("runs") / card.name).expanduser())
        if world.writes:
            check_writable(folder)
        model = build(card, config, recipe)  # what cannot be built or written is told before anything is decoded
        train, test = world.first(lambda: open_both(source, config, recipe))
    run = Run(model, recipe, train, chosen.on(world.device(chosen.device)), folder, world)
    if resume:
        run.resume()
    elif run.checkpoint.exists():
        raise TrainingError(
            f"{folder} already holds a run of {card.name}", "--resume goes on with it; or choose another --out, or delete the folder"
        )
    with Report(run, quiet=quiet, tensorboard=tensorboard) as report, _interruptible() as stopped:
        finished = play(run, report.round, report.checkpoint, stopped.is_set, report.finding)
    if not finished or not world.writes:
        return Outcome(folder=folder, finished=finished, step=run.step)
    return conclude(run, card.replace(config=config), train, test if scored else None, quiet)


def build(card: Card, config: Mapping[str, Any], recipe: Recipe) -> Model:
    """Return the model with the fresh weights of the recipe's seed: equal on every rank and at every start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(recipe.seed, "weights"))
        model: Model = card.replace(config=config).build()
    return model


def conclude(run: Run, card: Card, train: Images, test: Images | None, quiet: bool) -> Outcome:
    """Measure and publish the finished run."""
    model = finished_model(run, run.recipe.storage)
    records: list[Record] = []
    if test is not None and min(len(test), len(train)) >= FEWEST_TO_SCORE:
        if not quiet:
            print(f"measuring {card.name} against {len(test):,} held-out images …", file=sys.stderr, flush=True)  # noqa: T201
        try:
            records = score_model(model, train, test, card.name, seed=0)
        except (ArgumentError, HubError, LawError) as error:  # hours of training are not lost to it
            print(f"{card.name} is not scored: {error}", file=sys.stderr, flush=True)  # noqa: T201
    return publish(run, model, card, records, run.recipe.storage)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or a polite request to end) into a wish to stop after this step; the second ends at once."""
    wish = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if wish.is_set():
            raise KeyboardInterrupt
        wish.set()
        print("finishing this step and saving; once more to stop at once", file=sys.stderr, flush=True)  # noqa: T201

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
