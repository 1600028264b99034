"""What a run tells."""

from __future__ import annotations

import errno
import io
import json
import os
import sys

import pytest
import toys

from genzoo.errors import StorageError
from genzoo.training import checkpoint, loop, report
from genzoo.training.loop import play
from genzoo.training.parallel import World
from genzoo.training.report import Report


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
