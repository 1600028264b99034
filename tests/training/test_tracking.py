"""Trackers: what they are given and when, and what their errors do to a run."""

from __future__ import annotations

import json
import re
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import toys

from genzoo import hookimpl, registry, zoo
from genzoo.errors import ArgumentError, PluginError, TrainingError, UnknownNameError
from genzoo.record import Record
from genzoo.training import train as conducting
from genzoo.training.callbacks import Callback, Callbacks
from genzoo.training.findings import Finding
from genzoo.training.parallel import World
from genzoo.training.tracking import Tracking, chosen_trackers, portable, trackings

SCORE = Record(
    metric="kid", value=0.25, n=9, data="digits", subject="toy-gan", features="gist-v1@0123456789ab"
)
RECORDS = [SCORE, replace(SCORE, subject="train", value=0.1)]


class Book:
    """A tracker of a plugin that writes down its calls."""

    made: list[Book] = []
    breaks = ""  # the method that raises

    def __init__(self, run):
        self.run, self.calls = run, []
        self._call("start", run.step)
        Book.made.append(self)

    def _call(self, name, *values):
        if name == Book.breaks:
            raise OSError("the server is\naway")
        self.calls.append((name, *values))

    def scalars(self, step, values):
        self._call("scalars", step, dict(values))

    def picture(self, step, name, pixels):
        self._call("picture", step, name, pixels)

    def note(self, step, name, words):
        self._call("note", step, name, words)

    def flush(self):
        self._call("flush")

    def close(self, state):
        self._call("close", state)

    def of(self, kind):
        return [values for name, *values in self.calls if name == kind]


@pytest.fixture(autouse=True, scope="module")
def installed():
    """The toys and a tracker `book`, of one plugin."""
    with pytest.MonkeyPatch.context() as patch:
        module = types.ModuleType("a_tracker_of_the_tests")
        module.book = Book
        patch.setitem(sys.modules, module.__name__, module)
        hooks = {"cards": list(toys.CARDS.values())}
        hooks["trackers"] = {"book": "a_tracker_of_the_tests:book", "torn": "a_tracker_of_the_tests:absent"}
        plugin = types.SimpleNamespace(
            genzoo_api=2,
            **{f"genzoo_{k}": hookimpl(lambda v=v: v, specname=f"genzoo_{k}") for k, v in hooks.items()},
        )
        about = types.SimpleNamespace(name="genzoo-tracked", version="1.0")
        entry = types.SimpleNamespace(
            name="tracked", value="tracked", group="genzoo", dist=about, load=lambda: plugin
        )
        patch.setattr(registry, "discover", lambda: [entry])
        registry.installed.cache_clear()
        yield
    registry.installed.cache_clear()


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(Book, "made", [])
    monkeypatch.setattr(Book, "breaks", "")
    monkeypatch.setattr(conducting, "score_model", lambda *args, **more: RECORDS)
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_DIR", "TRACKIO_PROJECT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def run(folder, track, steps=2, **options):
    settings = {"image_size": "8x8", "width": 6, "ema": 0.9}
    more = {"device": "cpu", "quiet": True, "settings": settings, "track": track, **options}
    return zoo.train("toy-gan", "digits", folder, steps, **more)


class Stops(Callback):
    """Interrupts a run after a step, as a full callback does."""

    def __init__(self, step):
        self.step = step

    def on_round(self, moment, losses):
        if moment.step == self.step:
            raise RuntimeError("enough")


def interrupted(folder, track, steps, after):
    with pytest.raises(TrainingError, match="enough"):
        run(folder, track, steps, callbacks=[Stops(after)])


def test_a_tracker_is_given_all_that_a_run_reports(tmp_path):
    run(tmp_path, ["book", "book"])
    (book,) = Book.made
    losses = book.of("scalars")
    assert [step for step, _ in losses] == [1, 2, 2]
    assert losses[0][1].keys() == {"loss/discriminator", "loss/generator"}
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[1][1]["loss/generator"] == pytest.approx(lines[1]["generator"], abs=1e-6)
    assert losses[2][1] == {"score/kid-gist-v1": 0.25, "floor/kid-gist-v1": 0.1}
    ((step, name, pixels),) = book.of("picture")
    assert (step, name, pixels.dtype, pixels.shape[2]) == (2, "samples", np.uint8, 3)
    assert [name for name, *_ in book.calls][-3:] == ["flush", "scalars", "close"]
    assert book.of("close") == [["finished"]]


def test_it_knows_the_model_the_recipe_and_the_data(tmp_path):
    run(tmp_path, "book")
    tracked = Book.made[0].run
    assert (tracked.name, tracked.folder, tracked.step) == ("toy-gan", tmp_path, 0)
    wanted = {"model": "toy-gan", "plugin": "genzoo-tracked", "config.width": 6, "recipe.batch_size": 16}
    assert wanted.items() <= tracked.config.items() and "digits" in tracked.config["data"]
    assert (
        tracked.config["recipe.lr.generator"] == 2e-3 and tracked.config["config.image_shape"] == "[1, 8, 8]"
    )
    assert all(type(value) in (str, int, float, bool) for value in tracked.config.values())


def test_the_doctor_is_heard(start):
    one = start(steps=99)
    book = Book(types.SimpleNamespace(step=0))
    calls = Callbacks([Tracking("book", book, one)], one)
    one.play_round()
    for one.step in (49, 50):
        one.doctor.look(one.step, {"generator": 0.5})
        calls.round({"generator": 0.5, "k": 1.0})
    calls.finding(Finding(step=50, kind="a loss at 0", words="it is 0", remedy="a lower lr"))
    first, second = (values for _, values in book.of("scalars"))
    assert first == {"loss/generator": 0.5, "curve/k": 1.0}
    figures = {key: value for key, value in second.items() if key.startswith("doctor/")}
    assert figures.keys() == {"doctor/gradient/discriminator", "doctor/gradient/generator"}
    assert all(value > 0 for value in figures.values())
    words = "step 50: a loss at 0: it is 0; try a lower lr"
    assert book.of("note") == [[50, "doctor/a loss at 0", words]]


def test_findings_of_a_run_arrive(tmp_path, monkeypatch):
    found = Finding(step=1, kind="odd", words="a loss of 3", remedy="patience")
    monkeypatch.setattr(
        "genzoo.training.doctor.Doctor.look", lambda self, step, losses: [found] if step == 1 else []
    )
    heard = []

    class Hears:
        def on_finding(self, moment, finding):
            heard.append((moment.step, finding.kind))

    run(tmp_path, "book", callbacks=[Hears()])
    assert Book.made[0].of("note") == [[1, "doctor/odd", str(found)]] and heard == [(1, "odd")]


def test_a_resumed_run_has_the_same_key_and_a_new_one_another(tmp_path):
    interrupted(tmp_path / "a", "book", 4, after=2)
    run(tmp_path / "a", "book", 4, resume=True)
    run(tmp_path / "b", "book", 1)
    first, second, third = (book.run for book in Book.made)
    assert first.key == second.key != third.key and re.fullmatch("[0-9a-f]{16}", first.key)
    assert (first.step, second.step) == (0, 2)
    assert Book.made[0].of("close") == [["failed"]] and Book.made[1].of("close") == [["finished"]]
    assert [step for step, _ in Book.made[1].of("scalars")] == [3, 4, 4]


def test_a_key_that_was_lost_is_replaced(tmp_path):
    interrupted(tmp_path, "book", 3, after=1)
    (tmp_path / "tracking.json").write_text('{"key": "../../etc"}')
    run(tmp_path, "book", 3, resume=True)
    first, second = (book.run.key for book in Book.made)
    assert first != second and re.fullmatch("[0-9a-f]{16}", second)


@pytest.mark.parametrize(("method", "step"), [("scalars", 1), ("picture", 2), ("flush", 2), ("close", 2)])
def test_one_that_fails_is_reported_once_and_the_run_continues(tmp_path, capsys, method, step):
    Book.breaks = method
    assert run(tmp_path, "book").finished
    err = capsys.readouterr().err
    words = (
        f"the tracker book failed at step {step}: OSError: the server is away; the run continues without it"
    )
    assert err.count("the tracker") == 1 and words in err
    assert method == "close" or not Book.made[0].of("close")


def test_one_that_does_not_start(tmp_path, capsys):
    Book.breaks = "start"
    words = "the tracker book does not start: OSError: the server is away"
    with pytest.raises(TrainingError, match=words) as caught:
        run(tmp_path / "a", "book")
    assert "leave out --track book" in caught.value.hint
    interrupted(tmp_path / "b", (), 3, after=1)
    assert run(tmp_path / "b", "book", 3, resume=True).finished
    assert f"{words}; the run continues without it" in capsys.readouterr().err
    with pytest.raises(TrainingError, match="'torn' of genzoo-tracked cannot be loaded") as caught:
        run(tmp_path / "c", "torn")
    assert isinstance(caught.value.__cause__, PluginError)


def test_others_are_closed_if_one_does_not_start(tmp_path):
    with pytest.raises(TrainingError, match="torn"):
        run(tmp_path, ["book", "torn"])
    assert Book.made[0].of("close") == [["failed"]]


def test_only_the_first_process_tracks(start):
    other = start(world=World(1, 2))
    assert trackings(other, toys.CARDS["toy-gan"], ["book"]) == () and Book.made == []
    assert not (other.folder / "tracking.json").exists()


class TestChosen:
    def test_names(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))
        assert chosen_trackers("book") == ("book",) and chosen_trackers(()) == ()
        assert chosen_trackers(["wandb", "book", "wandb"]) == ("wandb", "book")

    @pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio", "mlflow"])
    def test_a_package_that_is_not_installed(self, tmp_path, monkeypatch, name):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(TrainingError, match=f"{name} needs the package {name}, which is not") as caught:
            run(tmp_path / "run", name)
        assert caught.value.hint == f"pip install 'genzoo[{name}]'" and not (tmp_path / "run").exists()

    def test_what_is_none(self):
        with pytest.raises(UnknownNameError, match=r"'wandbb'; did you mean 'wandb'.*tensorboard, .*book"):
            chosen_trackers("wandbb")
        for odd in (3, {"wandb": 1}, b"wandb"):
            with pytest.raises(ArgumentError, match="track must be a list of names"):
                chosen_trackers(odd)
        with pytest.raises(UnknownNameError, match="no tracker is called 3"):
            chosen_trackers([3])

    def test_names_for_every_tracker(self):
        assert portable("score/kid[gist-v1] given label ä") == "score/kid-gist-v1- given label"
