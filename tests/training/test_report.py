"""What a run tells."""

from __future__ import annotations

import errno
import io
import json
import os
import sys

import numpy as np
import pytest
import told_toys
import torch
import toys
from PIL import Image

from genzoo.data import open_data
from genzoo.errors import StorageError
from genzoo.evaluation.held_out import every_way, held_out
from genzoo.images import grid
from genzoo.models.panel import panel
from genzoo.training import checkpoint, loop, report
from genzoo.training.loop import play
from genzoo.training.parallel import World
from genzoo.training.report import Report
from genzoo.training.train import train


def told(run, **options):
    with Report(run, **options) as reporting:
        play(run, reporting.round, reporting.checkpoint, lambda: False)


def test_a_log_of_json_lines_and_a_sample_grid(start, capsys, monkeypatch):
    monkeypatch.setattr(report, "_LINE_SECONDS", 0.0)
    run = start(steps=3)
    told(run)
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(line.keys() == {"step", "discriminator", "generator"} for line in lines)
    assert [path.name for path in (run.folder / "samples").iterdir()] == ["step-0000003.png"]
    out = capsys.readouterr()
    assert out.out == ""
    assert "step 3 of 3: discriminator " in out.err and "img/s" in out.err and "left" in out.err


def test_a_log_goes_on_where_it_was(start):
    told(start(steps=2), quiet=True)
    run = start(steps=4)
    run.resume()
    told(run, quiet=True)
    assert [json.loads(line)["step"] for line in (run.folder / "log.jsonl").read_text().splitlines()] == [
        1,
        2,
        3,
        4,
    ]


def test_a_killed_run_logs_no_step_twice(start):
    told(start(steps=2), quiet=True)
    run = start(steps=4)
    run.resume()
    log = run.folder / "log.jsonl"
    # killed at step 4
    log.write_text(
        log.read_text() + '{"step": 3, "generator": 9.0, "discriminator": 9.0}\n{"step": 4, "gener'
    )
    told(run, quiet=True)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[2]["generator"] != 9.0


def test_quiet_says_nothing(start, capsys):
    told(start(steps=2), quiet=True)
    assert capsys.readouterr() == ("", "")


def test_other_ranks_write_and_say_nothing(start, capsys):
    run = start(steps=2, world=World(1, 2))
    with Report(run) as reporting:
        reporting.round({"generator": 1.0})
        reporting.checkpoint()
    assert list(run.folder.iterdir()) == [] and capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(start, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    told(start(steps=2))
    shown = capsys.readouterr().err
    assert "2/2" in shown and "generator" in shown


def test_sample_grids_come_every_so_often(start, monkeypatch):
    run = start(steps=9)
    with Report(run, quiet=True) as reporting:
        for run.step in (1, 2, 3):
            reporting.checkpoint()
        monkeypatch.setattr(report, "SAMPLE_SECONDS", 0.0)
        run.step = 4
        reporting.checkpoint()
    assert sorted(path.name for path in (run.folder / "samples").iterdir()) == [
        "step-0000001.png",
        "step-0000004.png",
    ]


def pixels(folder, step):
    with Image.open(report.grid_of(folder, step)) as grid_:
        return np.asarray(grid_.convert("RGB"))


class TestTranslators:
    """Their grids show held-out pictures above their translations, the same ones at every step."""

    @pytest.mark.parametrize("kind", [told_toys.Paired, told_toys.Cycle])
    def test_a_grid_shows_held_out_pictures(self, start, kind):
        held = told_toys.noise_set(kind, seed=1)
        run = start(told_toys.card(kind).build(), data=told_toys.noise_set(kind), steps=2, game=None)
        told(run, quiet=True, held=held)
        run.model.eval()
        expected = every_way(run.model, held, report.TRANSLATIONS).convert("RGB")
        assert np.array_equal(pixels(run.folder, 2), np.asarray(expected))
        with Image.open(report.grid_of(run.folder, 2)) as picture:
            assert picture.text["step"] == "2"

    def test_without_held_out_pictures_it_shows_those_drawn_by_rule(self, start):
        kind = told_toys.Cycle
        run = start(told_toys.card(kind).build(), data=told_toys.noise_set(kind), steps=1, game=None)
        told(run, quiet=True)
        images, columns = panel(run.model.eval(), report.SAMPLES)
        assert np.array_equal(pixels(run.folder, 1), np.asarray(grid(images, columns).convert("RGB")))

    @pytest.mark.parametrize("kind", [told_toys.Paired, told_toys.Cycle])
    def test_a_run_that_is_resumed_shows_the_same_pictures_further_on(self, tmp_path, kind):
        rng = np.random.default_rng(0)
        channels = (3, 1) if kind is told_toys.Paired else (1, 1)
        sides = [rng.integers(0, 256, (40, 8, 8, count), dtype=np.uint8) for count in channels]
        np.savez(tmp_path / "two.npz", A=sides[0], B=sides[1])
        data = f"{'pairs' if kind is told_toys.Paired else 'unpaired'}:{tmp_path / 'two.npz'}"
        for steps in (2, 4):
            settings = {"lr": 0.1}
            train(
                told_toys.card(kind), data, tmp_path / "run", steps, resume=steps == 4, settings=settings,
                device="cpu", quiet=True, scored=False,
            )  # fmt: skip
        first, then = (pixels(tmp_path / "run", step) for step in (2, 4))
        test = open_data(data, image_shape=(1, 8, 8), source_shape=(channels[0], 8, 8), split="test")
        sources = held_out(told_toys.card(kind).build(), test, report.TRANSLATIONS).rows[0]
        row = np.asarray(grid(sources, columns=len(sources)).convert("RGB"))
        for shown in (first, then):
            assert np.array_equal(shown[: len(row), : row.shape[1]], row)
        assert not np.array_equal(first, then)  # the translations are those of another step


def test_a_model_that_takes_a_text_is_shown_by_a_row_for_each_sentence(start):
    kind = told_toys.MatchingGAN
    data = told_toys.noise_set(kind)
    run = start(told_toys.card(kind).build(), data=data, steps=1, game=None)
    told(run, quiet=True, held=data)
    run.model.eval()
    columns = report.SAMPLES // len(told_toys.SENTENCES)
    rows = [run.model.sample(columns, 0, condition=text) for text in told_toys.SENTENCES]
    expected = grid(torch.cat(rows), columns).convert("RGB")
    assert np.array_equal(pixels(run.folder, 1), np.asarray(expected))


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


class Full(io.StringIO):
    write = full


def test_a_log_on_a_full_disk_is_told_once_and_goes_on_when_there_is_room(start, capsys, monkeypatch):
    run = start(steps=9)
    with Report(run, quiet=True) as reporting:
        reporting._log.close()
        reporting._log = Full()
        for run.step in (1, 2, 3):
            reporting.round({"generator": 1.0})
        err = capsys.readouterr().err
        assert (
            err.count(
                "log.jsonl cannot be written: OSError: [Errno 28] No space left on device; training continues"
            )
            == 1
        )
        reporting.checkpoint()
        run.step = 4
        reporting.round({"generator": 1.0})
    assert json.loads((run.folder / "log.jsonl").read_text())["step"] == 4
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("there", ["folder", "fifo", "link", "dangling link"])
def test_a_log_that_is_no_file_is_left_alone(start, capsys, there, tmp_path):
    run = start(steps=2)
    log, other = run.folder / "log.jsonl", tmp_path / "other"
    other.write_text("mine")
    {
        "folder": log.mkdir,
        "fifo": lambda: os.mkfifo(log),
        "link": lambda: log.symlink_to(other),
        "dangling link": lambda: log.symlink_to(tmp_path / "nowhere"),
    }[there]()
    told(run, quiet=True)
    err = capsys.readouterr().err
    assert (
        run.step == 2 and err.count("log.jsonl") == 2 and err.count("\n") == 1 and "training continues" in err
    )
    assert other.read_text() == "mine" and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("fault", ["a file in the way", "a model that cannot draw", "a disk that is full"])
def test_samples_are_only_for_show(start, capsys, monkeypatch, fault):
    run = start(steps=2)
    if fault == "a file in the way":
        (run.folder / "samples").touch()
    elif fault == "a model that cannot draw":
        monkeypatch.setattr(toys.ToyGAN, "_decode", full)
    else:
        monkeypatch.setattr(report, "save_grid", full)
    with Report(run, quiet=True) as reporting:
        reporting.round({"generator": 1.0})
        for run.step in (1, 2):
            reporting.checkpoint()
    err = capsys.readouterr().err
    assert err.count("samples cannot be written") == 1 and err.count("\n") == 1


@pytest.mark.parametrize("stream", [None, Full()], ids=["none", "full"])
def test_nobody_reads_stderr(start, monkeypatch, stream, capsys):
    run = start(steps=3)
    monkeypatch.setattr(report, "_LINE_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", stream)
    told(run)
    assert run.step == 3 and capsys.readouterr().out == ""


def test_a_checkpoint_on_a_full_disk_is_tried_again(start, capsys, monkeypatch):
    run, write, tried = start(steps=3), checkpoint.write, []

    def write_later(*args, **more):
        tried.append(run.step)
        if run.step < 3:
            raise StorageError("cannot write checkpoint.safetensors: the disk is full")
        write(*args, **more)

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(checkpoint, "write", write_later)
    with Report(run, quiet=True) as reporting:
        assert play(
            run, reporting.round, reporting.checkpoint, lambda: False, reporting.finding, reporting.trouble
        )
    assert tried == [1, 2, 3] and not run.unsaved and run.checkpoint.is_file()
    assert capsys.readouterr().err.count("the disk is full; training continues and tries again") == 1


def test_a_checkpoint_that_cannot_be_written_at_the_end_asked_for_is_an_error(start, monkeypatch):
    run = start(steps=3)
    monkeypatch.setattr(
        checkpoint, "atomic_write", lambda *args: (_ for _ in ()).throw(StorageError("the disk is full"))
    )
    with Report(run, quiet=True) as reporting, pytest.raises(StorageError, match="full"):
        play(run, reporting.round, reporting.checkpoint, lambda: True, reporting.finding, reporting.trouble)


def test_each_line_of_the_log_is_there_at_once(start):
    """A run that is killed after its checkpoint was written has logged all rounds before it."""
    run = start(steps=9)
    with Report(run, quiet=True) as reporting:
        for run.step in (1, 2):
            reporting.round({"generator": 1.0})
            assert [json.loads(line)["step"] for line in (run.folder / "log.jsonl").read_text().splitlines()][
                -1
            ] == run.step
