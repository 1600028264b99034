"""Laws of networks that play against each other: each broken model is refused with the law."""

import pytest
import torch
from torch import nn

from genzoo.testing import LawError, check_adversarial


def test_an_honest_game_passes(kinds, made):
    check_adversarial(made(kinds.game))


def planted(base, made, words, change=None, **members):
    model = made(type("Broken", (base,), members))
    if change is not None:
        change(model)
    with pytest.raises(LawError, match=words):
        check_adversarial(model)


def test_a_model_without_a_discriminator_is_refused(kinds, made):
    planted(kinds.pixels, made, "AdversarialModel")


def test_a_missing_network_is_refused(kinds, made):
    planted(
        kinds.game, made, "a network named discriminator", lambda model: setattr(model, "discriminator", None)
    )


def test_shared_weights_are_refused(kinds, made):
    def share(model):
        model.discriminator[1].bias = nn.Parameter(torch.zeros(8))
        model.generator.register_parameter("mine", model.discriminator[1].bias)

    planted(kinds.game, made, "share no weights; seen: both have 1.bias", share)


def test_more_than_one_number_per_image_is_refused(kinds, made):
    planted(kinds.game, made, r"the shape \(4, 1\)", _discriminate=lambda self, x: self.discriminator(x))


def test_nan_is_refused(kinds, made):
    planted(
        kinds.game, made, "NaN", _discriminate=lambda self, x: kinds.game._discriminate(self, x) * torch.nan
    )


def test_batch_statistics_in_evaluation_mode_are_refused(kinds, made):
    planted(
        kinds.game,
        made,
        "its own image alone",
        _discriminate=lambda self, x: kinds.game._discriminate(self, x - x.mean(0)),
    )


def test_a_discriminator_without_gradients_is_refused(kinds, made):
    planted(
        kinds.game,
        made,
        "no gradient at all",
        _discriminate=lambda self, x: kinds.game._discriminate(self, x).detach(),
    )
    planted(
        kinds.game,
        made,
        "a gradient of zero",
        _discriminate=lambda self, x: kinds.game._discriminate(self, x.round()) + 0 * x.sum(),
    )


def test_probabilities_instead_of_logits_are_refused(kinds, made):
    planted(
        kinds.game,
        made,
        "logits, not probabilities",
        _discriminate=lambda self, x: kinds.game._discriminate(self, x).sigmoid(),
    )


def test_running_statistics_that_move_are_refused(kinds, made):
    def _discriminate(self, x):
        self.generator[1].running_mean.add_(1e-6)
        return kinds.game._discriminate(self, x)

    planted(kinds.game, made, "does not change its state", _discriminate=_discriminate)
