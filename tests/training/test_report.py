"""What a run tells."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from genzoo.errors import GenzooError
from genzoo.training import report
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
    assert [json.loads(line)["step"] for line in (run.folder / "log.jsonl").read_text().splitlines()] == [1, 2, 3, 4]


def test_a_killed_run_logs_no_step_twice(start):
    told(start(steps=2), quiet=True)
    run = start(steps=4)
    run.resume()
    log = run.folder / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 3, "generator": 9.0, "discriminator": 9.0}\n{"step": 4, "gener')  # killed at step 4
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
    assert sorted(path.name for path in (run.folder / "samples").iterdir()) == ["step-0000001.png", "step-0000004.png"]


def test_tensorboard_is_asked_for_by_name(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(GenzooError, match="TensorBoard logs need the package tensorboard") as caught:
        Report(start(), tensorboard=True)
    assert "genzoo[tensorboard]" in caught.value.hint


def test_tensorboard_hides_what_will_be_played_again(start, monkeypatch):
    """What a killed run told of the rounds after its checkpoint would else be drawn twice."""
    made = []

    class SummaryWriter:
        def __init__(self, folder, **options):
            made.append((folder, options))

        def close(self):
            pass

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=SummaryWriter))
    told(start(steps=2), quiet=True)
    run = start(steps=4)
    run.resume()
    for one in (run, start(steps=4, seed=1)):
        with Report(one, quiet=True, tensorboard=True):
            pass
    assert made == [(str(run.folder / "tensorboard"), {"purge_step": step}) for step in (3, 1)]


def test_each_line_of_the_log_is_there_at_once(start):
    """A run that is killed after its checkpoint was written has logged all rounds before it."""
    run = start(steps=9)
    with Report(run, quiet=True) as reporting:
        for run.step in (1, 2):
            reporting.round({"generator": 1.0})
            assert [json.loads(line)["step"] for line in (run.folder / "log.jsonl").read_text().splitlines()][-1] == run.step


def test_tensorboard_gets_every_loss(start, monkeypatch):
    written = []

    class Events:
        def add_scalar(self, name, loss, step):
            written.append((name, step))

        def flush(self):
            pass

        def close(self):
            written.append("closed")

    monkeypatch.setattr(report, "_tensorboard", lambda folder, step: Events())
    told(start(steps=2), quiet=True, tensorboard=True)
    assert written == [("loss/discriminator", 1), ("loss/generator", 1), ("loss/discriminator", 2), ("loss/generator", 2), "closed"]
