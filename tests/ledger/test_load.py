"""Ledgers together: who may replace whom, and that a broken one hurts nobody."""

import os
import sys

import pytest

from genzoo.errors import GenzooError
from genzoo.ledger import find_ledger, format_row, load_ledgers
from genzoo.ledger import load as module
from genzoo.ledger.rows import Row


def write(folder, *names, data="", file="zoo.toml"):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [Row(name=name, sha256="ab" * 32, bytes=1, sources=("folder:x",), data=data) for name in names]
    (folder / file).write_text("\n".join(map(format_row, rows)))
    return folder / file


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("GENZOO_ZOO", raising=False)


@pytest.fixture
def core(tmp_path):
    return write(tmp_path / "core", "dcgan", "pixelcnn", data="core")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def test_the_core_alone(core):
    ledger = load_ledgers(core)
    assert list(ledger) == ["dcgan", "pixelcnn"] and len(ledger) == 2 and ledger.problems == ()
    assert "vae" not in ledger and ledger["dcgan"].origin == core


def test_the_users_rows_win_and_the_first_of_them(core, tmp_path, monkeypatch):
    write(tmp_path / "one", "dcgan", "mine", data="one")
    two = write(tmp_path / "two", "mine", "pixelcnn", data="two", file="other.toml")
    monkeypatch.setenv("GENZOO_ZOO", os.pathsep.join([str(tmp_path / "one"), "", str(two)]))
    ledger = load_ledgers(core)
    assert {name: row.data for name, row in ledger.items()} == {
        "dcgan": "one",
        "pixelcnn": "two",
        "mine": "one",
    }
    assert ledger.problems == ()


def test_broken_ones_are_named_and_left_out(core, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("[x]\nplugni = 1")
    good = write(tmp_path / "good", "mine")
    ledger = load_ledgers(core, extra=[bad, tmp_path / "missing.toml", tmp_path, good])
    assert set(ledger) == {"dcgan", "pixelcnn", "mine"}
    assert len(ledger.problems) == 4 and all("\n" not in problem for problem in ledger.problems)
    assert (
        "bad.toml:2: [x] unknown key 'plugni'" in ledger.problems[0]
        and "'sha256' is missing" in ledger.problems[1]
    )
    assert "missing.toml" in ledger.problems[2]


def test_a_place_that_cannot_be_is_one_line(core, monkeypatch):
    monkeypatch.setenv("GENZOO_ZOO", "x" * 300)
    ledger = load_ledgers(core)
    assert (
        set(ledger) == {"dcgan", "pixelcnn"}
        and len(ledger.problems) == 1
        and "name is too long" in ledger.problems[0]
    )


def test_a_plugin_may_add_but_not_replace(core, site):
    write(site / "zoo_plugin_b", "new", "dcgan", "Pixel-CNN".lower().replace("-", ""), data="stranger")
    write(site / "zoo_plugin_c", "new", "other", data="another")
    ledger = load_ledgers(
        core, plugins=["zoo_plugin_b/zoo.toml", "zoo_plugin_c/zoo.toml", "zoo_plugin_none/zoo.toml", "../x"]
    )
    assert {name: row.data for name, row in ledger.items()} == {
        "dcgan": "core",
        "pixelcnn": "core",
        "new": "stranger",
        "other": "another",
    }
    assert len(ledger.problems) == 5
    assert (
        "zoo_plugin_b/zoo.toml: the row [dcgan] is left out: the name belongs to [dcgan] of"
        in ledger.problems[0]
    )
    assert "zoo_plugin_b" not in sys.modules


def test_the_user_may_replace_a_plugins_row(core, site, tmp_path):
    write(site / "zoo_plugin_d", "new", data="stranger")
    ledger = load_ledgers(
        core, plugins=["zoo_plugin_d/zoo.toml"], extra=[write(tmp_path / "mine", "new", data="mine")]
    )
    assert ledger["new"].data == "mine" and ledger.problems == ()


def test_names_that_only_look_the_same_clash(core, tmp_path):
    core = write(tmp_path / "core", "dcgan-bedrooms")
    ledger = load_ledgers(core, extra=[write(tmp_path / "mine", "dcgan_bedrooms")])
    assert list(ledger) == ["dcgan-bedrooms"] and "belongs to [dcgan-bedrooms]" in ledger.problems[0]


def test_a_broken_core_is_an_error(tmp_path):
    (tmp_path / "zoo.toml").write_text("nonsense")
    with pytest.raises(GenzooError, match="not valid TOML"):
        load_ledgers(tmp_path / "zoo.toml")
    with pytest.raises(GenzooError, match="no such file"):
        load_ledgers(tmp_path / "none.toml")


def test_the_cores_ledger_is_found_in_a_wheel_and_in_a_repository(tmp_path, monkeypatch):
    package = tmp_path / "genzoo"
    monkeypatch.setattr(module, "__file__", str(package / "ledger" / "books.py"))
    with pytest.raises(GenzooError, match=r"zoo.toml is missing"):
        find_ledger()
    stray = write(tmp_path)
    with pytest.raises(GenzooError, match=r"zoo.toml is missing"):
        find_ledger()  # in site-packages, a zoo.toml beside the package is not ours
    (tmp_path / "pyproject.toml").touch()
    assert find_ledger() == stray
    inside = write(package)
    assert find_ledger() == inside
