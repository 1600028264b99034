"""Every card of the plugin keeps the laws that anybody's must keep."""

import pytest
from genzoo_gan import genzoo_cards

from genzoo.testing import check_model


@pytest.mark.parametrize("card", genzoo_cards(), ids=lambda card: card.name)
def test_the_card_keeps_every_law(card):
    check_model(card)


def test_colours_and_an_odd_size_keep_them_too():
    check_model(genzoo_cards()[0], image_shape=(3, 5, 7))
