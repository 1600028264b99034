"""Run training from a card to a published folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from genzoo.card import Card
from genzoo.condition import Labels, Text
from genzoo.data import Images
from genzoo.data.captions import needed
from genzoo.data.notes import once
from genzoo.data.torch_sets import from_torch, is_torch_set
from genzoo.evaluation.scoring import on_device, score_model
from genzoo.isolation import describe
from genzoo.models import Model
from genzoo.models.weights import build_fresh
from genzoo.places import Target
from genzoo.process import undisturbed
from genzoo.recipe import Recipe
from genzoo.record import Record
from genzoo.request import Request
from genzoo.rng import mix
from genzoo.show import tell
from genzoo.training import hardware as machine
from genzoo.training.beginning import begin, finished_before, hold, how, seal
from genzoo.training.callbacks import Callbacks, both, check_callbacks
from genzoo.training.freezing import frozen_in
from genzoo.training.labels import check_labelled, set_labels, settle_labels, words
from genzoo.training.loop import Run, play
from genzoo.training.memory import keep_freed_memory
from genzoo.training.parallel import World, enter
from genzoo.training.parts import check_divides
from genzoo.training.plan import open_both, plan, settle_shape
from genzoo.training.players import has_own_statistics
from genzoo.training.publish import Outcome, finished_model, publish
from genzoo.training.rehearsal import prepared, rehearse
from genzoo.training.report import Report
from genzoo.training.signals import listening
from genzoo.training.starting import Start, check_frozen, starting, take
from genzoo.training.tracking import chosen_trackers, trackings

FEWEST_TO_SCORE = 6  # held-out images below which sample quality says nothing


@undisturbed()
def train(
    card: Card,
    data: Any,
    out: str | Path | None,
    steps: int | None,
    *,
    init_from: Target | None = None,
    resume: bool | str,
    settings: Mapping[str, Any],
    device: torch.device | str | None,
    quiet: bool,
    scored: bool = True,
    callbacks: Sequence[Any] = (),
    track: Any = (),
) -> Outcome:
    """Train `card`'s model; see `genzoo.zoo.train`. Without `scored` the model is published unmeasured, and
    the caller measures it.
    """
    mode, watching, trackers = how(resume), check_callbacks(callbacks), chosen_trackers(track)
    folder = Path(out or Path("runs") / card.name).expanduser()
    start, card = starting(init_from, folder, card)
    # read once: with random transforms a second reading would give other images
    data = from_torch(data) if is_torch_set(data) else data
    recipe, config = plan(card, settings, steps=steps, data=data if isinstance(data, str) else None)
    chosen = machine.choose(recipe, device)
    if chosen.device.type == "cpu":
        keep_freed_memory()
    world = enter(chosen.device)
    check_divides(recipe, world.size)
    # before anything is decoded
    with hold(folder, world), prepared(folder) if world.writes else nullcontext():
        with once():
            card, model, train, test = _begun(card, data, recipe, config, world)
        if isinstance(card.condition, Labels) and world.writes and not quiet:
            tell(words(card, train, data if data is not None else recipe.data), level="INFO")
        settled = chosen.on(world.device(chosen.device))
        run = Run(model, recipe, train, settled, folder, world, plugin=card.plugin)
        _start(run, card, start, mode)
        if mode in ("same", "auto") and (done := finished_before(run)):
            return done
        card = _rehearsed(run, card.replace(config=config))
        calls = Callbacks((*watching, *trackings(run, card, trackers)), run)
        reports = functools.partial(Report, run, quiet=quiet, held=test)
        return _carry_out(run, card, train, test if scored else None, reports, calls)


def _start(run: Run, card: Card, start: Start | None, mode: str) -> None:
    """Start `run` with the weights of `start`, or resume it, see `begin`."""
    note_statistics(run)
    run.lineage = () if start is None else start.lineage
    begin(run, card.name, mode)
    if run.resumed:
        return
    taken = None if start is None else take(run.model, card.condition, start)
    check_frozen(frozen_in(run.model), taken)
    if start is not None and taken is not None and run.world.writes:
        tell(taken.words(start), level="INFO")


def _rehearsed(run: Run, card: Card) -> Card:
    """Return `card`, with which the process that writes has rehearsed publishing."""
    if run.world.writes:
        rehearse(run, card)
    return card


def note_statistics(run: Run) -> None:
    """Report if the number of processes decides more than the time that the run takes."""
    if run.world.size > 1 and run.world.writes and has_own_statistics(run.players, run.recipe):
        rows = run.recipe.batch_size // run.world.size
        tell(
            f"batch norm sees the {rows} images of each process; --set sync_batch_norm=true: all "
            f"{run.recipe.batch_size}, as one process does",
            level="INFO",
        )


def _begun(
    card: Card, data: Any, recipe: Recipe, config: dict[str, Any], world: World
) -> tuple[Card, Model, Images, Images | None]:
    """Return the card with the labels of this run, its model, and the training and held-out images."""
    own = data is None or (card.recipe is not None and isinstance(data, str) and data == card.recipe.data)
    source = data if data is not None else recipe.data
    settle_shape(source, config)
    wanted = set_labels(card, config)
    check_labelled(wanted, source)
    model = build(wanted, config, recipe)  # what cannot be built is told before anything is decoded
    with needed(isinstance(wanted.condition, Text)):
        train, test = world.first(lambda: open_both(source, config, recipe))
    settled = settle_labels(wanted, train, own=own, chosen=wanted is not card)
    return settled, model if settled == wanted else build(settled, config, recipe), train, test


def _carry_out(
    run: Run, card: Card, train: Images, test: Images | None, reports: Callable[[], Report], calls: Callbacks
) -> Outcome:
    """Train, measure and publish, stopping early if a signal or a failed callback asks to; then end the
    callbacks.
    """
    outcome: Outcome | None = None
    try:
        outcome = _played(run, card, train, test, reports, calls)
        if outcome.weights is not None:
            seal(run, outcome.weights)
    finally:
        calls.end(outcome)
    calls.check()
    return outcome


def _played(
    run: Run, card: Card, train: Images, test: Images | None, reports: Callable[[], Report], calls: Callbacks
) -> Outcome:
    world = run.world
    with listening(talks=world.writes, group=world.size > 1) as wish:
        world.meet()  # the process that writes has rehearsed, and all of them listen
        with reports() as report:
            finished = play(
                run,
                both(report.round, calls.round),
                both(report.checkpoint, calls.checkpoint),
                lambda: wish.is_set() or calls.failed,
                both(report.finding, calls.finding),
                report.trouble,
            )
        number = world.largest(wish.number)  # so that no process leaves before the checkpoint is written
        calls.check()
        unfinished = Outcome(folder=run.folder, finished=False, step=run.step, signal=number)
        if number or not finished:
            return unfinished
        if not world.writes:
            return Outcome(folder=run.folder, finished=True, step=run.step)
        try:
            wish.all_is_saved()
            return conclude(run, card, train, test, report.quiet)
        except KeyboardInterrupt:
            if not wish.is_set():
                raise
            return dataclasses.replace(unfinished, signal=wish.number)


def build(card: Card, config: Mapping[str, Any], recipe: Recipe) -> Model:
    """Return the model with the initial weights of the recipe's seed, equal on every rank and every start."""
    return build_fresh(card.replace(config=config), mix(recipe.seed, "weights"))


def conclude(run: Run, card: Card, train: Images, test: Images | None, quiet: bool) -> Outcome:
    """Publish the finished run, measure it, and publish it again with its scores: measuring may take longer
    than the job has left.
    """
    model = finished_model(run, run.recipe.save_dtype)
    outcome = publish(run, model, card, [], run.recipe.save_dtype)
    records: list[Record] = []
    if test is not None and min(len(test), len(train)) >= FEWEST_TO_SCORE:
        if not quiet:
            tell(f"measuring {card.name} against {len(test):,} held-out images …", level="INFO")
        try:
            found = score_model(model, train, test, Request(draws=()), subject=card.name)
            records = on_device(found, model)
        except Exception as error:  # noqa: BLE001 - hours of training are not lost to it
            tell(f"{card.name} is not scored: {describe(error)}")
    if not records:
        return outcome
    return publish(run, model, card, records, run.recipe.save_dtype, picture=False)
