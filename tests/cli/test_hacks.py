"""`genzoo hacks`."""

import json

from genzoo.hacks import HACKS


def test_the_list(run):
    done = run("hacks")
    lines = done.stdout.splitlines()
    assert done.exit_code == 0 and len(lines) == 1 + len(HACKS)
    assert lines[0].split() == ["NO", "NAME", "SWITCH", "DEFAULT", "WHAT", "IT", "DOES"]
    assert any(line.split()[:4] == ["6", "soft-labels", "soft_labels=0.3", "0"] for line in lines)
    assert any(line.split()[:3] == ["11", "fixed-turns", "(always)"] for line in lines)
    assert "github.com/soumith/ganhacks" in done.stderr


def test_of_a_model(run):
    done = run("hacks", "toy-gan")
    told = {line.split()[1]: line.split()[2] for line in done.stdout.splitlines()[1:]}
    assert told["non-saturating"] == "on" and told["replay"] == "off"
    assert told["separate-batches"] == "always" and told["noise-in-g"] == "absent"


def test_json(run):
    alone, of_model = (json.loads(run("hacks", *name, "--json").stdout) for name in ((), ("toy-gan",)))
    assert (
        [row["name"] for row in alone] == [row["name"] for row in of_model] == [each.name for each in HACKS]
    )
    assert {row["on"] for row in alone} == {None}
    assert {row["name"]: row["on"] for row in of_model} == {
        each.name: {"on": True, "off": False, "always": True}.get(row["state"])
        for each, row in zip(HACKS, of_model, strict=True)
    }
    (soft,) = [row for row in of_model if row["name"] == "soft-labels"]
    assert (soft["number"], soft["where"], soft["key"], soft["default"], soft["on"]) == (
        6,
        "recipe",
        "soft_labels",
        "0",
        False,
    )
    assert soft["example"] == "--set soft_labels=0.3" and soft["source"].startswith("Salimans")


def test_models_of_other_families_play_no_game(run):
    done = run("hacks", "coin")
    assert done.exit_code == 1 and done.stdout == ""
    assert "'coin' is not trained adversarially" in done.stderr
    assert "genzoo list --family implicit" in done.stderr
    assert "did you mean 'toy-gan'" in run("hacks", "toy-gna").stderr
