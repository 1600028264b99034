"""What stands for a model: a name, a run, a folder, a file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toys

import genzoo
from genzoo import hub, places, zoo
from genzoo.catalogue import catalogue
from genzoo.errors import (
    ArgumentError,
    GenzooError,
    HubError,
    LedgerError,
    StorageError,
    UnknownNameError,
    WeightsError,
)
from genzoo.files import sha256_of
from genzoo.hub import pins
from genzoo.ledger import Row, read_rows
from genzoo.models import golden
from genzoo.models.weights import encode
from genzoo.record import Record
from genzoo.training.publish import Outcome

PLUGIN = "genzoo-placed"


@pytest.fixture(autouse=True, scope="module")
def installed(plug):
    plug(*toys.CARDS.values(), distribution=PLUGIN)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty cache, no ledger of the user's, and an empty current folder."""
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GENZOO_ZOO", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blob_of(model, name="toy-gan", **about):
    return encode(model, name, golden.record(model), about=about)


def publish(folder, name="toy-gan", model=None, plugin=PLUGIN, **facts):
    """Publish a model to a folder as a run does, and return its row."""
    blob = blob_of(model or toys.gan(width=6), name, plugin=plugin)
    row = Row(
        name=name, sha256=sha256_of(blob), bytes=len(blob), sources=("folder:none",), plugin=plugin, **facts
    )
    return hub.push(folder, name=name, weights=blob, row=row, card_text=f"# {name}\n")


def weights_in(folder):
    (path,) = Path(folder).glob("*.safetensors")
    return path


def same(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return set(ours) == set(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


class TestFolder:
    @pytest.mark.parametrize("typed", ["runs/mine", "./runs/mine", "runs/mine/zoo.toml", "runs/mine#toy-gan"])
    def test_a_run_is_a_model_like_any_other(self, typed):
        publish("runs/mine")
        model = genzoo.load(typed)
        assert same(model, toys.gan(width=6)) and not model.training
        assert model.config.width == 6  # that of the run, not of the card
        assert model.sample(2, seed=0).shape == (2, 1, 8, 8)

    def test_by_a_path_and_from_home(self, home, monkeypatch):
        publish(home / "runs" / "mine")
        monkeypatch.setenv("HOME", str(home))
        assert same(genzoo.load(home / "runs" / "mine"), genzoo.load("~/runs/mine"))

    def test_its_card_has_the_config_of_its_weights(self):
        row = publish("runs/mine")
        card = genzoo.info("runs/mine")
        assert (card.name, card.plugin, card.has_weights) == ("toy-gan", PLUGIN, True)
        assert card.config["width"] == 6 and zoo.row("runs/mine").sha256 == row.sha256
        assert catalogue().find("toy-gan").row is None  # nothing has become known under the name

    def test_every_verb(self, home):
        row = publish("runs/mine")
        assert sha256_of(genzoo.pull("runs/mine")) == row.sha256
        assert genzoo.verify("runs/mine").startswith(f"sha256 {row.sha256[:12]}")
        assert genzoo.create("runs/mine", seed=0).config.width == 6
        pushed = genzoo.push("runs/mine", home / "elsewhere", licence="MIT")
        assert (pushed.sha256, pushed.licence) == (row.sha256, "MIT")
        assert same(genzoo.load("elsewhere/zoo.toml"), genzoo.load("runs/mine"))

    def test_records_name_the_place_so_that_they_can_be_ranked(self):
        publish("runs/mine")
        found = genzoo.evaluate("runs/mine", data="digits", n=40)
        assert {one.subject for one in found} == {"toy-gan (runs/mine)", "train"}
        plain = Record(metric="kid", value=1.0, n=9, subject="toy-gan", data="digits")
        card = toys.CARDS["toy-gan"]
        assert places.relabelled([plain], "toy-gan", card) == [plain]
        assert places.relabelled([plain], "runs/a", card) == [replace(plain, subject="toy-gan (runs/a)")]

    def test_one_of_several_is_chosen_by_name(self):
        publish("zoo")
        publish("zoo", "coin", toys.Bernoulli(toys.ToyConfig()))
        with pytest.raises(ArgumentError, match=r"2 models — choose one: zoo/?#toy-gan, zoo/?#coin"):
            genzoo.load("./zoo")
        assert genzoo.info("./zoo#coin").name == "coin"
        with pytest.raises(UnknownNameError, match=r"no weights of 'coim'; did you mean 'coin'"):
            genzoo.load("./zoo#coim")

    def test_a_folder_whose_name_has_the_sign(self):
        publish("runs/a#b")
        assert genzoo.info("runs/a#b").name == "toy-gan"

    def test_weights_that_changed_are_refused(self):
        publish("runs/mine")
        path = weights_in("runs/mine")
        blob = bytearray(path.read_bytes())
        blob[-1] ^= 1
        path.write_bytes(blob)
        with pytest.raises(HubError, match=r"sha256"):
            genzoo.load("runs/mine")

    def test_a_digest_of_the_user(self):
        row = publish("runs/mine")
        assert genzoo.load("runs/mine", sha256=row.sha256).config.width == 6
        with pytest.raises(WeightsError, match=rf"pins .* {row.sha256}, but you asked for 0000"):
            genzoo.load("runs/mine", sha256="0" * 64)
        with pytest.raises(ArgumentError, match=r"64 lower-case hexadecimal"):
            genzoo.load("runs/mine", sha256="abc")

    def test_a_digest_of_the_user_for_a_name(self, monkeypatch):
        row = publish("hub")
        monkeypatch.setenv("GENZOO_ZOO", "hub")
        assert genzoo.load("toy-gan", sha256=row.sha256).config.width == 6
        for refused in (genzoo.load, genzoo.pull):
            with pytest.raises(WeightsError, match=r"but you asked for"):
                refused("toy-gan", sha256="0" * 64)

    @pytest.mark.parametrize(
        ("files", "error", "words"),
        [
            ({}, HubError, "has no zoo.toml, so nothing pins the sha256"),
            ({"checkpoint.safetensors": b""}, HubError, "is not finished.*--resume"),
            ({"zoo.toml": b""}, UnknownNameError, "has no weights"),
            ({"zoo.toml": b"[toy-gan]\nsha256 = 1\n"}, HubError, "no row that can be used"),
            ({"zoo.toml": b"\x00"}, LedgerError, "zoo.toml"),
        ],
    )
    def test_a_folder_without_a_row(self, files, error, words):
        os.makedirs("runs/mine")
        for name, data in files.items():
            Path("runs/mine", name).write_bytes(data)
        with pytest.raises(error, match=words) as caught:
            genzoo.load("runs/mine")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("words", "hint"),
        [
            (
                ["genzoo", "train", "toy-gan", "--set", "licence=CC BY"],
                "continue it: genzoo train toy-gan --set 'licence=CC BY' --out 'ru ns/mine' --resume",
            ),
            (["rm", "-rf", "/"], "continue it with the command that started it and --resume"),
            (["genzoo", "train", "x" * 600], "continue it with the command that started it and --resume"),
            ({"genzoo": 1}, "continue it with the command that started it and --resume"),
        ],
    )
    def test_an_unfinished_run_says_how_it_is_continued(self, words, hint):
        os.makedirs("ru ns/mine")
        Path("ru ns/mine/checkpoint.safetensors").write_bytes(b"")
        Path("ru ns/mine/command.json").write_text(json.dumps(words))
        with pytest.raises(HubError, match=r"no weights yet") as caught:
            genzoo.load("ru ns/mine")
        assert caught.value.hint == hint

    def test_a_folder_that_is_called_like_a_model(self):
        publish("mine")
        with pytest.raises(UnknownNameError, match=r"for the folder of that name: \./mine"):
            genzoo.load("mine")
        assert genzoo.info("./mine").name == "toy-gan"

    @pytest.mark.parametrize("typed", ["runs/none", "ada/zoo", "none.safetensors"])
    def test_nothing_there(self, typed):
        with pytest.raises(UnknownNameError, match=r"no folder or file.*hf:OWNER/REPO"):
            genzoo.load(typed)

    def test_a_plugin_that_is_missing_is_named(self):
        publish("runs/cats", "cats", plugin="genzoo-cats")
        with pytest.raises(
            UnknownNameError, match=r"'cats', a model of the plugin genzoo-cats.*pip install genzoo-cats;"
        ):
            genzoo.load("runs/cats")
        publish("runs/official", "vae-faces", plugin="genzoo-vae")
        with pytest.raises(UnknownNameError, match=r"comes with genzoo-vae.*pip install -r requirements.txt"):
            genzoo.load("runs/official")
        publish("runs/odd", "cats", plugin="x; rm -rf /")
        with pytest.raises(UnknownNameError) as caught:
            genzoo.load("runs/odd")
        assert "rm -rf" not in str(caught.value)

    def test_a_model_of_another_plugin_with_the_same_name(self):
        publish("runs/mine", plugin="genzoo-other")
        with pytest.raises(WeightsError, match=r"of the plugin genzoo-other, but here the name belongs to"):
            genzoo.load("runs/mine")

    def test_without_its_plugin_the_weights_can_still_be_pulled(self):
        row = publish("runs/cats", "cats", plugin="genzoo-cats")
        assert sha256_of(genzoo.pull("runs/cats")) == row.sha256


class TestOutcome:
    def outcome(self, folder, **facts):
        row = publish(folder)
        known = {"weights": weights_in(folder), "sha256": row.sha256, "finished": True, **facts}
        return Outcome(folder=Path(folder), step=1, **known)

    def test_it_stands_for_its_model(self):
        outcome = self.outcome("runs/mine")
        assert same(genzoo.load(outcome), outcome.model)
        assert genzoo.info(outcome).config["width"] == 6 and os.fspath(outcome) == "runs/mine"

    def test_a_later_run_in_its_folder_is_not_taken_for_it(self):
        outcome = self.outcome("runs/mine")
        publish("runs/mine", model=toys.gan(width=5))
        with pytest.raises(WeightsError, match=rf"you asked for {outcome.sha256}"):
            genzoo.load(outcome)

    def test_one_that_is_not_finished_is_not_an_earlier_one(self):
        outcome = self.outcome("runs/mine", finished=False, sha256="", weights=None)
        with pytest.raises(HubError, match=r"is not finished"):
            genzoo.load(outcome)
        with pytest.raises(HubError, match=r"is not finished"):
            _ = outcome.model


class TestFile:
    @pytest.fixture
    def path(self, home):
        path = home / "model.safetensors"
        path.write_bytes(blob_of(toys.gan(width=6), plugin=PLUGIN, lineage=["toy-gan@" + "a" * 64]))
        return path

    def test_it_says_which_model_it_is(self, path):
        assert same(genzoo.load("model.safetensors"), toys.gan(width=6))
        row = zoo.row("model.safetensors")
        assert (row.plugin, row.lineage) == (PLUGIN, ("toy-gan@" + "a" * 64,))

    def test_it_is_pinned_at_its_first_use(self, path, capsys):
        genzoo.load(path)
        first = sha256_of(path)
        assert f"its sha256 {first} is pinned from now on" in capsys.readouterr().err
        genzoo.load(str(path))
        assert capsys.readouterr().err == ""
        path.write_bytes(blob_of(toys.gan(width=5)))
        second = sha256_of(path)
        with pytest.raises(WeightsError, match=rf"was {first}, and is {second} — .*--sha256 {second}"):
            genzoo.load("model.safetensors")
        assert genzoo.load("model.safetensors", sha256=second).config.width == 5
        assert genzoo.load("model.safetensors").config.width == 5

    def test_a_digest_of_the_user_is_checked_first(self, path):
        with pytest.raises(WeightsError, match=r"but you asked for 0000"):
            genzoo.load(path, sha256="0" * 64)
        assert pins.read(f"file:{path}") is None

    def test_a_pin_that_cannot_be_kept_is_not_left_out(self, path, home, monkeypatch):
        (home / "blocked").write_bytes(b"")
        monkeypatch.setenv("GENZOO_CACHE", str(home / "blocked"))
        with pytest.raises(StorageError):
            genzoo.load(path)

    def test_a_damaged_pin_is_not_taken_for_none(self, path):
        genzoo.load(path)
        kept = pins.path_of(f"file:{path}")
        kept.write_bytes(b"")
        with pytest.raises(GenzooError, match=r"the pin of file:.* is damaged"):
            genzoo.load(path)

    def test_a_ledger_that_names_it_pins_it(self, home, capsys):
        publish("runs/mine")
        path = weights_in("runs/mine")
        assert genzoo.load(path).config.width == 6
        assert "pinned" not in capsys.readouterr().err and not list(pins.rows())
        path.write_bytes(blob_of(toys.gan(width=5)))
        with pytest.raises(HubError, match=r"as .*zoo.toml pins"):
            genzoo.load(path)

    @pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".pkl", ".bin"])
    def test_formats_that_may_hold_code_are_not_read(self, home, suffix):
        (home / f"net{suffix}").write_bytes(b"cos\nsystem\n(S'touch run'\ntR.")
        with pytest.raises(WeightsError, match=r"may hold code"):
            genzoo.load(f"net{suffix}")
        assert not (home / "run").exists()

    @pytest.mark.parametrize(
        ("blob", "words"),
        [
            (b"", "not a genzoo weights file"),
            (b"\xff" * 64, "not a genzoo weights file"),
            (b"cos\nsystem\n(S'touch run'\ntR.", "not a genzoo weights file"),
        ],
    )
    def test_other_files(self, home, blob, words):
        (home / "net.safetensors").write_bytes(blob)
        with pytest.raises(WeightsError, match=words):
            genzoo.load("net.safetensors")
        assert not (home / "run").exists() and not list(pins.rows())

    @pytest.mark.parametrize("name", ["../../evil", "", 7, None])
    def test_a_name_that_is_none(self, home, name):
        header = {"format": 1, "name": name, "config": {}, "storage": "float32", "golden": {}}
        text = json.dumps({"__metadata__": {"genzoo": json.dumps(header)}}).encode()
        (home / "net.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(WeightsError, match=r"does not say which model"):
            genzoo.load("net.safetensors")


def test_pins_are_kept_when_the_cache_is_pruned(home):
    from genzoo.hub import store

    path = home / "model.safetensors"
    path.write_bytes(blob_of(toys.gan()))
    genzoo.load(path)
    found = store.entries()
    assert {entry.kind for entry in found} >= {"pin", "weights"}
    assert not [entry for entry in store.prunable(found, (), 0, everything=True) if entry.kind == "pin"]


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("toy-gan", False),
        ("toy", False),
        ("runs/mine", True),
        ("./mine", True),
        ("~", True),
        ("model.safetensors", True),
        ("net.pth", True),
        ("hf:ada/zoo", True),
        (Path("mine"), True),
        (7, False),
        (None, False),
    ],
)
def test_what_is_a_place(target, place):
    assert places.is_place(target) is place


@pytest.mark.parametrize("target", [7, None, b"runs/mine"])
def test_what_is_neither(target):
    with pytest.raises(ArgumentError):
        genzoo.load(target)


def test_lineage_is_kept_in_ledger_and_card(home):
    older = "toy-gan@" + "b" * 64
    publish("runs/mine", lineage=("toy-gan@" + "a" * 64, older))
    row = read_rows(home / "runs/mine/zoo.toml")["toy-gan"]
    assert row.lineage == ("toy-gan@" + "a" * 64, older)
    assert f"- **Started from:** toy-gan@{'a' * 64}; {older}" in hub.model_card(row, toys.CARDS["toy-gan"])
    assert "lineage" not in (publish("runs/other") and (home / "runs/other/zoo.toml").read_text())
