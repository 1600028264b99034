"""Every command takes the place of weights where it expects a model's name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from genzoo.ledger import read_rows


@pytest.fixture
def mine(run, published, monkeypatch):
    """Give a run in runs/mine of the current folder, which no GENZOO_ZOO names."""
    monkeypatch.delenv("GENZOO_ZOO")
    shutil.copytree(published, "runs/mine")
    return read_rows(published / "zoo.toml")["toy-gan"]


COMMANDS = {
    "info": (),
    "sample": ("-n", "2", "--seed", "0"),
    "interpolate": ("--seed", "0"),
    "traverse": ("--seed", "0"),
    "arithmetic": ("--plus", "0,1", "--minus", "2,3", "--seed", "0"),
    "neighbours": ("-n", "2", "--data", "digits", "--seed", "0"),
    "pull": (),
    "verify": (),
}


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "arithmetic"])
def test_commands_alike(run, mine, command):
    done = run(command, "runs/mine", *COMMANDS[command])
    assert done.exit_code == 0, done.stderr
    assert {"pull": mine.sha256, "verify": mine.sha256[:12]}.get(
        command, "toy-gan"
    ) in done.stdout + done.stderr


@pytest.mark.parametrize("typed", [("--run", "runs/mine"), ("--run=runs/mine",), ("./runs/mine",)])
def test_the_folder_of_a_run(run, mine, typed):
    done = run("sample", *typed, "-n", "2", "--seed", "0", "-o", "mine.png")
    assert (done.exit_code, done.stderr) == (0, "mine.png: 2 images of toy-gan, seed 0\n")


def test_a_folder_without_a_slash_behind_the_option(run, mine):
    shutil.move("runs/mine", "mine")
    assert run("info", "--run", "mine").exit_code == 0
    refused = run("info", "mine")
    assert refused.exit_code == 1 and "for the folder of that name: ./mine" in refused.stderr


def test_options_that_are_incomplete(run, mine):
    assert run("info", "--run").exit_code == 2
    assert run("info", "toy-gan", "--run", "runs/mine").exit_code == 2


def test_the_digest_of_the_user(run, mine):
    assert run("pull", "runs/mine", "--sha256", mine.sha256).exit_code == 0
    for command in ("info", "sample", "pull", "verify", "eval"):
        refused = run(command, "runs/mine", "--sha256", "0" * 64)
        assert refused.exit_code == 1, command
        assert "but you asked for 0000" in refused.stderr and refused.stderr.count("\n") == 1
    assert "64 lower-case" in run("info", "runs/mine", "--sha256", "12").stderr


def test_info_shows_what_the_run_has(run, mine):
    facts = json.loads(run("info", "--json", "runs/mine").stdout)
    assert (facts["sha256"], facts["lineage"], facts["config"]["width"]) == (mine.sha256, [], 4)


def test_info_shows_the_recipe_of_the_run_and_not_that_of_the_card(run, mine):
    asked = ("--steps", "2", "--set", "batch_size=8", "--set", "objective=hinge", "--set", "augment=none")
    more = ("--set", "lr.generator=0.001", "--set", "licence=CC0", "--data", "digits")
    done = run("train", "toy-gan", *asked, *more, "--quiet", "--out", "runs/own")
    assert done.exit_code == 0, done.stderr
    changes = ("steps=2", "batch_size=8", "lr.generator=0.001", "objective=hinge")
    assert read_rows(Path("runs/own/zoo.toml"))["toy-gan"].recipe == changes
    shown = run("info", "runs/own").stdout
    assert "\nRecipe\n" in shown and "Recipe of the card" not in shown
    for words in ("2 (card: 6)", "8 (card: 16)", "hinge (card: non-saturating)", "generator=0.001"):
        assert words in shown
    assert "\n  data " not in shown and "\n  licence " not in shown  # those of the weights are stated below
    facts = json.loads(run("info", "runs/own", "--json").stdout)
    assert (facts["recipe"]["steps"], facts["recipe"]["objective"]) == (2, "hinge")
    assert facts["recipe"]["lr"]["generator"] == 0.001
    assert facts["recipe_changes"]["steps"] == 2 and len(facts["recipe_changes"]) == len(changes)
    assert run("push", "runs/own", "hub").exit_code == 0
    (card,) = Path("hub").glob("*.md")
    assert "- **Recipe:** the card's, with steps=2; batch\\_size=8;" in card.read_text()
    assert json.loads(run("info", "./hub", "--json").stdout)["recipe_changes"] == facts["recipe_changes"]


def test_weights_that_do_not_state_their_recipe(run, mine):
    assert "\nRecipe of the card\n" in run("info", "runs/mine").stdout
    assert json.loads(run("info", "runs/mine", "--json").stdout)["recipe_changes"] == {}


def test_own_weights_are_measured_under_their_place(run, mine):
    shutil.copytree("runs/mine", "runs/second")
    done = run(
        "eval", "runs/mine", "runs/second", "--data", "digits", "-n", "40", "--metrics", "kid", "--json"
    )
    assert done.exit_code == 0, done.stderr
    subjects = {record["subject"] for record in json.loads(done.stdout)}
    assert {"toy-gan (runs/mine)", "toy-gan (runs/second)"} <= subjects


def test_a_run_is_pushed_by_its_folder(run, mine, tmp_path):
    done = run("push", "runs/mine", tmp_path / "hub", "--licence", "MIT")
    assert done.exit_code == 0
    assert f"to use it elsewhere: genzoo pull '{tmp_path}/hub#toy-gan'" in done.stderr
    assert run("pull", f"{tmp_path}/hub#toy-gan").exit_code == 0
    (card,) = (tmp_path / "hub").glob("*.md")
    assert f'genzoo.load("path/to/this/folder#toy-gan", sha256="{mine.sha256}")' in card.read_text()


def test_a_run_that_starts_from_another(run, mine):
    asked = ("--steps", "1", "--set", "batch_size=8", "--quiet")
    done = run("train", "toy-gan", *asked, "--init-from", "runs/mine", "--out", "runs/next", "--json")
    assert done.exit_code == 0, done.stderr
    assert f"starting from runs/mine (sha256 {mine.sha256[:12]}…): all 18 tensors fit" in done.stderr
    assert "to use it: genzoo sample runs/next" in done.stderr
    shown = run("info", "runs/next").stdout
    assert f"Started from  toy-gan@{mine.sha256}" in shown
    assert json.loads(run("info", "runs/next", "--json").stdout)["lineage"] == [f"toy-gan@{mine.sha256}"]
    refused = run("train", "toy-gan", *asked, "--init-from", "runs/next", "--out", "runs/next")
    assert refused.exit_code == 1 and "is the folder that this run would be written to" in refused.stderr


def test_a_command_that_trains_has_no_such_options(run, mine):
    assert "No such option" in run("train", "toy-gan", "--sha256", "0").stderr
