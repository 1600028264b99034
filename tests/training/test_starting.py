"""Runs that start from weights: what fits is taken, the rest is named, and the lineage is kept."""

from __future__ import annotations

from pathlib import Path

import conditional_toys
import pytest
import torch
import toys
from torch import nn

import genzoo
from genzoo import Card, Family, Labels, hub
from genzoo.errors import ArgumentError, HubError, TrainingError, UnknownNameError
from genzoo.files import sha256_of
from genzoo.hub import facts_of
from genzoo.ledger import Row, read_rows
from genzoo.models import golden
from genzoo.models.weights import build_fresh, encode
from genzoo.training import checkpoint
from genzoo.training.starting import Start, counterparts, inherited, take

PLUGIN = "genzoo-started"
LABELS = Card(
    name="label-gan",
    family=Family.IMPLICIT,
    model="conditional_toys:LabelGAN",
    condition=Labels(conditional_toys.NAMES),
)


@pytest.fixture(autouse=True, scope="module")
def installed(plug):
    plug(*toys.CARDS.values(), LABELS, distribution=PLUGIN)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def publish(folder, model, name="toy-gan", **facts):
    blob = encode(model, name, golden.record(model))
    row = Row(name=name, sha256=sha256_of(blob), bytes=len(blob), sources=("folder:none",), **facts)
    return hub.push(folder, name=name, weights=blob, row=row, card_text=f"# {name}\n")


def train(out="runs/new", steps=1, init_from="runs/old", **more):
    settings = {"batch_size": 8, "precision": "fp32", **more.pop("settings", {})}
    return genzoo.train(
        "toy-gan", out=out, steps=steps, settings=settings, quiet=True, init_from=init_from, **more
    )


def start_of(model, card=None):
    card = card or toys.CARDS["toy-gan"]
    row = Row(name=card.name, sha256="a" * 64, bytes=1, sources=("folder:none",))
    return Start("runs/old", row, card, model)


class TestTake:
    def test_all_of_the_same_net(self):
        old, new = toys.gan(), build_fresh(toys.CARDS["toy-gan"], 1)
        taken = take(new, None, start_of(old))
        assert all(torch.equal(v, old.state_dict()[k]) for k, v in new.state_dict().items())
        assert not taken.fresh and taken.words(start_of(old)).endswith(": all 18 tensors fit")

    def test_other_channels_are_named_and_the_rest_is_taken(self):
        old = toys.gan()
        card = toys.CARDS["toy-gan"].replace(config={"image_shape": (3, 8, 8)})
        new, untouched = build_fresh(card, 1), build_fresh(card, 1)
        taken = take(new, None, start_of(old))
        assert taken.fresh == {"generator.3.weight", "generator.3.bias", "discriminator.0.weight"}
        for key, value in new.state_dict().items():
            same = untouched if key in taken.fresh else old
            assert torch.equal(value, same.state_dict()[key]), key
        words = taken.words(start_of(old))
        assert (
            "15 of 18 tensors fit" in words
            and "generator.3.weight 4×3×4×4 at random: it has 4×1×4×4" in words
        )

    def test_a_longer_report_is_cut(self):
        old = toys.gan(width=5)
        taken = take(build_fresh(toys.CARDS["toy-gan"], 1), None, start_of(old))
        words = taken.words(start_of(old))
        assert "and 8 more" in words and words.count("at random") == 6

    def test_tensors_that_the_new_net_lacks_are_named(self):
        new = build_fresh(toys.CARDS["toy-gan"].replace(config={"norm": False}), 1)
        reasons = take(new, None, start_of(toys.gan())).reasons
        assert "generator.1.weight 4 left out" in reasons and len(reasons) == 10

    @pytest.mark.parametrize("turned", [False, True])
    def test_a_net_inside_another_is_met_by_the_net_itself(self, turned):
        inner = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
        plain = nn.ModuleDict({"generator": inner})
        wrapped = nn.ModuleDict(
            {"generator": nn.ModuleDict({"net": nn.Sequential(*inner[:2]), "head": nn.Sequential(inner[2])})}
        )
        ours, theirs = (plain, wrapped) if turned else (wrapped, plain)
        met = {a.replace(".net", ""): b.replace(".net", "") for a, b in self.met(ours, theirs).items()}
        names = {f"generator.{i}.{kind}" for i in (0, 1) for kind in ("weight", "bias")}
        assert met == {name: name for name in names}

    def test_a_layer_that_also_reads_a_label_is_taken_as_far_as_it_reads_the_input(self):
        """z comes first, the label behind it."""
        old, new = toys.gan(), toys.gan(latent_size=toys.gan().config.latent_size + 3)
        inside = nn.ModuleDict({"generator": nn.ModuleDict({"net": new.generator})})
        before = {key: value.clone() for key, value in inside.state_dict().items()}
        taken = take(inside, None, start_of(old))
        (why,) = [reason for reason in taken.reasons if " along axis " in reason]
        key, axis = why.split()[0], int(why.partition(" along axis ")[2].partition(":")[0])
        ours, theirs = inside.state_dict()[key], old.state_dict()[key.replace(".net", "")]
        size = theirs.shape[axis]
        assert ours.shape[axis] == size + 3 and key in taken.fresh
        assert torch.equal(ours.narrow(axis, 0, size), theirs)
        assert torch.equal(ours.narrow(axis, size, 3), before[key].narrow(axis, size, 3))

    def test_two_nets_that_could_be_meant_are_left_alone(self):
        pair = nn.ModuleDict({"g": nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})})
        assert self.met(pair, nn.ModuleDict({"g": nn.Linear(3, 3)})) == {}
        assert self.met(nn.ModuleDict({"g": nn.Linear(3, 3)}), pair) == {}

    def met(self, ours, theirs):
        return counterparts(ours.state_dict(), theirs.state_dict())

    def test_nothing_fits(self):
        new = build_fresh(toys.CARDS["coin"], 1)
        with pytest.raises(
            TrainingError, match=r"nothing of runs/old fits: logits 1×8×8 at random: it has none"
        ):
            take(new, None, start_of(toys.gan()))


class TestLabels:
    def made(self, names):
        card = LABELS.replace(condition=Labels(names))
        return card, build_fresh(card, 1)

    @pytest.mark.parametrize(
        ("names", "why"),
        [(("cat", "dog", "cow"), "it has other labels"), (("dog", "cat"), "it has 3×")],
        ids=["as many", "fewer"],
    )
    def test_layers_of_other_labels_start_at_random(self, names, why):
        (card, old), (_, new) = self.made(conditional_toys.NAMES), self.made(names)
        before = {key: value.clone() for key, value in new.state_dict().items()}
        with torch.no_grad():
            for value in old.parameters():
                value += 1
        taken = take(new, Labels(names), start_of(old, card))
        assert taken.fresh == {"generator.0.weight", "discriminator.0.weight"}
        assert all(why in reason for reason in taken.reasons)
        for key, value in new.state_dict().items():
            assert torch.equal(value, before[key] if key in taken.fresh else old.state_dict()[key]), key

    def test_the_same_labels_are_taken(self):
        (card, old), (_, new) = self.made(conditional_toys.NAMES), self.made(conditional_toys.NAMES)
        assert not take(new, Labels(conditional_toys.NAMES), start_of(old, card)).fresh


def test_the_config_of_the_same_class_is_inherited():
    card, other = toys.CARDS["toy-gan"], toys.CARDS["coin"]
    start = start_of(toys.gan(width=6), card.replace(config={"width": 6}))
    assert inherited(card, start).config == {**card.config, "width": 6}
    assert inherited(other, start) is other and inherited(card, None) is card


class TestRun:
    @pytest.fixture
    def old(self):
        return publish("runs/old", toys.gan(width=6), lineage=("toy-gan@" + "b" * 64,))

    def test_the_weights_are_taken_and_the_lineage_is_kept(self, old, capsys):
        outcome = train(settings={"lr": 1e-9})
        assert f"starting from runs/old (sha256 {old.sha256[:12]}…): all 18" in capsys.readouterr().err
        lineage = (f"toy-gan@{old.sha256}", "toy-gan@" + "b" * 64)
        row = read_rows(outcome.folder / "zoo.toml")["toy-gan"]
        assert row.lineage == lineage
        assert lineage[0] in (outcome.folder / row.card).read_text()
        facts = facts_of(outcome.weights.read_bytes(), "here")
        assert (tuple(facts["lineage"]), facts["plugin"]) == (lineage, PLUGIN)
        weights = outcome.model.state_dict()
        for key, value in toys.gan(width=6).named_parameters():  # one step with such a rate moves nothing
            assert torch.allclose(weights[key], value, atol=2e-3), key

    def test_without_it_no_lineage_is_stated(self):
        outcome = train(init_from=None)
        assert read_rows(outcome.folder / "zoo.toml")["toy-gan"].lineage == ()
        assert "lineage" not in facts_of(outcome.weights.read_bytes(), "here")
        text = (outcome.folder / checkpoint.NAME).read_bytes()
        assert b"lineage" not in text  # older versions can read it

    @pytest.mark.parametrize("way", ["file", "outcome", "name"])
    def test_from_a_file_an_outcome_or_a_name(self, old, way, monkeypatch):
        if way == "file":
            (source,) = Path("runs/old").glob("*.safetensors")
        elif way == "outcome":
            source = train(out="runs/first", init_from=None)
        else:
            monkeypatch.setenv("GENZOO_ZOO", "runs/old")
            source = "toy-gan"
        digest = sha256_of(source.weights) if way == "outcome" else old.sha256
        outcome = train(init_from=source)
        assert read_rows(outcome.folder / "zoo.toml")["toy-gan"].lineage[0] == f"toy-gan@{digest}"

    @pytest.mark.parametrize("typed", ["runs/new", "./runs/new/", "runs/new#toy-gan"])
    def test_the_folder_that_is_written_is_refused(self, typed):
        publish("runs/new", toys.gan())
        with pytest.raises(ArgumentError, match="is the folder that this run would be written to"):
            train(init_from=typed)

    def test_a_name_whose_weights_are_in_that_folder_is_refused(self, monkeypatch):
        publish("runs/new", toys.gan())
        monkeypatch.setenv("GENZOO_ZOO", "runs/new")
        with pytest.raises(ArgumentError, match="is the folder"):
            train(init_from="toy-gan")

    def test_resuming_keeps_the_lineage_and_compares_it(self, old):
        done = train(steps=2)
        whole = done.sha256
        lineage = read_rows(done.folder / "zoo.toml")["toy-gan"].lineage
        again = train(steps=2, resume=True, init_from=None, settings={"width": 6})
        assert read_rows(again.folder / "zoo.toml")["toy-gan"].lineage == lineage
        assert train(steps=2, resume=True).sha256 == again.sha256 == whole
        publish("runs/old", toys.gan(width=6, dropout=0.1))
        facts = checkpoint.read(done.folder / checkpoint.NAME)[1]
        assert facts.lineage == lineage

    def test_resuming_from_another_start_is_refused(self, old):
        train(steps=2)
        with torch.no_grad():
            other = toys.gan(width=6)
            other.generator[0].weight += 1
        row = publish("runs/other", other)
        with pytest.raises(
            TrainingError, match=rf"started from toy-gan@{old.sha256}, not from toy-gan@{row.sha256}"
        ):
            train(steps=3, resume=True, init_from="runs/other")
        train(out="runs/random", init_from=None, settings={"width": 6})
        with pytest.raises(TrainingError, match="started from random weights, not from"):
            train(out="runs/random", steps=2, resume=True)

    @pytest.mark.parametrize(
        ("source", "error"),
        [("runs/none", UnknownNameError), ("nobody", UnknownNameError), ("coin", HubError)],
    )
    def test_nothing_to_start_from(self, home, source, error):
        with pytest.raises(error):
            train(init_from=source)
        assert not (home / "runs").exists()


class TestFreeze:
    def test_frozen_layers_are_those_of_the_start(self):
        old = toys.gan()
        publish("runs/old", old)
        model = train(steps=3, settings={"freeze": 1, "save_dtype": "float32"}).model
        ours, theirs = dict(model.named_parameters()), dict(old.named_parameters())
        assert torch.equal(ours["discriminator.0.weight"], theirs["discriminator.0.weight"])
        assert not torch.equal(ours["discriminator.4.weight"], theirs["discriminator.4.weight"])

    def test_random_layers_are_not_frozen(self, home):
        with pytest.raises(
            TrainingError, match=r"keep discriminator\.0\.weight at random weights, and 3 more"
        ):
            train(init_from=None, settings={"freeze": 1})
        assert not (home / "runs" / "new").exists()
        publish("runs/old", toys.gan(image_shape=(3, 8, 8)))
        with pytest.raises(TrainingError, match=r"keep discriminator\.0\.weight at random weights —"):
            train(settings={"freeze": 1, "channels": 1})

    def test_a_resumed_run_needs_no_start(self):
        publish("runs/old", toys.gan())
        train(steps=1, settings={"freeze": 1})
        assert train(steps=2, resume=True, init_from=None, settings={"freeze": 1}).finished
