"""What would keep a finished run from being published is told before the first step; what fails nevertheless
loses nothing."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys

import numpy as np
import pytest
import torch
import toys

from genzoo import hub, zoo
from genzoo.data import open_data
from genzoo.errors import GenzooError, StorageError, TrainingError
from genzoo.images import save_images
from genzoo.ledger import read_rows
from genzoo.record import Record
from genzoo.training import publish as outcomes
from genzoo.training import rehearsal
from genzoo.training import train as conducting

RECORD = Record(metric="kid", value=0.25, n=10, n_reference=10, data="digits", subject="toy-gan")


@pytest.fixture(autouse=True, scope="module")
def toys_installed(plug):
    plug(*toys.CARDS.values())


@pytest.fixture
def played(monkeypatch):
    """Give the numbers of the steps that were played."""
    steps, play = [], conducting.play
    monkeypatch.setattr(conducting, "play", lambda run, *rest: steps.append(run.step) or play(run, *rest))
    return steps


def train(folder, name="toy-gan", steps=2, data="digits", **options):
    settings = {"val_split": 0.0, **options.pop("settings", {})}
    return zoo.train(name, data, folder, steps, settings=settings, device="cpu", quiet=True, **options)


def broken_ledger(folder):
    (folder / "zoo.toml").write_text("[toy-gan\n")


def ledger_folder(folder):
    (folder / "zoo.toml").mkdir()


def ledger_fifo(folder):
    os.mkfifo(folder / "zoo.toml")


def scores_folder(folder):
    (folder / "scores.json").mkdir()


class TestBeforeTheFirstStep:
    @pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs")
    @pytest.mark.parametrize("fault", [broken_ledger, ledger_folder, ledger_fifo, scores_folder])
    def test_what_is_in_the_way(self, tmp_path, played, fault):
        fault(tmp_path)
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(
            TrainingError, match="toy-gan is not trained because it could not be published"
        ) as caught:
            train(tmp_path)
        assert str(tmp_path) in str(caught.value) and ".rehearsal" not in str(caught.value)
        assert (
            played == []
            and sorted(path.name for path in tmp_path.iterdir() if path.name != "run.lock") == before
        )

    @pytest.mark.parametrize(
        ("place", "what"),
        [
            ("golden.record", "outputs"),
            ("encode", "weights"),
            ("hub.model_card", "the card"),
            ("describe_run", "the row"),
        ],
    )
    def test_what_cannot_be_made(self, tmp_path, played, monkeypatch, place, what):
        def fail(*args, **how):
            raise RuntimeError(f"{what} cannot be made")

        target, _, name = place.rpartition(".")
        monkeypatch.setattr({"": outcomes, "golden": outcomes.golden, "hub": hub}[target], name, fail)
        with pytest.raises(
            TrainingError,
            match=f"not trained because it could not be published: RuntimeError: {what} cannot be made",
        ):
            train(tmp_path)
        assert played == [] and list(tmp_path.iterdir()) == []

    def test_a_model_that_draws_images_of_another_size(self, tmp_path, played, monkeypatch):
        monkeypatch.setattr(
            toys.ToyGAN, "_decode", lambda self, z: self.generator(z[:, :, None, None])[..., ::2]
        )
        with pytest.raises(TrainingError, match="not trained because it could not be published"):
            train(tmp_path)
        assert played == []

    def test_a_folder_that_cannot_be_written_is_told_before_anything_is_decoded(self, tmp_path, monkeypatch):
        opened = []
        monkeypatch.setattr(conducting, "open_both", lambda *args: opened.append(args))

        def fail(**options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(rehearsal.tempfile, "mkdtemp", fail)
        with pytest.raises(StorageError, match="permission denied"):
            train(tmp_path / "run")
        assert opened == [] and list(tmp_path.iterdir()) == []

    def test_data_that_cannot_be_opened_leave_no_folder(self, tmp_path):
        with pytest.raises(GenzooError):
            train(tmp_path / "run", data=str(tmp_path / "nothing"))
        assert list(tmp_path.iterdir()) == []

    def test_it_changes_no_bit_and_leaves_nothing(self, tmp_path, monkeypatch):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / ".rehearsal-killed").mkdir()
        with_it = train(tmp_path / "a", steps=4, settings={"ema": 0.9}).weights.read_bytes()
        assert not list((tmp_path / "a").glob(".rehearsal*"))
        monkeypatch.setattr(conducting, "rehearse", lambda *args: None)
        assert train(tmp_path / "b", steps=4, settings={"ema": 0.9}).weights.read_bytes() == with_it

    def test_other_rows_of_the_folder_stay(self, tmp_path):
        train(tmp_path, "coin")
        (tmp_path / "checkpoint.safetensors").unlink()
        train(tmp_path)
        assert set(read_rows(tmp_path / "zoo.toml")) == {"coin", "toy-gan"}

    @pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
    def test_names_that_are_no_utf8(self, tmp_path):
        pictures = tmp_path / os.fsdecode(b"b\xfccher")
        save_images(open_data("digits").float(range(30)), pictures)
        out = train(
            tmp_path / os.fsdecode(b"out\xff"),
            data=str(pictures),
            settings={"image_size": 8, "licence": os.fsdecode(b"\xa9 me")},
        )
        row = read_rows(out.folder / "zoo.toml")["toy-gan"]
        assert row.data.startswith("b\\xfccher, 30 images") and row.licence == "\\xa9 me"
        assert "b\\\\xfccher" in next(out.folder.glob("toy-gan-*.md")).read_text("utf-8")


class TestAtTheEnd:
    @pytest.fixture
    def failing(self, monkeypatch):
        """Let publishing into the run's folder fail as on a full disk, but not its rehearsal."""
        push = hub.push

        def fail(dest, **options):
            if ".rehearsal" not in str(dest):
                raise StorageError("cannot write toy-gan.safetensors: the disk is full", "free some space")
            return push(dest, **options)

        with monkeypatch.context() as patch:
            patch.setattr(hub, "push", fail)
            yield patch

    def test_resume_publishes_without_training_again(self, tmp_path, failing, played):
        with pytest.raises(
            TrainingError, match=r"finished its 3 steps, but could not be published: .*the disk is full"
        ) as caught:
            train(tmp_path / "a", steps=3)
        assert "--resume publishes without training again" in caught.value.hint
        failing.undo()
        again = train(tmp_path / "a", steps=3, resume=True)
        assert again.finished and played[-1] == 3
        assert again.weights.read_bytes() == train(tmp_path / "b", steps=3).weights.read_bytes()

    def test_weights_too_large_for_half_precision(self, tmp_path, monkeypatch):
        play = conducting.play

        def grow(run, *rest):
            finished = play(run, *rest)
            with torch.no_grad():
                run.model.generator[0].weight.fill_(1e6)
            return finished

        with monkeypatch.context() as patch:
            patch.setattr(conducting, "play", grow)
            with pytest.raises(
                TrainingError, match=r"could not be published: .* is not finite as torch.float16"
            ) as caught:
                train(tmp_path, settings={"save_dtype": "float16"})
        assert "--resume" in caught.value.hint and "--set save_dtype=float32" in caught.value.hint
        assert train(tmp_path, resume=True, settings={"save_dtype": "float32"}).finished

    @pytest.mark.parametrize(
        "change",
        [{"kind": "own"}, {"stderr": -1.0}, {"n": np.int64(5)}, {"value": math.nan}, {"value": {1, 2}}],
        ids=repr,
    )
    def test_a_score_that_cannot_be_written_down_is_left_out(self, tmp_path, monkeypatch, capsys, change):
        odd = object.__new__(Record)  # as a metric of a plugin may make it
        for name, value in {**vars(RECORD), **change}.items():
            object.__setattr__(odd, name, value)
        monkeypatch.setattr(conducting, "score_model", lambda *args, **more: [odd, RECORD])
        outcome = train(tmp_path, settings={"val_split": 0.1})
        assert outcome.records == [dataclasses.replace(RECORD, device="cpu")]
        assert (
            len(read_rows(tmp_path / "zoo.toml")["toy-gan"].scores)
            == len(json.loads((tmp_path / "scores.json").read_text()))
            == 1
        )
        assert "the score kid of toy-gan is left out because it cannot be stored" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "error", [RuntimeError("out of memory"), MemoryError(), ZeroDivisionError("a plugin's metric")]
    )
    def test_a_run_that_cannot_be_scored_is_published(self, tmp_path, monkeypatch, capsys, error):
        def fail(*args, **more):
            raise error

        monkeypatch.setattr(conducting, "score_model", fail)
        assert train(tmp_path, settings={"val_split": 0.1}).weights.is_file()
        assert "toy-gan is not scored" in capsys.readouterr().err

    def test_a_picture_is_only_for_show(self, tmp_path, monkeypatch, capsys):
        (tmp_path / "samples.png").mkdir()
        assert train(tmp_path).finished
        assert "samples.png cannot be written" in capsys.readouterr().err


class TestLicence:
    def test_none_is_stated_where_nobody_did(self, tmp_path):
        outcome = train(tmp_path)
        row = read_rows(tmp_path / "zoo.toml")["toy-gan"]
        text = next(outcome.folder.glob("toy-gan-*.md")).read_text("utf-8")
        assert row.licence == "" and "licence =" not in (tmp_path / "zoo.toml").read_text("utf-8")
        assert "no licence stated" in text and "license:" not in text and row.terms in text

    def test_the_authors_goes_everywhere(self, tmp_path):
        train(tmp_path / "run", settings={"licence": "CC-BY-4.0"})
        row = zoo.push("toy-gan", tmp_path / "hub", run=tmp_path / "run")
        assert row.licence == "CC-BY-4.0"
        assert 'license: "cc-by-4.0"' in next((tmp_path / "hub").glob("toy-gan-*.md")).read_text("utf-8")
        assert zoo.push("toy-gan", tmp_path / "hub", run=tmp_path / "run", licence="MIT").licence == "MIT"
        assert zoo.push("toy-gan", tmp_path / "hub", run=tmp_path / "run", licence="").licence == ""

    def test_it_may_be_stated_when_a_run_is_resumed(self, tmp_path):
        train(tmp_path, steps=1)
        train(tmp_path, steps=2, resume=True, settings={"licence": "MIT"})
        assert read_rows(tmp_path / "zoo.toml")["toy-gan"].licence == "MIT"
