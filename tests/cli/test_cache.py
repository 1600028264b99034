"""`genzoo cache`: list, size, prune, verify, repair."""

import json
import os
import time

import pytest
from shell import HOSTILE, one_line


@pytest.fixture
def weights(run, tmp_path):
    """Give the file of the toy's weights in the cache."""
    run("pull", "toy-gan")
    (path,) = (tmp_path / "cache" / "weights").glob("*.safetensors")
    return path


def leave(weights):
    """Leave behind what a killed program leaves, and return it."""
    temporary = weights.parent / ".genzoo-0123456789abcdef.tmp"
    temporary.write_bytes(bytes(2000))
    return temporary


def test_empty(run, tmp_path):
    done = run("cache")
    assert (done.exit_code, done.stdout) == (
        0,
        "",
    ) and f"the cache {tmp_path / 'cache'} is empty" in done.stderr
    assert json.loads(run("cache", "list", "--json").stdout) == []
    assert run("cache", "verify").stderr == "there are no weights in the cache\n"


def test_list_and_size(run, weights):
    leave(weights)
    lines = run("cache").stdout.splitlines()
    assert lines[0].split() == ["KIND", "SIZE", "USED", "WHAT"] and len(lines) == 3
    assert any(line.startswith("weights") and line.endswith("toy-gan") for line in lines)
    assert any(line.startswith("left-over") and "2 kB" in line for line in lines)
    facts = json.loads(run("cache", "list", "--json").stdout)
    assert {fact["kind"]: fact["bytes"] for fact in facts} == {
        "weights": weights.stat().st_size,
        "left-over": 2000,
    }
    assert {fact["name"] for fact in facts if fact["in_ledger"]} == {"toy-gan"}
    size = json.loads(run("cache", "size", "--json").stdout)
    assert size["bytes"] == weights.stat().st_size + 2000 and size["kinds"]["weights"]["files"] == 1
    assert "total" in run("cache", "size").stdout


def test_prune_asks_nothing_and_says_what_it_freed(run, weights):
    temporary = leave(weights)
    done = run("cache", "prune", "--dry-run")
    assert done.stdout == "would remove left-over weights/.genzoo-0123456789abcdef.tmp, 2 kB\n"
    assert done.stderr == "would free 2 kB\n" and temporary.exists()
    done = run("cache", "prune")
    assert (
        done.stdout.startswith("removed left-over ") and done.stderr == "freed 2 kB\n" and done.exit_code == 0
    )
    assert not temporary.exists() and weights.exists()


def test_old_weights_go_when_no_ledger_names_them(run, weights, monkeypatch):
    old = time.time() - 40 * 86_400
    os.utime(weights, (old, old))
    assert json.loads(run("cache", "prune", "--json").stdout)["removed"] == [] and weights.exists()
    monkeypatch.delenv("GENZOO_ZOO")
    assert json.loads(run("cache", "prune", "--days", "50", "--json").stdout)["removed"] == []
    told = json.loads(run("cache", "prune", "--json").stdout)
    assert told["removed"][0]["path"] == str(weights) and told["freed"] >= 1000 and not weights.exists()


def test_prune_all(run, weights):
    assert run("cache", "prune", "--all").exit_code == 0
    assert not weights.exists() and json.loads(run("cache", "list", "--json").stdout) == []


@pytest.mark.skipif(os.name != "posix", reason="locks of open files")
def test_what_is_in_use_is_told(run, weights, monkeypatch):
    from genzoo.files import locked
    from genzoo.hub import store

    monkeypatch.setattr(store, "_is_idle", lambda entry: True)  # as if somebody took it a moment later
    with locked(weights.with_suffix(".lock")):
        done = run("cache", "prune", "--all")
    assert done.exit_code == 1 and weights.exists()
    assert f"{weights} was not removed: " in done.stderr and "locked by" in done.stderr


def test_verify_and_repair(run, weights):
    good = weights.read_bytes()
    assert run("cache", "verify").stdout == "toy-gan: sha256 is correct\n"
    weights.write_bytes(good[:-1])
    done = run("cache", "verify")
    assert done.exit_code == 1 and done.stdout == ""
    assert one_line(done.stderr, "toy-gan: ", str(weights), "damaged")
    done = run("cache", "repair", "--dry-run")
    assert done.exit_code == 1 and "would be downloaded again" in done.stderr and weights.read_bytes() != good
    done = run("cache", "repair")
    assert (done.exit_code, done.stdout) == (0, "toy-gan: downloaded again\n")
    assert weights.read_bytes() == good


def test_repair_removes_what_no_ledger_names(run, weights, monkeypatch):
    weights.write_bytes(b"x")
    monkeypatch.delenv("GENZOO_ZOO")
    (told,) = json.loads(run("cache", "repair", "--json").stdout)
    assert told["ok"] and told["done"] == "removed: no ledger lists it" and not weights.exists()


def test_repair_that_fails_leaves_the_file_and_says_why(run, weights, published, monkeypatch, tmp_path):
    weights.write_bytes(b"x")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "zoo.toml").write_bytes((published / "zoo.toml").read_bytes())
    monkeypatch.setenv("GENZOO_ZOO", str(alone))
    done = run("cache", "repair")
    assert done.exit_code == 1 and "does not exist" in done.stderr and weights.read_bytes() == b"x"


@pytest.mark.parametrize(
    "words", [("list", "--dry-run"), ("verify", "--all"), ("repair", "--days", "3"), ("size", "--days", "3")]
)
def test_options_that_do_not_fit(run, words):
    done = run("cache", *words)
    assert done.exit_code == 2 and one_line(done.stderr, "cannot be used with")


def test_an_action_that_is_not_there(run):
    assert run("cache", "empty").exit_code == 2


def test_hostile_names_stay_text(run, tmp_path):
    folder = tmp_path / "cache" / "plugins"
    folder.mkdir(parents=True)
    (folder / HOSTILE.replace("/", "").replace("\0", "")).write_bytes(b"x")
    for words in ((), ("prune", "--all", "--dry-run"), ("prune", "--all")):
        done = run("cache", *words)
        assert "\x1b" not in done.stdout + done.stderr and "\u202e" not in done.stdout + done.stderr


def test_a_cache_that_is_a_file(run, tmp_path):
    (tmp_path / "cache").write_text("")
    assert run("cache").exit_code == 1 and one_line(run("cache").stderr, "cannot read", "cache")


def test_no_torch_is_imported(site):
    code = (
        "import sys; from genzoo.cli.program import cli; cli.run(['cache', 'list']); print({'torch', "
        "'numpy'} & set(sys.modules))"
    )
    assert site(python=("-c", code)).stdout == "set()\n"
