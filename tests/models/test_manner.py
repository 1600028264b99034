"""Samples drawn in another manner than from p(x): means, temperatures, truncations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import toys
from latent_toys import Stripes, StripesConfig

from genzoo.errors import ArgumentError
from genzoo.manner import PLAIN, Manner
from genzoo.models import AutoregressiveModel
from genzoo.models.manner import has_mean, in_manner, pictured, truncated
from genzoo.models.panel import panel
from genzoo.rng import Rng
from genzoo.testing import LawError, check_generative


class Noisy(Stripes):
    """A VAE whose p(x|z) has a noise of its own, drawn after z."""

    def _sample(self, rng):
        z = self._latents(rng)
        return self._decode(z) + 0.1 * rng.uniform(*self.image_shape).float()

    def _decode(self, z):
        return 0.9 * super()._decode(z)


class Coin(AutoregressiveModel):
    """One pixel with three levels, whose probabilities are 0.5, 0.3 and 0.2."""

    Config = toys.ToyConfig
    levels = 3
    LOGITS = torch.tensor([0.5, 0.3, 0.2]).log()

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.weight = torch.nn.Parameter(self.LOGITS.clone())

    def _predict(self, x):
        return self.weight.view(1, 3, 1, 1, 1).expand(len(x), 3, *self.image_shape)

    def _log_mass(self, params, level):
        return params.log_softmax(1).gather(1, level[:, None])[:, 0]

    def _quantile(self, params, u):
        return (params.double().softmax(1).cumsum(1)[:, :-1] <= u[:, None]).sum(1)


def noisy():
    return Noisy(StripesConfig()).eval()


def coin(cls=Coin):
    return cls(toys.ToyConfig(image_shape=(1, 8, 8))).eval()


class TestMean:
    def test_it_is_the_decoded_z_of_the_same_seed_and_number(self):
        model = noisy()
        means = model.sample(20, seed=3, mean=True)
        assert torch.equal(means, model.decode(model.sample_latents(20, seed=3)))
        assert torch.equal(means[:2], model.sample(2, seed=3, mean=True))
        noise = model.sample(20, seed=3) - means
        assert noise.std() > 0.01  # the same z below the noise
        assert noise.min() > -1e-6 and noise.max() < 0.1 + 1e-6

    def test_python_samples_p_of_x_unless_asked(self):
        model = noisy()
        assert torch.equal(model.sample(2, seed=0), model.sample(2, seed=0, mean=False))
        assert not torch.equal(model.sample(2, seed=0), model.sample(2, seed=0, mean=True))

    def test_pictures_of_such_models_show_it(self):
        model = noisy()
        assert has_mean(model) and pictured(model).words == "mean of p(x|z)"
        assert torch.equal(panel(model, 4)[0], model.sample(4, seed=0, mean=True))

    @pytest.mark.parametrize("model", [toys.gan(), coin()], ids=["gan", "pixels"])
    def test_other_models_are_shown_by_samples(self, model):
        assert not has_mean(model) and pictured(model) == PLAIN
        assert torch.equal(panel(model, 4)[0], model.sample(4, seed=0))


class TestTruncation:
    def test_components_within_stay_and_others_are_drawn_again(self):
        z = Rng(0, 0, 4000).normal(8)
        found = truncated(z, Rng(0, 0, 4000), "normal", 0.7)
        inside = z.abs() <= 0.7
        assert torch.equal(found[inside], z[inside])
        assert found.abs().max() <= 0.7 and not torch.equal(found, z.clamp(-0.7, 0.7))
        assert len(found[~inside].unique()) > 0.99 * (~inside).sum()

    def test_they_have_the_distribution_of_redrawing(self):
        """Against what the definition says: draw until |z| <= t, with another generator."""
        found = truncated(Rng(0, 0, 4000).normal(8), Rng(0, 0, 4000), "normal", 0.7).flatten()
        drawn = np.random.default_rng(1).standard_normal(200_000)
        again = np.sort(drawn[np.abs(drawn) <= 0.7])
        shares = np.searchsorted(again, np.sort(found.numpy())) / len(again)
        distance = np.abs(shares - np.linspace(0, 1, len(found))).max()  # Kolmogorov-Smirnov
        assert distance < 1.63 * math.sqrt(1 / len(found) + 1 / len(again))

    def test_a_uniform_prior_stays_uniform(self):
        z = (2 * Rng(0, 0, 4000).uniform(4) - 1).float()
        found = truncated(z, Rng(0, 0, 4000), "uniform", 0.5)
        assert found.abs().max() <= 0.5 and abs(float(found.std()) - 0.5 / math.sqrt(3)) < 0.005
        assert torch.equal(truncated(z, Rng(0, 0, 4000), "uniform", 2.0), z)

    def test_an_image_is_the_same_in_any_company_and_its_other_noise_stays(self):
        model = noisy()
        many = model.sample(40, seed=5, truncation=0.3)
        assert torch.equal(many[:3], model.sample(3, seed=5, truncation=0.3))
        assert not torch.equal(many, model.sample(40, seed=6, truncation=0.3))
        wide = model.sample(40, seed=5, truncation=100)
        assert torch.equal(wide, model.sample(40, seed=5))
        means = (model.sample(40, seed=5, truncation=t, mean=True) for t in (0.3, 100))
        assert torch.allclose(*(x - m for x, m in zip((many, wide), means, strict=True)), atol=1e-6)

    def test_a_gan_is_given_the_truncated_z(self):
        model = toys.gan()
        z = truncated(model.sample_latents(5, seed=2), Rng(2, 0, 5), "normal", 0.4)
        assert torch.equal(model.sample(5, seed=2, truncation=0.4), model.decode(z))

    def test_the_model_itself_is_left_as_it_was(self):
        model = toys.gan()
        before = model.sample(3, seed=0)
        model.sample(3, seed=0, truncation=0.1)
        assert model._manner == PLAIN and torch.equal(model.sample(3, seed=0), before)


class TestTemperature:
    @pytest.mark.parametrize("temperature", [0.25, 1.0, 2.0])
    def test_levels_have_the_powers_of_their_probabilities(self, temperature):
        levels = (coin().sample(500, seed=0, temperature=temperature) * 2).round().long().flatten()
        shares = levels.bincount(minlength=3) / len(levels)
        powers = torch.tensor([0.5, 0.3, 0.2]) ** (1 / temperature)
        expected = powers / powers.sum()
        assert (shares - expected).abs().max() < 4 * 0.5 / math.sqrt(len(levels))

    def test_one_changes_nothing(self):
        model = coin()
        assert torch.equal(model.sample(5, seed=0), model.sample(5, seed=0, temperature=1))

    def test_completions_keep_temperature_one(self):
        model = coin()
        nothing = torch.zeros(1, 1, 8, 8)
        completed = model.complete(nothing, nothing[0, 0].bool(), n=4, seed=0)[0]
        assert torch.equal(completed, model.sample(4, seed=0))

    @pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
    def test_completions_are_drawn_at_it(self, temperature):
        """With nothing kept they are the samples at that temperature, and what is kept is not touched."""
        model, x = coin(), torch.rand(2, 1, 8, 8).mul(2).round() / 2
        nothing, half = torch.zeros(8, 8).bool(), torch.arange(64).view(8, 8) < 32
        asked = {"n": 4, "seed": 0, "temperature": temperature}
        images = model.complete(x[:1], nothing, **asked)[0]
        assert torch.equal(images, model.sample(4, seed=0, temperature=temperature))
        done = model.complete(x, half, **asked)
        assert torch.equal(done[..., :4, :], x[:, None, :, :4].expand(2, 4, 1, 4, 8))
        assert torch.equal(done[0][..., 4:, :], images[..., 4:, :])  # each pixel of a coin is on its own
        assert model._manner == PLAIN

    def test_completions_refuse_what_is_no_temperature(self):
        with pytest.raises(ArgumentError, match=r"temperature must be a number from 0\.01 to 100, not 0"):
            coin().complete(torch.zeros(1, 1, 8, 8), torch.zeros(8, 8).bool(), temperature=0)

    def test_an_image_is_the_same_in_any_company(self):
        model = coin()
        many = model.sample(20, seed=1, temperature=0.5)
        assert torch.equal(many[:2], model.sample(2, seed=1, temperature=0.5))


class TestRefusals:
    @pytest.mark.parametrize(
        ("model", "manner", "words"),
        [
            (toys.gan(), {"mean": True}, "mean has no meaning for ToyGAN: x is a function of z"),
            (coin(), {"mean": True}, "mean has no meaning for Coin: it has no z"),
            (toys.gan(), {"temperature": 1}, "temperature has no meaning for ToyGAN: .* — .*; truncation"),
            (noisy(), {"temperature": 0.5}, "temperature has no meaning for Noisy"),
            (coin(), {"truncation": 0.5}, "truncation has no meaning for Coin: it has no z .*; temperature"),
        ],
    )  # fmt: skip
    def test_what_has_no_meaning_is_refused_with_a_reason(self, model, manner, words):
        with pytest.raises(ArgumentError, match=words):
            model.sample(1, seed=0, **manner)
        with pytest.raises(ArgumentError, match=words):
            model.sample_batches(1, seed=0, **manner)

    @pytest.mark.parametrize(
        ("manner", "words"),
        [
            ({"mean": 1}, "mean must be True or False, not 1"),
            ({"temperature": 0}, "temperature must be a number from 0.01 to 100, not 0"),
            ({"temperature": math.nan}, "temperature must be a number"),
            ({"temperature": True}, "temperature must be a number"),
            ({"truncation": -0.5}, "truncation must be a number from 0.01 to 100, not -0.5"),
            ({"truncation": "1"}, "truncation must be a number .* not '1'"),
        ],
    )
    def test_values_out_of_range(self, manner, words):
        with pytest.raises(ArgumentError, match=words):
            Manner(**manner)

    def test_what_is_said_of_samples(self):
        assert Manner().words == ""
        assert Manner(mean=True, truncation=0.5).words == "mean of p(x|z), truncation 0.5"
        assert Manner(temperature=1).words == "temperature 1"


class TestTheLaws:
    def test_honest_models_pass(self):
        for model in (noisy(), coin(), toys.gan()):
            check_generative(model)

    def test_a_model_that_draws_its_own_z_is_found(self):
        class Own(toys.ToyGAN):
            def _sample(self, rng):
                return self._decode(rng.normal(self.latent_size))

        with pytest.raises(LawError, match=r"(?s)a truncation of z changes.*self\._latents\(rng\)"):
            check_generative(Own(toys.ToyConfig()).eval())

    def test_a_fast_sampler_without_the_temperature_is_found(self):
        class Fast(Coin):
            cools = True

            def _complete(self, x, mask, rng):
                return AutoregressiveModel._complete_naively(
                    in_manner(self, Manner(temperature=1)), x, mask, rng
                )

        with pytest.raises(LawError, match=r"(?s)a temperature is obeyed.*self\._level"):
            check_generative(coin(Fast))

    def test_a_fast_sampler_that_does_not_say_that_it_cools_is_not_asked(self):
        class Warm(Coin):
            def _complete(self, x, mask, rng):
                return AutoregressiveModel._complete_naively(
                    in_manner(self, Manner(temperature=1)), x, mask, rng
                )

        model = coin(Warm)
        check_generative(model)
        assert torch.equal(
            model.sample(64, temperature=0.1, seed=0), coin().sample(64, temperature=0.1, seed=0)
        )
