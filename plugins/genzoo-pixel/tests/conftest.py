"""Small models whose weights are large enough that nothing hides behind a zero."""

import pytest
import torch
from genzoo_pixel import genzoo_cards

CARDS = {card.name: card for card in genzoo_cards()}
KINDS = ("pixelcnn", "gated-pixelcnn", "pixelrnn-row", "pixelrnn-diagonal")
HEADS = {"bernoulli": 2, "softmax": 5, "logistic": 4}


def make(kind, seed=0, scale=0.5, **config):
    """Return a small model of `kind`, its weights N(0, scale²) but masked as fresh ones are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CARDS[kind].build(**{"width": 6, "layers": 2, "mixture": 3, **config}).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, scale)
            for module in model.modules():
                if hasattr(module, "masked"):
                    module.weight.mul_(module.mask)
    return model


@pytest.fixture(name="make")
def _make():
    return make


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=HEADS)
def head(request):
    return request.param


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def channels(request):
    return request.param
