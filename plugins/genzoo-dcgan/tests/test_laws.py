"""Every card of the plugin keeps the laws that anybody's must keep."""

import pytest
from genzoo_dcgan import genzoo_cards

from genzoo.testing import check_model


@pytest.mark.parametrize("card", genzoo_cards(), ids=lambda card: card.name)
def test_the_card_keeps_every_law(card):
    check_model(card)


def test_an_oblong_size_keeps_them_too():
    check_model(genzoo_cards()[0], image_shape=(3, 24, 40))
