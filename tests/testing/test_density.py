import math

import pytest
import torch
import toys
from flow_toys import DequantisedFlow, Flow, FlowConfig

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
        return -torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(
            (1, 2, 3)
        )

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
    planted(
        kinds.pixels,
        made,
        "NaN or infinite",
        _log_prob=lambda self, x: kinds.pixels._log_prob(self, x) - math.inf,
    )


def test_one_number_for_all_images_is_refused(kinds, made):
    planted(
        kinds.pixels,
        made,
        r"\(\) torch.float32 for 5 images",
        _log_prob=lambda self, x: kinds.pixels._log_prob(self, x).mean(),
    )


def test_noise_and_batch_statistics_are_refused(kinds, made):
    planted(
        kinds.pixels,
        made,
        "alone or in a batch",
        _log_prob=lambda self, x: kinds.pixels._log_prob(self, x) + torch.randn(1),
    )
    planted(
        kinds.pixels,
        made,
        "alone or in a batch",
        _log_prob=lambda self, x: kinds.pixels._log_prob(self, x - x.mean(0)),
    )


def test_other_units_are_refused(kinds, made):
    planted(
        kinds.pixels,
        made,
        "bits/dim",
        lambda model: setattr(model, "bits_per_dim", lambda x: -model.log_prob(x)),
    )


def test_a_replaced_log_prob_that_takes_any_image_is_refused(kinds, made):
    def loosen(model):
        honest = model.log_prob
        model.log_prob = lambda x, condition=None: honest(x.clamp(0, 1), condition)

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
    assert "Σ p(x) ≤ 1" in str(check_density(coins()))


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (
            lambda x, k, seed: torch.randn(k, len(x)),
            "fewer draws are the first ones of more.*takes its noise from",
        ),
        (
            lambda x, k, seed: torch.linspace(-1, 1, k)[:, None].expand(-1, len(x)),
            "fewer draws are the first",
        ),
        (
            lambda x, k, seed: torch.arange(len(x)) - torch.arange(k)[:, None] / 8.0,
            "draws of its own, alone or in a batch",
        ),
        (lambda x, k, seed: torch.full((k, len(x)), torch.nan), "finite float32 per image.*NaN"),
    ],
)
def test_weights_that_break_a_promise_are_refused(noise, words):
    with pytest.raises(LawError, match=words):
        check_density(coins(_log_weights=weights(noise)))


def flow(base=Flow, sides=(4, 4), **members):
    return type("Broken", (base,), members)(FlowConfig(image_shape=(1, *sides))).eval()


@pytest.mark.parametrize("sides", [(1, 1), (1, 2), (4, 4)])
def test_an_honest_density_of_real_numbers_is_certified(sides):
    found = check_density(flow(sides=sides))
    assert found.levels == 0 and "∫ p(x) dx = 1 over 1 real pixel, and samples fall where p says" in str(
        found
    )
    assert "∫ p(x) dx = 1 over 2 real pixels" in str(found)


def test_a_dequantised_flow_is_a_bound_on_masses():
    found = check_density(flow(DequantisedFlow))
    assert found.levels == 256 and "Σ p(x) ≤ 1 over 256 images of 1×1×1 with 256 levels" in str(found)


def test_a_density_has_to_say_what_its_probability_is_of():
    class Silent(Flow):
        levels = None

    with pytest.raises(LawError, match=r"says what its probability is of.*Silent\.levels"):
        check_density(Silent(FlowConfig()).eval())
    members = {name: value for name, value in vars(Flow).items() if name != "levels"}
    with pytest.raises(TypeError, match="levels"):
        type("Forgetful", (toys.DensityModel,), members)(FlowConfig())


def clipped(self, x):
    return Flow.density(self, x.clamp(1e-3, 1 - 1e-3))  # else black and white have none


def plus(nats):
    """Return the members of a flow whose log p is too high by nats(model, x)."""
    return {"density": lambda self, x: Flow.density(self, x) + nats(self, x)}


IMPOSTORS = {
    "a density that is called masses, exact": (
        {"levels": 256, "density": clipped},
        r"exact density sums to 1.*Σ p\(x\) = \d\d+",
    ),
    "a density that is called masses, a bound": (
        {"levels": 256, "exact": False, "density": clipped},
        r"lower bound sums to at most 1.*Σ p\(x\) = \d\d+",
    ),
    "a log-determinant left out": (
        plus(lambda self, x: self.log_scale.sum()),
        "exact density integrates to 1",
    ),
    "a log-determinant of the wrong sign": (
        plus(lambda self, x: 2 * self.log_scale.sum()),
        "exact density integrates to 1",
    ),
    "a lost constant": (plus(lambda self, x: 0.92 * x[0].numel()), "exact density integrates to 1"),
    "a bound above the density": ({"exact": False, **plus(lambda self, x: 0.1)}, "integrates to at most 1"),
    "a sampler of another scale": (
        {"_sample": lambda self, draws: 0.5 * Flow._sample(self, draws)},
        "as often as p",
    ),
}


@pytest.mark.parametrize("bug", IMPOSTORS)
def test_what_is_no_likelihood_is_refused(bug):
    members, words = IMPOSTORS[bug]
    with pytest.raises(LawError, match=words):
        check_density(flow(**members))


def test_a_dequantised_bound_that_forgets_the_size_of_its_cells_is_refused():
    def _log_prob(self, x):
        return DequantisedFlow._log_prob(self, x) + math.log(256) * x[0].numel()

    with pytest.raises(LawError, match="at most 1"):
        check_density(flow(DequantisedFlow, _log_prob=_log_prob))


def test_a_bound_is_built_small_whatever_its_size(kinds, made):
    """At 4×6 pixels no sum can be taken; the law used to be skipped without a word."""
    planted(
        kinds.bound,
        made,
        "at most 1",
        config={},
        _log_prob=lambda self, x: kinds.pixels._log_prob(self, x) + 0.1,
    )


def test_a_density_that_cannot_be_built_small_is_told(kinds, made):
    def large(self, config):
        if min(config.image_shape[1:]) < 4:
            raise ValueError("too small")
        kinds.pixels.__init__(self, config)

    planted(kinds.pixels, made, "no small image_shape that Broken accepts", config={}, __init__=large)
