"""Every card of the plugin keeps the laws that anybody's must keep."""

import pytest
from genzoo_dcgan import genzoo_cards

from genzoo.testing import check_model


@pytest.mark.parametrize("card", genzoo_cards(), ids=lambda card: card.name)
def test_the_card_keeps_every_law(card):
    check_model(card)


@pytest.mark.parametrize(
    "config",
    [
        {"norm": "layer", "activation": "tanh", "depth": 1},
        {"norm": "instance", "activation": "leaky-relu", "minibatch": 3},
        {"norm": "none", "mlp": 6},
        {"discriminator_norm": "none", "dropout": 0.5},
    ],
)
def test_nets_beyond_the_paper_keep_them_too(config):
    check_model(genzoo_cards()[0].replace(config=config))


def test_an_oblong_size_keeps_them_too():
    check_model(genzoo_cards()[0], image_shape=(3, 24, 40))
