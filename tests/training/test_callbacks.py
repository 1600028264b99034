"""Callbacks: when they are called, with what, and what their errors do to a run."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import toys

from genzoo import zoo
from genzoo.errors import ArgumentError, TrainingError
from genzoo.hub import facts_of
from genzoo.training import Callback, checkpoint
from genzoo.training import train as conducting
from genzoo.training.callbacks import Callbacks


@pytest.fixture(autouse=True, scope="module")
def toys_installed(plug):
    plug(*toys.CARDS.values())


class Notes(Callback):
    def __init__(self):
        self.seen = []

    def on_round(self, moment, losses):
        self.seen.append(("round", moment.step, sorted(losses)))

    def on_checkpoint(self, moment, path):
        self.seen.append(("checkpoint", moment.step, checkpoint.read(path)[1].step))

    def on_end(self, moment, outcome):
        self.seen.append(("end", moment.step, outcome and outcome.finished))


def run(folder, callbacks, steps=3, **options):
    return zoo.train(
        "toy-gan",
        "digits",
        folder,
        steps,
        device="cpu",
        quiet=True,
        settings={"image_size": "8x8", "width": 6, "ema": 0.9},
        callbacks=callbacks,
        **options,
    )


@pytest.fixture(autouse=True)
def unscored(monkeypatch):
    monkeypatch.setattr(conducting, "score_model", lambda *args, **more: [])


def bits(outcome):
    return facts_of(outcome.weights.read_bytes(), "x")["golden"], outcome.weights.read_bytes()


def test_they_see_each_round_each_checkpoint_and_the_end(tmp_path):
    first, second = Notes(), Notes()
    outcome = run(tmp_path, [first, second])
    players = ["discriminator", "generator"]
    rounds = [("round", step, players) for step in (1, 2, 3)]
    assert first.seen == [*rounds, ("checkpoint", 3, 3), ("end", 3, True)] == second.seen
    assert outcome.finished and outcome.weights.exists()


def test_some_of_the_methods_are_enough_and_no_base_class(tmp_path):
    class Ends:
        def on_end(self, moment, outcome):
            self.folder = moment.folder

    ends = Ends()
    run(tmp_path, (ends,), steps=1)
    assert ends.folder == tmp_path


def test_what_they_draw_and_ask_changes_no_bit_of_the_run(tmp_path):
    class Greedy(Callback):
        def on_round(self, moment, losses):
            torch.manual_seed(moment.step)
            torch.rand(7), np.random.rand(7), random.random()
            moment.model.sample(2, seed=0)

    assert bits(run(tmp_path / "a", [Greedy()])) == bits(run(tmp_path / "b", []))


class Breaks(Callback):
    def __init__(self, method, step=2):
        self.method, self.step, self.ended = method, step, []

    def _break(self, method, moment):
        if self.method == method and moment.step == self.step:
            raise ValueError("no more disk for notes")

    def on_round(self, moment, losses):
        self._break("on_round", moment)

    def on_checkpoint(self, moment, path):
        self._break("on_checkpoint", moment)

    def on_end(self, moment, outcome):
        self.ended.append(outcome)
        self._break("on_end", moment)


@pytest.mark.parametrize(("method", "step"), [("on_round", 2), ("on_round", 4), ("on_checkpoint", 4)])
def test_an_error_ends_the_run_with_a_checkpoint_and_it_can_go_on(tmp_path, method, step):
    notes, breaks = Notes(), Breaks(method, step)
    words = (
        rf"Breaks\.{method} raised ValueError: no more disk for notes; the run is saved at step {step} of 4"
    )
    with pytest.raises(TrainingError, match=words) as caught:
        run(tmp_path / "a", [breaks, notes], steps=4)
    assert isinstance(caught.value.__cause__, ValueError) and "resume=True" in str(caught.value)
    assert checkpoint.read(tmp_path / "a" / checkpoint.NAME)[1].step == step
    assert breaks.ended == [None] and notes.seen[-1] == ("end", step, None)
    resumed = run(tmp_path / "a", [], steps=4, resume=True)
    assert resumed.finished and bits(resumed) == bits(run(tmp_path / "b", [], steps=4))


def test_an_error_at_the_end_comes_after_publishing(tmp_path):
    with pytest.raises(TrainingError, match=r"Breaks\.on_end raised"):
        run(tmp_path, [Breaks("on_end")], steps=2)
    assert list(tmp_path.rglob("toy-gan*.safetensors"))
    assert run(tmp_path, [], steps=2, resume="auto").finished


def test_they_see_the_end_of_a_run_that_fails(tmp_path, monkeypatch):
    def fail(*args, **more):
        raise TrainingError("it collapsed")

    monkeypatch.setattr(conducting, "play", fail)
    notes = Notes()
    with pytest.raises(TrainingError, match="it collapsed"):
        run(tmp_path, [notes])
    assert notes.seen == [("end", 0, None)]


def test_they_are_called_on_the_rank_that_writes_alone(tmp_path):
    facts = {"step": 1, "recipe": SimpleNamespace(steps=2), "seconds": 0.0, "folder": tmp_path, "model": None}
    for writes in (True, False):
        notes = Notes()
        calls = Callbacks([notes], SimpleNamespace(world=SimpleNamespace(writes=writes), **facts))
        calls.round({}), calls.end(None)
        assert notes.seen == [("round", 1, []), ("end", 1, None)] * writes and not calls.failed


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Notes(), "callbacks must be a list"),
        ("on_round", "callbacks must be a list, not 'on_round'"),
        ([print], "a callback must be an object with one of on_round, on_finding, on_checkpoint, on_end"),
        ([Notes], "a callback must be an object"),
    ],
)
def test_what_is_no_callback_is_refused_before_anything_is_trained(tmp_path, wrong, words):
    with pytest.raises(ArgumentError, match=words):
        run(tmp_path / "none", wrong)
    assert not (tmp_path / "none").exists()
