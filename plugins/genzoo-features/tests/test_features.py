"""The feature nets: any size, the laws of a model, and published weights that a data set is measured in."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from genzoo_features import genzoo_cards
from genzoo_features.net import FeatureNet, FeatureNetConfig, Residual
from torch import nn

import genzoo
from genzoo import Family
from genzoo.data import NAMES
from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation import GIST, feature_space
from genzoo.evaluation.agreement import known_reading
from genzoo.rng import Rng
from genzoo.testing import laws

CARDS = {card.name: card for card in genzoo_cards()}

test_laws = laws("genzoo-features")
test_laws_of_an_odd_size = laws("genzoo-features", "features", image_shape=(3, 5, 7))


def tiny(image_shape=(1, 8, 8), **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FeatureNet(
            FeatureNetConfig(image_shape=image_shape, **{"width": 4, "classes": 3, **config})
        ).eval()


@pytest.mark.parametrize(
    ("shape", "maps", "features"),
    [
        ((1, 28, 28), 4, 128),
        ((3, 32, 32), 4, 128),
        ((1, 8, 8), 2, 32),
        ((3, 5, 37), 2, 32),
        ((1, 1, 1), 1, 16),
        ((3, 64, 64), 5, 128),
    ],
)
def test_channels_double_until_the_map_is_small(shape, maps, features):
    model, x = tiny(shape, width=16), Rng(0, 0, 3).uniform(*shape).float()
    convolutions = [layer for layer in model.net if isinstance(layer, nn.Conv2d)]
    assert [layer.stride for layer in convolutions] == [(1, 1), *[(2, 2)] * (maps - 1)]
    assert model.features(x).shape == (3, features) and model.log_probs(x).shape == (3, 3)


def test_features_are_the_means_of_the_last_map():
    model, x = tiny(), Rng(0, 0, 3).uniform(1, 8, 8).float()
    maps = model.net[:-2](2 * x - 1)
    assert maps.shape == (3, 8, 4, 4)
    torch.testing.assert_close(model.features(x), maps.mean((2, 3)))
    torch.testing.assert_close(model.log_probs(x), model.head(maps.mean((2, 3))).log_softmax(1))


def test_cards_are_instruments_with_recipes_of_their_data():
    assert {card.family for card in CARDS.values()} == {Family.CLASSIFIER}
    assert {name: card.recipe.data for name, card in CARDS.items()}["features-mnist"] == "mnist"
    assert CARDS["features"].recipe.command.startswith("genzoo train features --data digits")


@pytest.mark.parametrize("name", [name for name in CARDS if name != "features"])
def test_published_weights_are_what_the_data_set_is_measured_in(name):
    card = genzoo.info(name)
    assert card.has_weights and name not in {other.name for other in genzoo.cards()}
    model = genzoo.load(name)
    images = Rng(0, 0, 4).uniform(*model.image_shape).mul(255).to(torch.uint8)
    pixels = Images(pixels=images.numpy(), name=card.recipe.data, split="test")
    # whole and broken are no labels of the faces
    space = feature_space(name if name == "features-faces" else None, pixels)
    assert space.name == f"{name}@{genzoo.zoo.row(name).sha256[:12]}"
    assert torch.equal(space.describe(images, None), model.features(images).double())
    assert genzoo.verify(name).endswith("of log p")


class TestClassifying:
    def test_probabilities_of_the_classes_sum_to_1(self):
        model, x = tiny(), Rng(0, 0, 5).uniform(1, 8, 8).float()
        torch.testing.assert_close(model.log_probs(x).exp().sum(1), torch.ones(5))

    def test_features_do_not_depend_on_other_images(self):
        model, x = tiny(), Rng(0, 0, 5).uniform(1, 8, 8).float()
        torch.testing.assert_close(model.features(x)[3:4], model.features(x[3:4]))

    def test_channels_stop_at_eight_times_the_first(self):
        widths = [layer.out_channels for layer in tiny((3, 1024, 1024)).net if isinstance(layer, nn.Conv2d)]
        assert widths == [4, 8, 16, *[32] * 6]

    def test_the_shorter_side_decides_how_often_it_halves(self):
        for shape in ((1, 8, 512), (1, 512, 8)):
            assert sum(isinstance(layer, nn.Conv2d) for layer in tiny(shape).net) == 2

    def test_every_pixel_counts(self):
        model, x = tiny(), Rng(0, 0, 1).uniform(1, 8, 8).float().requires_grad_()
        model._features(x).pow(2).sum().backward()
        assert x.grad.ne(0).all()

    def test_pixels_are_centred_before_the_first_convolution(self):
        model, seen = tiny(), []
        model.net[0].register_forward_hook(lambda layer, given, found: seen.append(given[0]))
        grey = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 1, 8, 8)
        model.features(grey)
        assert torch.equal(seen[0][:3], 2 * grey - 1)  # images are described in chunks of one size

    def test_the_head_is_linear(self):
        model, x = tiny(), Rng(0, 0, 2).uniform(4, 8).float()
        sides = model._logits(x[:1]) + model._logits(x[1:]), 2 * model._logits(x.mean(0, keepdim=True))
        torch.testing.assert_close(*sides)

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [({"classes": 1}, "classes"), ({"width": 0}, "width"), ({"image_shape": (1, 0, 8)}, "image_shape")],
    )
    def test_wrong_configs_are_named(self, wrong, words):
        with pytest.raises(genzoo.GenzooError, match=words):
            genzoo.create("features", **wrong)


def test_it_learns_to_tell_classes_apart(tmp_path):
    genzoo.train("features", "digits", tmp_path, 60, settings={"image_size": 8, "channels": 1}, quiet=True)
    scores = {score["metric"]: score["value"] for score in json.loads((tmp_path / "scores.json").read_text())}
    assert scores["accuracy"] > 0.5  # by chance 0.1


def test_published_nets_tell_images_of_noise_apart_from_a_constant():
    for name in ("features-mnist", "features-cifar10"):
        model = genzoo.load(name)
        noise = Rng(0, 0, 2).uniform(*model.image_shape).float()
        assert not torch.allclose(model.features(noise)[0], model.features(torch.zeros_like(noise))[0])


class TestDepth:
    def test_residual_blocks_follow_every_halving(self):
        flat, deep = tiny((3, 32, 32)), tiny((3, 32, 32), depth=2)
        blocks = [layer for layer in deep.net if isinstance(layer, Residual)]
        assert [block.inner[0].in_channels for block in blocks] == [8, 8, 16, 16, 32, 32]
        assert not any(isinstance(layer, Residual) for layer in flat.net)
        x = Rng(0, 0, 3).uniform(3, 32, 32).float()
        assert deep.features(x).shape == flat.features(x).shape

    def test_a_block_adds_to_what_it_reads(self):
        block = Residual(4).eval()
        x = Rng(0, 0, 2).uniform(4, 6, 6).float()
        torch.testing.assert_close(block(x), torch.relu(x + block.inner(x)))
        torch.nn.init.zeros_(block.inner[-1].weight)
        torch.testing.assert_close(block(x), x)


class TestNames:
    def test_classes_have_the_names_of_the_config(self):
        assert tiny(names=("a", "b", "c")).class_names == ("a", "b", "c")
        assert tiny().class_names == ()
        assert genzoo.create("features-rooms").class_names[0] == "bedroom"
        assert CARDS["features-rooms"].config["names"] == NAMES["rooms"].classes

    @pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "b"), ("a", "b", "c", "d")])
    def test_each_class_has_one(self, names):
        with pytest.raises(ArgumentError, match="names must be 3 different names"):
            tiny(names=names)


@pytest.mark.parametrize("name", ["features-rooms", "features-faces", "features-horses"])
class TestTheClassifiersOfPictures:
    def test_it_is_small_and_reads_pictures_of_64_pixels(self, name):
        model = genzoo.create(name)
        assert model.image_shape == (3, 64, 64)
        assert sum(weight.numel() for weight in model.parameters()) < 1_000_000
        assert model.class_names == tuple(CARDS[name].config["names"])

    def test_texture_is_augmented_so_that_it_does_not_decide(self, name):
        recipe = CARDS[name].recipe
        assert recipe.flip and recipe.save_dtype == "float16"
        assert recipe.game.augment == ("color", "translation", "genzoo_features.breaking:texture")

    def test_its_features_are_no_default_of_sets_without_labels(self, name):
        """Bedrooms and faces are measured in GIST, as their published records are."""
        for data in ("bedrooms", "faces", "horse2zebra"):
            pixels = Images(pixels=np.zeros((2, 3, 64, 64), np.uint8), name=data, split="test")
            assert feature_space(None, pixels) is GIST


class TestHorses:
    """The reader of `cyclegan-horse2zebra`."""

    def test_its_classes_are_the_domains_and_those_of_its_set(self):
        card = CARDS["features-horses"]
        domains = NAMES["horse2zebra"].domains
        assert card.config["names"] == domains == NAMES["horses-zebras"].classes
        assert NAMES[card.recipe.data].files == NAMES["horse2zebra"].files

    def test_it_is_found_by_the_name_of_a_domain(self):
        images = Images(pixels=np.zeros((2, 3, 64, 64), np.uint8), name="horse2zebra", split="test")
        net = genzoo.load("features-horses")
        for number, domain in enumerate(("horse", "zebra")):
            reading = known_reading(domain, images)
            assert (reading.label, reading.wanted) == (domain, number)
            assert reading.name == f"features-horses@{genzoo.zoo.row('features-horses').sha256[:12]}"
        x = Rng(0, 0, 5).uniform(3, 64, 64).mul(255).to(torch.uint8)
        expected = (net.log_probs(x).argmax(1) == 1).double().mean()
        assert known_reading("zebra", images).agreement(x).value == pytest.approx(float(expected))

    def test_larger_pictures_are_read_at_its_size_smaller_ones_and_other_domains_not(self):
        def shown(side):
            return Images(pixels=np.zeros((2, 3, side, side), np.uint8), name="horse2zebra", split="test")

        assert known_reading("zebra", shown(96)).words == "read as zebra, resized to 64x64"
        assert known_reading("zebra", shown(64)).words == "read as zebra"
        assert known_reading("zebra", shown(48)) is None
        assert known_reading("donkey", shown(64)) is None

    def test_its_weights_have_at_most_1_megabyte(self):
        assert genzoo.zoo.row("features-horses").bytes <= 2**20
