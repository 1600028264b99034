import math

import pytest
import torch
import toys

from genzoo import Family
from genzoo.testing import LawError, check_density
from genzoo.testing.density import every_image

TINY = {"image_shape": (1, 2, 3)}


def test_honest_densities_pass(kinds, made):
    for cls in (kinds.pixels, kinds.bound):
        check_density(made(cls))
        check_density(made(cls, **TINY))


def planted(base, made, words, change=None, levels=None, config=TINY, **members):
    model = made(type("Broken", (base,), members), **config)
    if change is not None:
        change(model)
    with pytest.raises(LawError, match=words):
        check_density(model, levels)


def test_a_model_without_density_is_refused(kinds, made):
    planted(kinds.game, made, "DensityModel")


def test_a_density_that_does_not_say_what_it_is_is_refused(kinds, made):
    planted(kinds.pixels, made, "neither True nor False", exact="yes")


def test_another_family_is_refused(kinds, made):
    planted(kinds.pixels, made, "bounds approximate", lambda model: setattr(model, "family", Family.IMPLICIT))


def test_a_pixel_that_sees_itself_is_refused(kinds, made):
    """The mask leak: each pixel is told its own value, so every image gets a probability near one."""

    def _log_prob(self, x):
        logits = self.logits + 4 * (2 * x - 1)
        return -torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3))

    planted(kinds.pixels, made, r"Σ p\(x\) = \d+\.\d+ over all 64 images", _log_prob=_log_prob)


def test_a_lost_normaliser_is_refused(kinds, made):
    planted(kinds.pixels, made, "sums to 1", _log_prob=lambda self, x: kinds.pixels._log_prob(self, x) - 0.01)


def test_a_bound_above_the_likelihood_is_refused(kinds, made):
    planted(kinds.bound, made, "at most 1", _log_prob=lambda self, x: kinds.pixels._log_prob(self, x) + 0.1)


def test_a_bound_is_not_asked_to_reach_one(kinds, made):
    check_density(made(kinds.bound, **TINY), levels=2)


def test_the_number_of_levels_can_be_told(kinds, made):
    """Told that pixels have three levels, the law sees that grey images are given probability too."""
    planted(kinds.pixels, made, "over all 81 images", levels=3, config={"image_shape": (1, 2, 2)})


def test_nan_and_infinity_are_refused(kinds, made):
    planted(kinds.pixels, made, "NaN or infinite", _log_prob=lambda self, x: kinds.pixels._log_prob(self, x) - math.inf)


def test_one_number_for_all_images_is_refused(kinds, made):
    planted(kinds.pixels, made, r"\(\) torch.float32 for 5 images", _log_prob=lambda self, x: kinds.pixels._log_prob(self, x).mean())


def test_noise_and_batch_statistics_are_refused(kinds, made):
    planted(kinds.pixels, made, "alone or in a batch", _log_prob=lambda self, x: kinds.pixels._log_prob(self, x) + torch.randn(1))
    planted(kinds.pixels, made, "alone or in a batch", _log_prob=lambda self, x: kinds.pixels._log_prob(self, x - x.mean(0)))


def test_other_units_are_refused(kinds, made):
    planted(kinds.pixels, made, "bits/dim", lambda model: setattr(model, "bits_per_dim", lambda x: -model.log_prob(x)))


def test_a_replaced_log_prob_that_takes_any_image_is_refused(kinds, made):
    def loosen(model):
        honest = model.log_prob
        model.log_prob = lambda x: honest(x.clamp(0, 1))

    planted(kinds.pixels, made, "values of 2 is accepted", loosen)


def test_all_images_are_enumerated_once():
    images = every_image((2, 1, 2), 3)
    assert images.shape == (81, 2, 1, 2)
    assert len(images.flatten(1).unique(dim=0)) == 81
    assert sorted(images.unique().tolist()) == [0.0, 0.5, 1.0]


def coins(**members):
    return type("Broken", (toys.Coins,), members)(toys.ToyConfig(image_shape=(1, 2, 3))).eval()


def weights(noise):
    """Return `_log_weights` that takes its noise from `noise(x, k, seed)`, (k, N)."""

    def _log_weights(self, x, k, seed):
        yield self.log_likelihood(x, noise(x, k, seed))

    return _log_weights


def test_honest_importance_weights_pass():
    assert check_density(coins()) is None


@pytest.mark.parametrize(("noise", "words"), [
    (lambda x, k, seed: torch.randn(k, len(x)), "fewer draws are the first ones of more.*takes its noise from"),
    (lambda x, k, seed: torch.linspace(-1, 1, k)[:, None].expand(-1, len(x)), "fewer draws are the first"),
    (lambda x, k, seed: torch.arange(len(x)) - torch.arange(k)[:, None] / 8.0, "draws of its own, alone or in a batch"),
    (lambda x, k, seed: torch.full((k, len(x)), torch.nan), "finite float32 per image.*NaN"),
])  # fmt: skip
def test_weights_that_break_a_promise_are_refused(noise, words):
    with pytest.raises(LawError, match=words):
        check_density(coins(_log_weights=weights(noise)))
