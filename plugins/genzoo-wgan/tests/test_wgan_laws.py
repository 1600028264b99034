"""Every card of the plugin keeps the laws that anybody's must keep."""

import pytest
from genzoo_wgan import genzoo_cards

from genzoo.testing import check_model, laws

test_laws = laws("genzoo-wgan")


@pytest.mark.parametrize(
    "config", [{"discriminator_norm": "none", "depth": 1}, {"norm": "none", "mlp": 6}, {"activation": "tanh"}]
)
def test_other_nets_under_the_penalty_keep_them_too(config):
    check_model(
        next(card for card in genzoo_cards() if card.name == "wgan-gp").replace(config=config),
        image_shape=(1, 16, 16),
    )
