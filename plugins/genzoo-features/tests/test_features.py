"""The feature nets: any size, the laws of a model, and published weights that a data set is measured in."""

from __future__ import annotations

import pytest
import torch
from genzoo_features import genzoo_cards
from genzoo_features.net import FeatureNet, FeatureNetConfig
from torch import nn

import genzoo
from genzoo import Family
from genzoo.data.collection import Images
from genzoo.evaluation import feature_space
from genzoo.noise import Draws
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
    model, x = tiny(shape, width=16), Draws(0, 0, 3).uniform(*shape).float()
    convolutions = [layer for layer in model.net if isinstance(layer, nn.Conv2d)]
    assert [layer.stride for layer in convolutions] == [(1, 1), *[(2, 2)] * (maps - 1)]
    assert model.features(x).shape == (3, features) and model.log_probs(x).shape == (3, 3)


def test_features_are_the_means_of_the_last_map():
    model, x = tiny(), Draws(0, 0, 3).uniform(1, 8, 8).float()
    maps = model.net[:-2](2 * x - 1)
    assert maps.shape == (3, 8, 4, 4)
    torch.testing.assert_close(model.features(x), maps.mean((2, 3)))
    torch.testing.assert_close(model.log_probs(x), model.head(maps.mean((2, 3))).log_softmax(1))


def test_cards_are_instruments_with_recipes_of_their_data():
    assert {card.family for card in CARDS.values()} == {Family.CLASSIFIER}
    assert {name: card.recipe.data for name, card in CARDS.items()}["features-mnist"] == "mnist"
    assert all(card.recipe.command.startswith(f"genzoo train {name}") for name, card in CARDS.items())


@pytest.mark.parametrize("name", [name for name in CARDS if name != "features"])
def test_published_weights_are_what_the_data_set_is_measured_in(name):
    card = genzoo.info(name)
    assert card.has_weights and name not in {other.name for other in genzoo.cards()}
    model = genzoo.load(name)
    images = Draws(0, 0, 4).uniform(*model.image_shape).mul(255).to(torch.uint8)
    pixels = Images(pixels=images.numpy(), name=card.recipe.data, split="test")
    space = feature_space(None, pixels)
    assert space.name == f"{name}@{genzoo.zoo.row(name).sha256[:12]}"
    assert torch.equal(space.describe(images, None), model.features(images).double())
    assert genzoo.verify(name).endswith("of log p")
