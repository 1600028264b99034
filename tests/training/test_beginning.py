"""One run holds its folder; it begins, goes on, or is found to be finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import toys
from PIL import Image

import genzoo
from genzoo import zoo
from genzoo.data import open_data
from genzoo.errors import ArgumentError, DataError, TrainingError
from genzoo.files import locked
from genzoo.training import beginning, checkpoint, loop
from genzoo.training import train as training
from genzoo.training.checkpoint import CheckpointError
from genzoo.training.parallel import World

ROOT = Path(genzoo.__file__).resolve().parent.parent
HERE = Path(toys.__file__).resolve().parent / "training"


@pytest.fixture(autouse=True, scope="module")
def toys_installed(plug):
    plug(*toys.CARDS.values())


def train(folder, steps=4, name="toy-gan", **options):
    settings = {"val_split": 0.0, **options.pop("settings", {})}
    return zoo.train(
        name,
        options.pop("data", "digits"),
        folder,
        steps,
        settings=settings,
        device="cpu",
        quiet=True,
        **options,
    )


def files_in(folder):
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != beginning.LOCK
    }


HOLD = """
import sys, time
from pathlib import Path
from genzoo.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


class TestHeld:
    def test_a_second_run_is_refused_at_once_and_told_by_whom(self, tmp_path, monkeypatch):
        """While the first is at work, and before any data are opened."""
        refusals, open_both = [], training.open_both

        def second():
            with pytest.raises(TrainingError) as caught:
                train(tmp_path / "run", data="no such data")
            refusals.append(caught)

        def during(*arguments):
            monkeypatch.setattr(training, "open_both", open_both)
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
            return open_both(*arguments)

        monkeypatch.setattr(training, "open_both", during)
        assert train(tmp_path / "run").finished
        (caught,) = refusals
        assert (
            f"another run is using {tmp_path / 'run'}: this very process ({os.getpid()}) since 20"
            in caught.value.message
        )
        assert "another --out, or wait" in caught.value.hint

    def test_whatever_is_asked_of_a_held_folder_nothing_in_it_changes(self, tmp_path):
        train(tmp_path / "run", 2)
        before = files_in(tmp_path / "run")
        with locked(tmp_path / "run" / beginning.LOCK):
            for resume in (False, True, "auto", "previous"):
                with pytest.raises(TrainingError, match="another run is using"):
                    train(tmp_path / "run", resume=resume)
        assert files_in(tmp_path / "run") == before

    @pytest.mark.skipif(sys.platform == "win32", reason="kills a child")
    def test_a_dead_holder_holds_nothing(self, tmp_path):
        (tmp_path / "run").mkdir()
        path = tmp_path / "run" / beginning.LOCK
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], env=env, stdout=subprocess.PIPE, text=True
        )
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(TrainingError, match=f"process {holder.pid} on this machine since 20"):
                train(tmp_path / "run")
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.communicate()
        assert train(tmp_path / "run").finished

    def test_a_folder_is_free_after_a_refusal(self, tmp_path):
        with pytest.raises(TrainingError):
            train(tmp_path / "run", name="coder")
        assert not (tmp_path / "run").exists()
        (tmp_path / "run").mkdir()
        with pytest.raises(DataError):
            train(tmp_path / "run", data="./nowhere")
        assert list((tmp_path / "run").iterdir()) == []
        assert train(tmp_path / "run").finished

    def test_only_the_rank_that_writes_takes_the_lock(self, tmp_path, monkeypatch):
        monkeypatch.setattr(World, "agree", lambda self, *flags: list(flags))
        with locked(tmp_path / beginning.LOCK), beginning.hold(tmp_path, World(1, 2)):
            pass

    def test_the_refusal_of_one_rank_is_that_of_all(self, tmp_path, monkeypatch):
        monkeypatch.setattr(World, "agree", lambda self, *flags: [True for _ in flags])
        with (
            pytest.raises(TrainingError, match="another process of the group was refused"),
            beginning.hold(tmp_path, World(1, 2)),
        ):
            pass

    def test_ranks_that_see_other_data_or_checkpoints_are_refused(self, start, monkeypatch):
        monkeypatch.setattr(World, "alike", lambda self, text: False)
        with pytest.raises(TrainingError, match="do not see the same images and checkpoint"):
            beginning.begin(start(), "toy-gan", "same")

    def test_a_file_system_without_locks_is_told_and_trained_on(self, tmp_path, monkeypatch, capsys):
        import fcntl

        def none(handle, flags):
            raise OSError(37, "No locks available")

        monkeypatch.setattr(fcntl, "flock", none)
        monkeypatch.setattr("genzoo.locks._told_lockless", set())
        assert train(tmp_path / "run").finished
        assert capsys.readouterr().err.count("has no locks") == 1


class TestResume:
    @pytest.mark.parametrize("wrong", ["atuo", "yes", 1, None, "Auto"])
    def test_what_it_may_be(self, tmp_path, wrong):
        with pytest.raises(ArgumentError, match="resume must be True, False, 'auto' or 'previous'"):
            train(tmp_path, resume=wrong)
        assert list(tmp_path.iterdir()) == []

    def test_the_same_command_continues_the_same_run_alone(self, tmp_path, monkeypatch):
        """Left at a checkpoint before its last step; other steps need --resume."""
        from genzoo.training.loop import Run

        whole = train(tmp_path / "whole", 4).weights.read_bytes()
        play = Run.play_round

        def until_two(run):
            if run.step == 2:
                raise OSError("the machine is gone")
            return play(run)

        monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
        with monkeypatch.context() as patch, pytest.raises(OSError, match="is gone"):
            patch.setattr(Run, "play_round", until_two)
            train(tmp_path / "run", 4)
        told = []
        monkeypatch.setattr(beginning, "tell", lambda text, level="": told.append(text))
        with pytest.raises(TrainingError, match="already holds a run of toy-gan over 4 steps, not 6"):
            train(tmp_path / "run", 6)
        again = train(tmp_path / "run", 4)
        assert told == [f"{tmp_path / 'run'}: continuing the same run from step 2"]
        assert again.finished and again.weights.read_bytes() == whole

    def test_processes_with_other_settings_are_refused_by_name(self, start, monkeypatch):
        theirs = start(batch_size=16)
        words = []
        monkeypatch.setattr(World, "exchange", lambda self, word: [word] * (words.append(word) or 1))
        beginning._check_alike(theirs, "toy-gan")
        monkeypatch.setattr(World, "exchange", lambda self, word: [words[0], word])
        with pytest.raises(
            TrainingError, match=r"other settings than process 1: batch_size 8 here, 16 there"
        ):
            beginning._check_alike(start(batch_size=8, world=World(1, 2)), "toy-gan")
        with pytest.raises(
            TrainingError, match=r"process 0 was started with other settings .*: model b here, toy"
        ):
            beginning._check_alike(start(batch_size=16), "b")

    def test_auto_starts_where_nothing_is(self, tmp_path):
        one, other = train(tmp_path / "a"), train(tmp_path / "b", resume="auto")
        assert one.weights.read_bytes() == other.weights.read_bytes()

    def test_auto_goes_on_where_a_run_is(self, tmp_path):
        train(tmp_path / "b", 2, resume="auto")
        again = train(tmp_path / "b", 4, resume="auto")
        assert (again.finished, again.step) == (True, 4)
        assert again.weights.read_bytes() == train(tmp_path / "a", 4).weights.read_bytes()

    def test_auto_does_nothing_where_the_run_is_finished(self, tmp_path, monkeypatch, capsys):
        whole = zoo.train("toy-gan", "digits", tmp_path / "run", 4, device="cpu", quiet=True)
        before = files_in(tmp_path / "run")
        capsys.readouterr()
        monkeypatch.setattr(training, "play", None)
        monkeypatch.setattr(training, "conclude", None)
        again = zoo.train("toy-gan", "digits", tmp_path / "run", 4, device="cpu", quiet=True, resume="auto")
        assert again == whole and whole.records
        assert files_in(tmp_path / "run") == before
        assert "already finished after 4 steps; nothing to do" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda folder: (folder / "finished.json").unlink(),
            lambda folder: (folder / "finished.json").write_text("[" * 5000),
            lambda folder: (folder / "finished.json").write_text('{"weights": 5}'),
            lambda folder: next(folder.glob("toy-gan-*.safetensors")).unlink(),
            lambda folder: next(folder.glob("toy-gan-*.safetensors")).write_bytes(b"x"),
            lambda folder: (folder / "scores.json").write_text('[{"metric": "kid"}]'),
        ],
        ids=range(6),
    )
    def test_auto_publishes_again_what_is_not_whole(self, tmp_path, spoil):
        whole = train(tmp_path / "run").weights.read_bytes()
        spoil(tmp_path / "run")
        assert train(tmp_path / "run", resume="auto").weights.read_bytes() == whole
        assert train(tmp_path / "run", resume="auto").records == []

    def test_auto_refuses_another_recipe(self, tmp_path):
        train(tmp_path / "run", 2)
        before = files_in(tmp_path / "run")
        for change in (
            {"settings": {"batch_size": 8}},
            {"settings": {"width": 8}},
            {"data": "binarized-digits"},
        ):
            with pytest.raises(TrainingError, match="was made with other "):
                train(tmp_path / "run", resume="auto", **change)
        assert files_in(tmp_path / "run") == before

    def test_resumed_from_a_folder_of_images_that_was_moved(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("pics").mkdir()
        for number, image in enumerate(open_data("digits").pixels[:40, 0]):
            Image.fromarray(image).save(f"pics/{number}.png")
        folder = {"settings": {"image_size": 8, "channels": 1}}
        train(tmp_path / "run", 2, data="pics/", **folder)
        train(tmp_path / "run", 3, data=str(tmp_path / "pics"), resume=True, **folder)
        Path("pics").rename("moved")
        assert train(tmp_path / "run", 4, data="./moved", resume=True, **folder).step == 4
        Image.new("L", (8, 8)).save("moved/7.png")
        with pytest.raises(TrainingError, match="other data: also 40 images of 1×8×8"):
            train(tmp_path / "run", 5, data="moved", resume=True, **folder)

    def test_what_of_the_machine_differs_is_told(self, tmp_path, monkeypatch, capsys):
        train(tmp_path / "run", 2)
        capsys.readouterr()
        monkeypatch.setattr(loop.terms, "_version", lambda name: "9.9")
        train(tmp_path / "run", 3, resume=True)
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "the run started with" in line]
        assert "genzoo 9.9" in line and "plugin genzoo-toys 9.9" in line


class TestDamaged:
    @pytest.fixture
    def left(self, tmp_path, monkeypatch):
        """Give the folder of a run whose last checkpoint, of step 4, is damaged, and the one before it, of
        step 3, whole."""
        monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
        train(tmp_path / "run")
        path = tmp_path / "run" / checkpoint.NAME
        path.write_bytes(path.read_bytes()[:-1])
        return tmp_path / "run"

    def test_the_one_before_it_is_offered(self, left, tmp_path):
        with pytest.raises(CheckpointError, match="is damaged") as caught:
            train(left, resume=True)
        assert (
            caught.value.hint == "the previous one, of step 3, is intact: --resume=previous continues from it"
        )
        whole = train(tmp_path / "whole").weights.read_bytes()
        assert train(left, resume="previous").weights.read_bytes() == whole

    @pytest.mark.parametrize("resume", ["auto", False])
    def test_auto_takes_it_and_tells(self, left, tmp_path, capsys, resume):
        whole = train(tmp_path / "whole").weights.read_bytes()
        capsys.readouterr()
        assert train(left, resume=resume).weights.read_bytes() == whole
        assert (
            "is damaged" in (told := capsys.readouterr().err)
            and "continuing from the previous one, of step 3" in told
        )

    def test_where_both_are_damaged_nothing_is_offered(self, left):
        (left / checkpoint.PREVIOUS).write_bytes(b"")
        for resume in (True, "auto", "previous"):
            with pytest.raises(CheckpointError, match="is damaged") as caught:
                train(left, resume=resume)
            assert "previous" not in caught.value.hint

    def test_where_the_last_is_gone_the_one_before_it_counts(self, left, tmp_path):
        (left / checkpoint.NAME).unlink()
        with pytest.raises(CheckpointError, match="there is no checkpoint at") as caught:
            train(left, resume=True)
        assert "step 3" in caught.value.hint
        assert (
            train(left, resume="auto").weights.read_bytes() == train(tmp_path / "whole").weights.read_bytes()
        )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forks")
def test_one_line_repeated_until_it_is_done(tmp_path):
    """Killed five times while it trains and once before it publishes: the bits are those of one that was left
    in peace."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE.parent)])}
    command = [sys.executable, str(HERE / "requeued_runs.py"), str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ends"] == [0, -9, -9, -9, -9, -9, -9, 0, 0]
    assert told["same"] and told["left"] == []
    assert told["steps"] == list(range(1, 25))  # each once
    assert "already finished after 24 steps" in done.stderr


class TestEarly:
    def test_the_first_checkpoint_comes_early_and_then_the_usual_pause(self, start, monkeypatch):
        clock = iter(range(0, 10_000, 3))  # three seconds a look
        monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
        run, saved = start(steps=60), []
        loop.play(run, lambda losses: None, lambda: saved.append(run.step), lambda: False)
        assert saved[0] == 4 and saved[-1] == 60
        assert saved[1] - saved[0] >= 20 and saved[2] - saved[1] >= 20

    def test_a_round_that_takes_long_is_saved_at_once(self, start, monkeypatch):
        clock = iter(range(0, 10_000, 50))
        monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
        run, saved = start(steps=3), []
        loop.play(run, lambda losses: None, lambda: saved.append(run.step), lambda: False)
        assert saved[0] == 1

    def test_also_after_a_resumption(self, start, monkeypatch):
        clock = iter(range(0, 10_000, 3))
        monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
        first = start(steps=30)
        loop.play(first, lambda losses: None, lambda: None, lambda: first.step == 10)
        again, saved = start(steps=30), []
        again.resume()
        loop.play(again, lambda losses: None, lambda: saved.append(again.step), lambda: False)
        assert saved[0] == 14
