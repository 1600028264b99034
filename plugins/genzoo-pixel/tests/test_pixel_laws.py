"""Every card keeps the laws that anybody's must keep; oblong sizes and weights do too."""

import pytest
import torch
from genzoo_pixel import genzoo_cards

from genzoo.models.weights import build_filled, encode
from genzoo.testing import laws

CARDS = {card.name: card for card in genzoo_cards()}
KINDS = ("pixelcnn", "gated-pixelcnn", "pixelrnn-row", "pixelrnn-diagonal")
MOST_BYTES = 4 * 10**6
SMALL = {"layers": 2, "width": 6, "mixture": 2}

test_laws = laws("genzoo-pixel", image_shape=(1, 6, 5), **SMALL)
test_laws_in_colour = laws("genzoo-pixel", *KINDS, image_shape=(3, 4, 5), head="logistic", levels=3, **SMALL)


@pytest.mark.parametrize("card", genzoo_cards(), ids=lambda card: card.name)
def test_the_weights_of_a_card_are_small(card):
    model = card.build()
    size = 2 if card.recipe.save_dtype == "float16" else 4
    assert sum(p.numel() for p in model.parameters()) * size < MOST_BYTES
    assert model.exact


@pytest.mark.parametrize("channels", [1, 3])
def test_an_oblong_size(make, kind, channels):
    model = make(kind, image_shape=(channels, 24, 40), levels=4, scale=0.1)
    x = torch.randint(0, 4, (2, channels, 24, 40), generator=torch.Generator().manual_seed(0)) / 3
    told = model.log_prob(x)
    assert told.shape == (2,) and torch.isfinite(told).all() and (model.bits_per_dim(x) > 0).all()


def test_no_images_have_no_likelihoods_and_teach_nothing(make, kind):
    model = make(kind, image_shape=(1, 4, 3), head="bernoulli")
    told = model._log_prob(torch.zeros(0, 1, 4, 3))
    told.sum().backward()
    assert told.shape == (0,) and all(
        parameter.grad is None or (parameter.grad == 0).all() for parameter in model.parameters()
    )


def test_half_precision_weights_make_the_same_model_again(make, kind):
    card = CARDS[kind].replace(
        config={"image_shape": (1, 4, 4), "width": 6, "layers": 2, "head": "bernoulli"}
    )
    model = make(kind, **card.config, scale=0.1)
    loaded = build_filled(card, encode(model, card.name, {}, "float16"), "these weights")
    x = (torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    torch.testing.assert_close(loaded.log_prob(x), model.log_prob(x), rtol=1e-2, atol=1e-2)


def test_learned_initial_states_matter(make):
    x = torch.ones(1, 1, 3, 3)
    for kind in ("pixelrnn-row", "pixelrnn-diagonal"):
        model = make(kind, image_shape=(1, 3, 3), head="bernoulli", layers=1)
        before = model._log_prob(x)
        before.sum().backward()
        start = model.recurrent[0].start
        assert (start.grad != 0).all()
        with torch.no_grad():
            start.add_(1)
        assert not torch.equal(model._log_prob(x), before)
