"""`docs/train.py`: the commands of each published model in one go, within a time limit."""

from __future__ import annotations

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
    assert set(CHAINS) - set(train.NEXT) == set(read_rows(ROOT / "zoo.toml")) & set(CHAINS)
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


def run(folder, name, *lines):
    return train.Run(name, list(lines), folder, 1)


def test_one_command_after_the_other_in_a_folder_of_its_own(tmp_path):
    both = run(
        tmp_path, "both", f"{TINY} --steps 2 --out runs/first", f"{TINY} --steps 3 --init-from runs/first"
    )
    assert train.train([both], 1, 600) == []
    assert is_finished(tmp_path / "both/runs/first") and is_finished(tmp_path / "both/runs/gan")
    assert "run 2 of 2" in both.state()


def test_at_the_limit_a_run_saves_and_the_same_command_continues(tmp_path):
    log = tmp_path / "long/log.txt"

    class FirstStep:
        """The end of the time: when the log has a step."""

        def __gt__(self, now):
            return not log.exists() or b"step 1 of" not in log.read_bytes()

    long = run(tmp_path, "long", f"{TINY} --steps 1000000")
    train.attend([long], 1, FirstStep())
    assert train.train([], 1, 0) == [] and long.process.poll() is None
    long.stop()
    long.process.wait()
    assert not long.failed and "stopped after step" in long.state()
    log.unlink()
    again = run(tmp_path, "long", f"{TINY} --steps 1000000")
    again.start()
    while not (told := re.search(r"^step (\d+) of", again.log.read_text(), re.MULTILINE)):
        assert again.process.poll() is None
        time.sleep(0.05)
    assert train.train([again], 1, 0) == [] and int(told[1]) > 1


def test_a_run_that_fails_is_told_and_the_others_go_on(tmp_path, capsys):
    wrong = run(tmp_path, "wrong", f"{TINY} --set lr=-1")
    right = run(tmp_path, "right", f"{TINY} --steps 2")
    assert train.train([wrong, right], 2, 600) == [wrong]
    assert is_finished(tmp_path / "right/runs/gan")
    assert "wrong, run 1 of 1: " in (told := capsys.readouterr().out) and "lr" in told


@pytest.mark.parametrize("arguments", [[], ["dcgan-bedroms"]])
def test_a_name_that_is_not_there_or_none(arguments, capsys):
    with pytest.raises(SystemExit):
        train.main(arguments)
    assert ("see --list" if arguments else "name a model") in capsys.readouterr().err
