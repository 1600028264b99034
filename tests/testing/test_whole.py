import random

import numpy as np
import pytest
import torch
from torch import nn

from genzoo import Recipe
from genzoo.testing import LawError, check_model, check_weights, small_config


def test_honest_cards_pass(kinds, card_of):
    for cls in (kinds.game, kinds.pixels, kinds.bound):
        check_model(card_of(cls))


def test_a_model_that_is_only_decoded_passes_without_a_recipe(kinds, card_of):
    check_model(card_of(kinds.coder, recipe=None))


@pytest.mark.parametrize("fault", ["card", "sample", "latent", "adversarial", "game"])
def test_every_kind_of_law_is_asked(kinds, card_of, fault):
    game, facts, members = kinds.game, {}, {}
    if fault == "card":
        facts["summary"] = ""
    elif fault == "sample":
        members["_sample"] = lambda self, draws: torch.rand(draws.n, *self.image_shape)
    elif fault == "latent":
        members["_decode"] = lambda self, z: game._decode(self, z.detach()).detach()
    elif fault == "adversarial":
        members["_discriminate"] = lambda self, x: game._discriminate(self, x).sigmoid()
    else:
        facts["recipe"] = Recipe(lr={"critic": 1e-4})
    with pytest.raises(LawError):
        check_model(card_of(type("Broken", (game,), members), **facts))


def test_a_leaking_density_is_refused_whatever_size_is_asked_for(kinds, card_of):
    """The 2^64 images of the small build cannot be enumerated, so it is built smaller still."""
    leak = type("Leak", (kinds.pixels,), {"_log_prob": lambda self, x: kinds.pixels._log_prob(self, x) * 0.5})
    for fixed in ({}, {"image_shape": (1, 2, 2)}):
        with pytest.raises(LawError, match="sums to 1"):
            check_model(card_of(leak, recipe=None), **fixed)


def test_a_model_that_cannot_be_built_is_named(kinds, card_of):
    from genzoo.errors import ArgumentError

    def refuse(self, config):
        raise ArgumentError("no such size", "try another")

    with pytest.raises(LawError, match=r"can be built; seen: .*no such size"):
        check_model(card_of(type("Broken", (kinds.game,), {"__init__": refuse})))


def test_state_outside_parameters_and_buffers_is_refused(kinds, card_of, made):
    class Hidden(kinds.game):
        def __init__(self, config):
            super().__init__(config)
            self.gain = random.random()

        def _decode(self, z):
            return super()._decode(z) * self.gain

    card = card_of(Hidden)
    with pytest.raises(LawError, match="a loaded model gives the outputs of the saved one"):
        check_weights(card, made(Hidden))


def test_weights_that_cannot_be_loaded_are_refused(kinds, card_of, made):
    class Growing(kinds.game):
        def __init__(self, config):
            super().__init__(config)
            Growing.count = getattr(Growing, "count", 0) + 1
            self.extra = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(Growing.count)])

    with pytest.raises(LawError, match="loaded from its own weights"):
        check_weights(card_of(Growing), made(Growing))


def test_noise_in_what_is_published_is_refused(kinds, card_of, made):
    class Noisy(kinds.coder):
        def _decode(self, z):
            # not of torch's global generator, which is kept as it was and may repeat itself
            drawn = np.random.default_rng().random((len(z), *self.image_shape), np.float32)
            return torch.from_numpy(drawn)

    with pytest.raises(LawError, match="golden outputs"):
        check_weights(card_of(Noisy), made(Noisy))


def test_the_small_build_is_small_and_keeps_what_is_fixed(kinds, card_of):
    card = card_of(kinds.game, config={"image_shape": (3, 64, 64), "latent_size": 60})
    assert small_config(card) == {"image_shape": (3, 8, 8), "latent_size": 8}
    assert small_config(card, image_shape=(1, 2, 2)) == {"image_shape": (1, 2, 2), "latent_size": 8}


def test_the_small_build_leaves_what_the_model_needs(kinds, card_of):
    class Picky(kinds.game):
        def __init__(self, config):
            if config.image_shape[1] < 16:
                raise ValueError("too small")
            super().__init__(config)

    assert small_config(card_of(Picky, config={"image_shape": (1, 48, 48)}))["image_shape"] == (1, 16, 16)
