"""The catalogue: what is known of a name, read once, and again when a ledger changes."""

import json
import os
import re
import sys

import pytest
import toys
from shell import Site, lay

from genzoo import catalogue as module
from genzoo import zoo
from genzoo.catalogue import Catalogue, Entry, catalogue, matching
from genzoo.errors import ArgumentError, HubError, UnknownNameError
from genzoo.ledger import Row, format_row, load
from genzoo.registry import installed


@pytest.fixture(autouse=True, scope="module")
def cards(plug):
    plug(*toys.CARDS.values(), toys.CARDS["toy-gan"].replace(name="toy-twin"))


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Give the path of the user's ledger, and a function that writes it with rows of these names."""
    path = tmp_path / "zoo.toml"

    def write(*names, data=""):
        rows = [Row(name=name, sha256="ab" * 32, bytes=1, sources=("folder:x",), data=data) for name in names]
        path.write_text("\n".join(map(format_row, rows)))

    write.path = path
    monkeypatch.setenv("GENZOO_ZOO", str(path))
    return write


@pytest.fixture
def reads(monkeypatch):
    """Give a list that grows with each ledger that is read."""
    seen = []
    usual = load.read_rows
    monkeypatch.setattr(load, "read_rows", lambda path: seen.append(path) or usual(path))
    return seen


def test_an_entry_holds_card_and_row(mine):
    mine("toy-gan", "elsewhere")
    found = catalogue()
    entry = found.find("toy-gan")
    assert entry == found["toy-gan"] == Entry(entry.card, entry.row)
    assert entry.card.has_weights and entry.row.name == "toy-gan"
    assert found["coin"].row is None and not found["coin"].card.has_weights
    assert list(found) == list(installed().cards) and len(found) == len(installed().cards)
    # rows of models that are not installed are no entries, and can be pulled all the same
    assert "elsewhere" not in found and found.published("elsewhere").name == "elsewhere"


def test_what_is_wrong_is_told_as_by_the_registry():
    found = catalogue()
    with pytest.raises(UnknownNameError, match="did you mean 'toy-gan'"):
        found.find("toy-gam")
    with pytest.raises(ArgumentError, match="must be a text"):
        found.find(None)
    with pytest.raises(ArgumentError, match="must be a text"):
        found.published(["toy-gan"])


def test_the_way_out_of_a_model_without_weights(mine):
    mine("toy-twin")
    with pytest.raises(HubError, match="'toy-gan' has no published weights — 'toy-twin' has") as caught:
        zoo.row("toy-gan")
    with pytest.raises(HubError, match=re.escape(str(caught.value).partition(" — ")[2])):
        zoo.load(catalogue().find("toy-gan"))
    mine.path.write_text("[toy-gan]\nsha256 = 1\n")
    with pytest.raises(HubError, match="the row of 'toy-gan' cannot be used: "):
        zoo.row("toy-gan")


def test_ledgers_are_read_once(mine, reads):
    mine("toy-gan")
    first = catalogue()
    count = len(reads)
    for ask in (zoo.cards, zoo.list_models, lambda: zoo.info("coin"), lambda: zoo.row("toy-gan"), catalogue):
        ask()
    assert catalogue() is first and len(reads) == count


def test_a_ledger_that_changes_is_read_again(mine, reads):
    mine("toy-gan", data="a")
    assert catalogue()["toy-gan"].row.data == "a"
    state = os.stat(mine.path)
    mine("toy-gan", data="b")  # as long as before
    os.utime(mine.path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert catalogue()["toy-gan"].row.data == "b"
    mine("toy-gan", data="c")  # another file in its place, as old and as long
    other = mine.path.with_name("other.toml")
    other.write_bytes(mine.path.read_bytes().replace(b'"c"', b'"d"'))
    state = os.stat(mine.path)
    assert catalogue()["toy-gan"].row.data == "c"
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    os.replace(other, mine.path)
    assert catalogue()["toy-gan"].row.data == "d"
    mine.path.unlink()
    assert catalogue()["toy-gan"].row is None and "GENZOO_ZOO" in catalogue().problems[0]
    mine("coin")
    assert catalogue()["coin"].row is not None and catalogue().problems == ()


def test_another_genzoo_zoo_is_read_at_once(mine, monkeypatch, tmp_path):
    mine("toy-gan")
    assert catalogue()["toy-gan"].row is not None
    monkeypatch.setenv("GENZOO_ZOO", "")
    assert catalogue()["toy-gan"].row is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENZOO_ZOO", "zoo.toml")
    assert catalogue()["toy-gan"].row is not None
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # where a relative path names nothing
    assert catalogue()["toy-gan"].row is None


def test_a_ledger_of_a_plugin_that_changes_is_read_again(mine, tmp_path, monkeypatch):
    folder = tmp_path / "brought"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("brought", None)
    registry = installed()
    given = type(registry)(**{**vars(registry), "ledgers": {"brought/zoo.toml": None}})
    monkeypatch.setattr(module, "installed", lambda: given)
    row = Row(name="coin", sha256="ab" * 32, bytes=1, sources=("folder:x",))
    assert catalogue()["coin"].row is None
    (folder / "zoo.toml").write_text(format_row(row))
    assert catalogue()["coin"].row is not None


def test_names_by_a_pattern():
    names = dict.fromkeys(["gan", "gan-mnist", "vae-mnist"], Entry(None, None))
    assert matching("*mnist*", names) == ["gan-mnist", "vae-mnist"]
    assert matching("GAN*", names) == ["gan", "gan-mnist"] and matching("mnist", names) == []
    assert matching("???", names) == ["gan"]
    with pytest.raises(ArgumentError, match="must be a text"):
        matching(None, names)


def test_an_empty_catalogue_is_a_mapping():
    registry = installed()
    empty = Catalogue(type(registry)(**{**vars(registry), "cards": {}}), load.load_ledgers(extra=()))
    assert len(empty) == 0 and not empty and list(empty) == []


COUNTING = """
import json, os, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from genzoo.cli.program import cli
code = cli.run(sys.argv[1:])
print(json.dumps([code, [path for path in opened if path.endswith("zoo.toml")]]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("info", "toy-gan"),
        ("sample", "toy-gan", "-n", "1", "-o", "x.png", "--device", "cpu"),
        ("eval", "toy-gan", "-n", "24"),
        ("pull", "toy-gan"),
    ],
    ids=lambda words: words[0],
)
def test_each_zoo_toml_is_opened_once(words, tmp_path_factory, tmp_path, published):
    packages = tmp_path_factory.mktemp("site")
    lay(packages, "toy-box", published.source)
    site = Site(packages, tmp_path, published.folder)
    done = site(*words, python=("-c", COUNTING))
    code, opened = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    assert len(opened) == len(set(opened)) == 2, opened  # the core's and the user's


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    from types import SimpleNamespace

    from shell import TOYS, publish

    folder = tmp_path_factory.mktemp("published")
    publish(folder, "toy-gan", toys.gan(), "toy-box")
    return SimpleNamespace(folder=folder, source=TOYS)
