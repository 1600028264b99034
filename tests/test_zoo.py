"""The verbs behind the door."""

from __future__ import annotations

import pytest
import torch
import toys

import genzoo
from genzoo import Family, zoo
from genzoo.catalogue import catalogue
from genzoo.errors import ArgumentError, HubError, UnknownNameError, WeightsError
from genzoo.files import sha256_of
from genzoo.ledger import Row, add_row
from genzoo.models import golden
from genzoo.models.weights import encode
from genzoo.record import Records


@pytest.fixture(autouse=True, scope="module")
def installed(plug):
    twin = toys.CARDS["toy-gan"].replace(name="toy-twin")
    plug(*toys.CARDS.values(), twin)


def published(folder, blob, name="toy-gan", **row):
    """Publish `blob` by hand in a ledger of its own, as somebody else would."""
    (folder / f"{name}.safetensors").write_bytes(blob)
    facts = {
        "sha256": sha256_of(blob),
        "bytes": len(blob),
        "sources": (f"folder:{name}.safetensors",),
        "plugin": "genzoo-toys",
        **row,
    }
    add_row(folder / "zoo.toml", Row(name=name, origin=folder / "zoo.toml", **facts))
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Give a folder that is the user's ledger, and an empty cache."""
    (tmp_path / "hub").mkdir()
    monkeypatch.setenv("GENZOO_ZOO", str(tmp_path / "hub"))
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "hub"


def blob_of(net, name="toy-gan"):
    return encode(net, name, golden.record(net))


def test_cards_know_whether_they_have_weights(hub):
    assert {card.name: card.has_weights for card in genzoo.cards()} == dict.fromkeys(
        [*toys.CARDS, "toy-twin"], False
    )
    published(hub, blob_of(toys.gan()))
    assert {card.name for card in genzoo.cards() if card.has_weights} == {"toy-gan"}
    card = genzoo.info("toy-gan")
    assert (card.has_weights, card.plugin, card.family) == (True, "genzoo-toys", Family.IMPLICIT)
    assert [card.family for card in genzoo.cards()] == sorted(
        (card.family for card in genzoo.cards()), key=list(Family).index
    )


class TestListModels:
    def test_all_in_the_order_of_the_cards(self):
        assert genzoo.list_models() == [card.name for card in genzoo.cards()]

    def test_those_that_fit_a_pattern(self):
        assert genzoo.list_models("toy-*") == ["toy-gan", "toy-twin"]
        assert genzoo.list_models("*COIN") == ["coin"]
        assert genzoo.list_models("toy") == []

    def test_those_of_a_family(self):
        implicit = [card.name for card in genzoo.cards() if card.family is Family.IMPLICIT]
        assert genzoo.list_models(family=Family.IMPLICIT) == genzoo.list_models(family="implicit") == implicit
        assert genzoo.list_models("*twin", family="implicit") == ["toy-twin"]

    @pytest.mark.parametrize("wrong", ["implict", 3, ["implicit"]])
    def test_a_family_that_is_none(self, wrong):
        with pytest.raises(ArgumentError, match="family must be one of tractable, approximate, implicit"):
            genzoo.list_models(family=wrong)

    def test_a_pattern_is_a_text(self):
        with pytest.raises(ArgumentError, match="a pattern must be a text"):
            genzoo.list_models(3)


def test_evaluate_is_at_the_door():
    assert genzoo.evaluate is zoo.evaluate and {"evaluate", "info", "list_models"} <= set(genzoo.__all__)


def test_an_entry_is_as_good_as_its_name(hub):
    published(hub, blob_of(toys.gan(width=6)))
    entry = catalogue()["toy-gan"]
    assert torch.equal(genzoo.load(entry).sample(2, seed=0), genzoo.load("toy-gan").sample(2, seed=0))
    assert genzoo.pull(entry) == genzoo.pull("toy-gan") and genzoo.verify(entry) == genzoo.verify("toy-gan")
    assert genzoo.create(entry, seed=1).config == genzoo.create("toy-gan", seed=1).config


def test_create_has_fresh_weights_and_takes_any_key_of_the_config():
    net = genzoo.create("toy-gan", image_shape=(3, 24, 40), width=2)
    assert net.image_shape == (3, 24, 40) and net.config.width == 2
    assert not torch.equal(
        net.generator[0].weight,
        genzoo.create("toy-gan", image_shape=(3, 24, 40), width=2).generator[0].weight,
    )
    with pytest.raises(UnknownNameError, match="did you mean 'width'"):
        genzoo.create("toy-gan", widht=2)


def test_load_gives_the_published_model(hub):
    net = toys.gan(width=6)
    published(hub, blob_of(net))
    loaded = genzoo.load("toy-gan")
    assert torch.equal(loaded.sample(3, seed=0), net.sample(3, seed=0))
    assert not loaded.training and loaded.device.type == "cpu"
    assert genzoo.load("toy-gan", device="cpu").device.type == "cpu"
    with pytest.raises(ArgumentError, match="device 'cuda:77' cannot be used"):
        genzoo.load("toy-gan", device="cuda:77")


@pytest.mark.parametrize(
    "ask",
    [
        genzoo.info,
        genzoo.create,
        genzoo.load,
        genzoo.pull,
        genzoo.verify,
        lambda name: genzoo.push(name, "x"),
    ],
)
class TestNames:
    def test_the_nearest_name_is_in_the_message(self, ask, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UnknownNameError, match="no model is called 'toy-gam'; did you mean 'toy-gan'"):
            ask("toy-gam")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", [None, 3, ["toy-gan"], b"toy-gan"])
    def test_a_name_is_a_text(self, ask, name):
        with pytest.raises((ArgumentError, UnknownNameError)) as caught:
            ask(name)
        assert str(caught.value).isprintable()


def test_no_weights_says_what_to_do(hub):
    with pytest.raises(HubError, match="'coin' has no published weights") as caught:
        genzoo.load("coin")
    hint = (
        "genzoo train coin trains your own; genzoo sample runs/coin uses them; "
        "genzoo.create('coin') has fresh ones"
    )
    assert caught.value.hint == hint
    with pytest.raises(HubError) as caught:
        genzoo.load("coder")  # has no recipe
    assert caught.value.hint == "genzoo.create('coder') has fresh ones"
    published(hub, blob_of(toys.gan()))
    with pytest.raises(HubError) as caught:
        genzoo.load("toy-twin")
    assert caught.value.hint.startswith("'toy-gan' has; genzoo train toy-twin trains your own")


class TestVerify:
    def test_what_is_not_here_cannot_be_verified(self, hub):
        published(hub, blob_of(toys.gan()))
        with pytest.raises(HubError, match="are not on this machine") as caught:
            genzoo.verify("toy-gan")
        assert "genzoo pull toy-gan" in caught.value.hint

    def test_digest_and_golden_outputs(self, hub):
        published(hub, blob_of(toys.gan()))
        genzoo.pull("toy-gan")
        assert genzoo.verify("toy-gan").startswith("sha256 ") and "agree within 0" in genzoo.verify("toy-gan")

    @pytest.mark.parametrize("record", [{}, {"samples": "none"}, {"samples": [[255] * 64] * 2}])
    def test_golden_outputs_that_do_not_fit(self, hub, record):
        published(hub, encode(toys.gan(), "toy-gan", record))
        genzoo.pull("toy-gan")
        with pytest.raises(WeightsError, match=r"golden outputs|outputs differ"):
            genzoo.verify("toy-gan")


class TestWrongWeights:
    def test_of_another_model(self, hub):
        published(hub, encode(toys.Bernoulli(toys.ToyConfig()), "coin", {}))
        with pytest.raises(WeightsError, match="the weights file of 'toy-gan' does not fit the model"):
            genzoo.load("toy-gan")

    @pytest.mark.parametrize("digest", ["0" * 64, "f" * 64])
    def test_a_wrong_digest_in_the_ledger(self, hub, digest):
        published(hub, blob_of(toys.gan()), sha256=digest)
        with pytest.raises(HubError, match="sha256"):
            genzoo.load("toy-gan")
        assert not list(hub.parent.glob("cache/weights/*.safetensors"))

    def test_a_page_instead_of_weights(self, hub):
        published(hub, b"<html>busy</html>")
        with pytest.raises(WeightsError, match="is not a genzoo weights file"):
            genzoo.load("toy-gan")

    def test_a_truncated_file(self, hub):
        published(hub, blob_of(toys.gan()))
        path = hub / "toy-gan.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(HubError):
            genzoo.load("toy-gan")
        assert not list(hub.parent.glob("cache/weights/*.safetensors"))


def test_push_and_pull_again(hub, tmp_path, monkeypatch):
    published(hub, blob_of(toys.gan()), licence="MIT")
    genzoo.push("toy-gan", tmp_path / "share")
    monkeypatch.setenv("GENZOO_ZOO", str(tmp_path / "share"))
    assert zoo.row("toy-gan").licence == "MIT"
    assert genzoo.load("toy-gan").sample(1, seed=0).equal(toys.gan().sample(1, seed=0))


def test_evaluate_needs_data(hub):
    published(hub, blob_of(toys.gan()))
    records = zoo.evaluate("toy-gan", n=60)
    assert isinstance(records, Records) and records == list(records)
    assert {record.subject for record in records} == {"toy-gan", "train"}
    assert {record.device for record in records} == {"cpu"}
    published(hub, encode(toys.Coder(toys.ToyConfig()), "coder", {}), name="coder")
    with pytest.raises(ArgumentError, match="'coder' names no data set to be measured on"):
        zoo.evaluate("coder")
