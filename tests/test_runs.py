"""The folder of a run, read while it is written, and by whomever it was written."""

import json
import os

import pytest

from genzoo.errors import StorageError
from genzoo.runs import (
    LONGEST_LINE,
    MOST_CURVES,
    MOST_FINDINGS,
    LogReader,
    Round,
    Told,
    findings,
    grids,
    is_finished,
    is_run,
    read_grid,
    read_line,
)
from genzoo.safe_open import open_to_read


def log(folder, *lines):
    with (folder / "log.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_each_read_gives_what_is_new(tmp_path):
    reader = LogReader(tmp_path)
    assert not is_run(tmp_path) and reader.read() == ([], [], False)
    log(tmp_path, {"step": 1, "model": 0.5}, {"step": 1, "doctor": "noise", "words": "too much"})
    assert is_run(tmp_path)
    assert reader.read() == ([Round(1, {"model": 0.5})], [Told(1, "noise", "too much")], False)
    assert reader.read() == ([], [], False)
    log(tmp_path, {"step": 2, "model": 0.4})
    assert reader.read().rounds == [Round(2, {"model": 0.4})]


def test_a_line_that_is_not_finished_is_read_when_it_is(tmp_path):
    reader = LogReader(tmp_path)
    (tmp_path / "log.jsonl").write_text('{"step": 1, "mo')
    assert reader.read().rounds == []
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('del": 2}\n')
    assert reader.read().rounds == [Round(1, {"model": 2.0})]


def test_a_log_longer_than_one_read_comes_in_pieces(tmp_path):
    log(tmp_path, *({"step": step, "model": 1} for step in range(100)))
    reader, found = LogReader(tmp_path), []
    while rounds := reader.read(100).rounds:
        assert len(rounds) < 10
        found += rounds
    assert [one.step for one in found] == list(range(100))


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "cut"])
def test_a_resumed_run_is_read_from_its_start(tmp_path, replaced):
    log(tmp_path, {"step": 1, "a": 1}, {"step": 2, "a": 1})
    reader = LogReader(tmp_path)
    reader.read()
    if replaced:
        os.rename(tmp_path / "log.jsonl", tmp_path / "old")
        log(tmp_path, {"step": 1, "a": 5}, {"step": 2, "a": 6}, {"step": 3, "a": 7})
    else:
        (tmp_path / "log.jsonl").write_text('{"step": 1, "a": 5}\n')
    news = reader.read()
    assert news.restarted and news.rounds[0] == Round(1, {"a": 5.0})
    assert not reader.read().restarted


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        "3",
        '{"a": 1}',
        '{"step": "1", "a": 1}',
        '{"step": true, "a": 1}',
        '{"step": -1, "a": 1}',
        '{"step": 1}',
        '{"step": 1, "a": "x"}',
        '{"step": 1, "a": true}',
        '{"step": 1e300, "a": 1}',
        '{"step": 1, "a": ' + "9" * 5000 + "}",
        "[" * 60_000,
        '{"step": 1, "a": 1' + " " * LONGEST_LINE + "}",
        b"\xff",
    ],
)
def test_a_line_that_is_not_valid_is_left_out(line):
    assert read_line(line) is None


def test_a_line_is_made_safe_and_bounded():
    told = read_line(json.dumps({"step": 1, "doctor": "\x1b[31mred", "words": "a\u202eb"}))
    assert told == Told(1, "\ufffdred", "a\ufffdb")
    many = read_line(json.dumps({"step": 1, **{f"a{i}": i for i in range(200)}}))
    assert len(many.values) == MOST_CURVES


def test_findings_are_those_of_the_whole_log(tmp_path):
    log(tmp_path, *({"step": i, "doctor": "noise", "words": "w"} for i in range(MOST_FINDINGS + 20)))
    found = findings(tmp_path)
    assert [one.step for one in found] == list(range(MOST_FINDINGS))
    assert findings(tmp_path / "absent") == []


PNG = b"\x89PNG\r\n\x1a\n and so on"


def test_grids_are_listed_by_step_and_read(tmp_path):
    assert grids(tmp_path) == []
    (tmp_path / "samples").mkdir()
    for name in ("step-0000200.png", "step-0000010.png", "step-x.png", "other.png"):
        (tmp_path / "samples" / name).write_bytes(PNG)
    assert grids(tmp_path) == [10, 200]
    assert read_grid(tmp_path, 10) == PNG
    assert read_grid(tmp_path, 11) == b""


def test_a_link_and_another_format_are_no_grid(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(PNG)
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / "step-0000001.png").symlink_to(secret)
    (folder / "samples" / "step-0000002.png").write_bytes(b"<html>")
    assert [read_grid(folder, step) for step in grids(folder)] == [b"", b""]
    other = tmp_path / "linked"
    other.mkdir()
    (other / "samples").symlink_to(folder / "samples")
    (folder / "samples" / "step-0000003.png").write_bytes(PNG)
    assert read_grid(folder, 3) == PNG and read_grid(other, 3) == b""


def test_a_run_is_finished_when_its_weights_are_there(tmp_path):
    assert not is_finished(tmp_path)
    (tmp_path / "zoo.toml").touch()
    assert is_finished(tmp_path)


def test_a_log_that_is_moved_away_while_it_is_read_is_none(tmp_path, monkeypatch):
    """A log that was gone when it was opened, but there when it was looked for, was an error."""
    log(tmp_path, {"step": 1, "a": 1})
    reader = LogReader(tmp_path)
    reader.read()

    def moved(path):
        monkeypatch.undo()
        os.rename(tmp_path / "log.jsonl", tmp_path / "old")
        return open_to_read(path)

    monkeypatch.setattr("genzoo.runs.open_to_read", moved)
    assert reader.read() == ([], [], False)
    log(tmp_path, {"step": 1, "a": 5})
    assert reader.read() == ([Round(1, {"a": 5.0})], [], True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_log_that_cannot_be_read_is_one_error(tmp_path):
    log(tmp_path, {"step": 1, "a": 1})
    (tmp_path / "log.jsonl").chmod(0)
    with pytest.raises(StorageError, match=r"log\.jsonl"):
        LogReader(tmp_path).read()
