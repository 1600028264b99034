"""`docs/train.py`: the commands of each published model in one go, within a time limit."""

from __future__ import annotations

import contextlib
import itertools
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

import genzoo
from genzoo.cli.training import read_settings
from genzoo.ledger import read_rows
from genzoo.runs import is_finished
from genzoo.training.plan import plan
from genzoo.training.players import players
from genzoo.training.train import build

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import train  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="docs/train.py needs POSIX signals")
CHAINS = train.chains()
TINY = "genzoo train gan --data digits --set image_size=8x8 --set channels=1 --set width=4"


@pytest.mark.parametrize("name", [name for name in CHAINS if name not in train.NEXT])
def test_the_commands_of_a_published_model_end_with_that_of_its_card(name):
    lines, card = CHAINS[name], genzoo.info(name)
    assert lines[-1] == (card.recipe.command or f"genzoo train {name}")
    assert {shlex.split(line)[2] for line in lines} == {name}
    made = set()
    for line in lines:
        assert set(re.findall(r"--init-from (runs/\S+)", line)) <= made, "a run of which no command is given"
        made |= set(re.findall(r"--out (\S+)", line))


def test_every_model_with_weights_has_commands():
    published = {name for name in read_rows(ROOT / "zoo.toml") if not name.startswith("features-")}
    assert set(CHAINS) - set(train.NEXT) == published
    assert len(CHAINS["dcgan-bedrooms"]) == 4 and len(CHAINS["cyclegan-horse2zebra"]) == 3


@pytest.mark.parametrize("name", train.NEXT)
def test_the_recipe_and_the_nets_of_a_prepared_run_are_accepted(name):
    for line in train.NEXT[name]:
        words = shlex.split(line)
        given = [word for flag, word in itertools.pairwise(words) if flag == "--set"]
        steps = int(words[words.index("--steps") + 1])
        recipe, config = plan(genzoo.info(words[2]), read_settings(None, None, given), steps=steps)
        assert words[:2] == ["genzoo", "train"] and recipe.steps == steps
        assert players(build(genzoo.info(words[2]), config, recipe), recipe)


@pytest.fixture
def run(tmp_path):
    """Returns a `Run` of the commands given; none outlives the test."""
    made = []

    def run(name, *lines):
        made.append(train.Run(name, list(lines), tmp_path, 1))
        return made[-1]

    yield run
    for one in made:
        if one.process and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def steps_of(run):
    """Return the steps that the log of `run` tells of, so far."""
    text = run.log.read_text() if run.log.exists() else ""
    return [int(told.replace(",", "")) for told in re.findall(r"^step ([\d,]+) of", text, re.MULTILINE)]


class FirstStep:
    """The end of the time: as soon as the log of `run` has a step, or after two minutes."""

    def __init__(self, run):
        self.run, self.latest = run, time.monotonic() + 120

    def __gt__(self, now):
        return not steps_of(self.run) and now < self.latest


def test_one_command_after_the_other_in_a_folder_of_its_own(run, tmp_path):
    both = run("both", f"{TINY} --steps 2 --out runs/first", f"{TINY} --steps 3 --init-from runs/first")
    assert train.train([both], 1, 600) == []
    assert is_finished(tmp_path / "both/runs/first") and is_finished(tmp_path / "both/runs/gan")
    assert "run 2 of 2" in both.state()


def test_at_the_limit_a_run_saves_and_the_same_command_continues(run, monkeypatch, capsys):
    def attend(runs, at_once, end):
        return until_a_step(runs, at_once, FirstStep(runs[0]))

    until_a_step = train.attend
    monkeypatch.setattr(train, "attend", attend)
    first, again = (run("long", f"{TINY} --steps 1000000") for _ in range(2))
    assert train.train([first], 1, 0) == [] and "stopped after step" in first.state()
    assert "stopped after step" in capsys.readouterr().out
    first.log.unlink()
    assert train.train([again], 1, 0) == [] and steps_of(again)[0] > 1


@pytest.mark.parametrize("reason", [KeyboardInterrupt, OSError("the disk is full")])
def test_no_run_outlives_the_script(run, monkeypatch, capsys, reason):
    long = run("long", f"{TINY} --steps 1000000")

    def attend(runs, at_once, end):
        until_a_step(runs, at_once, FirstStep(long))
        raise reason

    until_a_step = train.attend
    monkeypatch.setattr(train, "attend", attend)
    with contextlib.suppress(OSError):
        train.train([long], 1, 600)
    assert long.process.poll() is not None and not long.failed and "stopped after step" in long.state()


def test_a_run_that_fails_is_told_and_the_others_go_on(run, tmp_path, capsys):
    wrong = run("wrong", f"{TINY} --set lr=-1")
    right = run("right", f"{TINY} --steps 2")
    assert train.train([wrong, right], 2, 600) == [wrong]
    assert is_finished(tmp_path / "right/runs/gan")
    assert "wrong, run 1 of 1: " in (told := capsys.readouterr().out) and "lr" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name a model"),
        (["dcgan-bedroms"], "no commands for dcgan-bedroms; see --list"),
        (["gan-mnist", "--minutes", "0"], "must be above 0"),
        (["gan-mnist", "--at-once", "-1"], "must be at least 1"),
    ],
)
def test_what_cannot_be_asked(arguments, told, capsys):
    with pytest.raises(SystemExit):
        train.main(arguments)
    assert told in capsys.readouterr().err


def test_a_list_of_commands(capsys):
    assert train.main(["--list", "dcgan-faces"]) == 0
    assert capsys.readouterr().out.split("\n  ")[0] == "dcgan-faces"
