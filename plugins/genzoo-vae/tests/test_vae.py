"""VAE and IWAE: bounds held against log p(x) by quadrature, likelihoods, noise that belongs to the image."""

from __future__ import annotations

import math

import genzoo_vae
import pytest
import torch
from genzoo_vae import vae as vae_module
from genzoo_vae.likelihoods import KINDS
from genzoo_vae.nets import base_of

from genzoo import Family
from genzoo.errors import ArgumentError
from genzoo.losses import elbo
from genzoo.rng import Rng, generator
from genzoo.testing import check_model
from genzoo.testing.density import every_image

SHAPES = [(1, 1, 1), (3, 5, 7), (1, 28, 20), (2, 9, 4), (3, 16, 16)]
CARDS = {card.name: card for card in genzoo_vae.genzoo_cards()}


def log_p(model, x):
    """Return log p(x) of a model with one latent, by quadrature over z."""
    z = torch.linspace(-8, 8, 4001)[:, None]
    step = 16 / 4000
    with torch.no_grad():
        likelihood = model._log_likelihood(x, z[:, None].expand(-1, len(x), 1)).double()
    return torch.logsumexp(likelihood + elbo.log_prior(z.double())[:, None], 0) + math.log(step)


class TestCards:
    @pytest.mark.parametrize("likelihood", KINDS)
    @pytest.mark.parametrize("net", ["mlp", "conv", "hybrid", "map"])
    def test_every_kind_of_vae(self, net, likelihood):
        shape = {"net": net, "image_shape": (3, 5, 7), "depth": 1, "latent_size": 48}
        check_model(CARDS["vae"], likelihood=likelihood, **shape)

    def test_they_are_what_they_say(self):
        for name, card in CARDS.items():
            assert card.family is (
                Family.AUTOENCODER if name.startswith("autoencoder") else Family.APPROXIMATE
            )
            assert card.summary and card.paper and card.recipe.data
        assert CARDS["iwae-mnist"].config["k"] == 50
        assert {CARDS[name].config["latent_size"] for name in ("vae2d-mnist", "vae-frey")} == {2}
        cifar = CARDS["vae-cifar10"]
        assert cifar.build().levels == 256 and cifar.recipe.data == "cifar10"
        assert {CARDS[name].recipe.data for name in ("vae-mnist", "iwae-mnist", "vae2d-mnist")} == {
            "binarized-mnist"
        }

    @pytest.mark.parametrize("name", [name for name in CARDS if "-" in name])
    def test_weights_are_at_most_4_megabytes(self, name):
        with torch.device("meta"):
            state = CARDS[name].build().state_dict()
        half = CARDS[name].recipe.save_dtype == "float16"
        assert sum(v.numel() * (2 if half and v.ndim >= 2 else 4) for v in state.values()) < 4_000_000


class TestShapes:
    @pytest.mark.parametrize("net", ["mlp", "conv", "hybrid", "map"])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_any_shape(self, shape, net, tiny, pictures):
        size = 3 * math.prod(base_of(shape, 2)) if net == "map" else 3
        model = tiny(shape, net=net, latent_size=size)
        x = pictures(shape)
        assert model.sample(2, seed=0).shape == (2, *shape)
        assert model.log_prob(x).shape == (4,)
        mean, log_var = model.encode(x)
        assert mean.shape == log_var.shape == (4, size)
        assert model.decode(mean).shape == x.shape


class TestMap:
    def test_latents_that_do_not_fill_the_map_are_refused_with_the_nearest_that_do(self, tiny):
        with pytest.raises(ArgumentError, match="each of its 4 positions, and latent_size=6 is no") as caught:
            tiny((1, 8, 8), net="map", latent_size=6)
        assert caught.value.hint == "set latent_size=8"
        assert tiny((1, 8, 8), net="map", latent_size=8).latent_size == 8

    def test_a_label_is_seen_at_every_position(self):
        """A conditional VAE lays the label's vector beside the latents: it goes to all of them."""
        card = CARDS["cvae-mnist"]
        shape = {"net": "map", "depth": 0, "latent_size": 8, "draws": 1, "path_gradient": False}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = card.build(image_shape=(1, 8, 8), **shape)
        z = torch.zeros(1, 8)
        zero, one = (model.decode(z, condition=label) for label in ("0", "1"))
        assert (zero != one).all()

    def test_a_far_latent_changes_nothing(self, tiny):
        """As the prior says: latents of different places are independent."""
        model = tiny((1, 16, 16), net="map", latent_size=16, depth=0)
        z = torch.zeros(2, 16)
        z[1, 0] = 3.0
        first, second = model.decode(z)
        assert (first != second)[..., :4, :4].all() and torch.equal(first[..., 8:, 8:], second[..., 8:, 8:])


class TestHybrid:
    def test_every_square_is_drawn_by_the_same_weights_from_its_neighbourhood(self, tiny):
        """Features that move by one position move what is drawn by one square."""
        draw = tiny((1, 16, 16), net="hybrid", width=3).decoder.draw
        features = torch.randn(2, 3, 4, 4, generator=generator(0))
        with torch.no_grad():
            here, moved = draw(features), draw(features.roll((1, 1), (2, 3)))
        torch.testing.assert_close(moved[..., 8:12, 8:12], here[..., 4:8, 4:8])
        assert not torch.allclose(moved, here)

    def test_every_latent_reaches_every_pixel(self, tiny):
        model = tiny((1, 9, 6), net="hybrid", latent_size=3)
        slopes = torch.func.jacrev(model.decoder)(torch.zeros(1, 3)).reshape(54, 3)
        assert (slopes != 0).all()

    def test_the_encoder_ends_in_the_map_that_the_decoder_begins_with(self, tiny):
        model = tiny((1, 28, 28), net="hybrid", width=3)
        first = next(layer for layer in model.encoder if isinstance(layer, torch.nn.Linear))
        assert model.decoder.map == (7, 7, 3) and first.in_features == 7 * 7 * 3

    def test_it_has_few_weights(self, tiny):
        hybrid, dense = (
            sum(p.numel() for p in tiny((1, 28, 28), **config).decoder.parameters())
            for config in (
                {"net": "hybrid", "width": 16, "units": 160},
                {"net": "mlp", "width": 200, "depth": 2},
            )
        )
        assert hybrid < 0.7 * dense


class TestBounds:
    def test_elbo_below_iwae_below_log_p(self, tiny):
        model, x = tiny(), every_image((1, 2, 3), 2)
        true = log_p(model, x)
        # of all 64 images: the reference is right
        assert float(true.exp().sum()) == pytest.approx(1, abs=1e-4)
        bounds = [torch.stack([model.iwae(x, k, seed).bound for seed in range(16)]).mean(0) for k in (5, 20)]
        means = [float(bound.mean()) for bound in (model.log_prob(x), *bounds, true)]
        assert means == sorted(means) and means[1] - means[0] > 0.3
        result = model.iwae(x, 2000)
        assert ((result.bound - true).abs() < 5 * result.stderr + 1e-4).all()

    def test_elbo_is_the_mean_of_one_draw(self, tiny, pictures):
        model, x = tiny(), pictures((1, 2, 3), 3)
        draws = torch.stack([model.iwae(x, 1, seed=seed).bound for seed in range(600)])
        gap = (draws.mean(0) - model.log_prob(x)).abs()
        assert (gap < 5 * draws.std(0) / 600**0.5 + 5 * draws.std(0) / 16**0.5).all()

    def test_elbos_of_all_images_sum_to_at_most_1(self, tiny):
        assert 0.1 < float(tiny().log_prob(every_image((1, 2, 3), 2)).double().exp().sum()) <= 1

    def test_the_standard_error_is_the_spread_over_seeds(self, tiny, pictures):
        model, x = tiny(), pictures((1, 2, 3), 3)
        results = [model.iwae(x, 100, seed=seed) for seed in range(80)]
        spread = torch.stack([result.bound for result in results]).std(0)
        told = torch.stack([result.stderr for result in results]).mean(0)
        torch.testing.assert_close(told, spread, rtol=0.3, atol=1e-4)
        assert model.iwae(x, 1).stderr.isnan().all()  # one draw knows nothing of its spread

    def test_blocks_make_one_bound(self, monkeypatch, tiny, pictures):
        """117 draws in three blocks are the bound of 117 weights."""
        model, x = tiny(), pictures((1, 2, 3), 2)
        seen = []
        weigh = elbo.log_weight
        monkeypatch.setattr(
            vae_module.elbo, "log_weight", lambda *given: seen.append(weigh(*given)) or seen[-1]
        )
        result = model.iwae(x, 117)
        assert [len(part) for part in seen] == [50, 50, 17]
        torch.testing.assert_close(result.bound, elbo.iwae(torch.cat(seen)))
        w = torch.cat(seen).double().exp()
        torch.testing.assert_close(
            result.stderr.double(), w.std(0, correction=0) / w.mean(0) / 117**0.5, rtol=1e-4, atol=1e-6
        )

    def test_memory_is_bounded(self, monkeypatch, tiny, pictures):
        model, rows = tiny((1, 28, 28)), []
        decode = model._log_likelihood
        monkeypatch.setattr(
            model, "_log_likelihood", lambda x, z: rows.append(z[..., 0].numel()) or decode(x, z)
        )
        model.iwae(pictures((1, 28, 28), 120), 120)
        model.log_prob(pictures((1, 28, 28), 300))
        assert max(rows) * 28 * 28 <= vae_module.VALUES

    @pytest.mark.parametrize("k", [0, -1, 1.5, True, "many", None])
    def test_a_wrong_k(self, k, tiny, pictures):
        with pytest.raises(ArgumentError, match="k must be a whole number of at least 1"):
            tiny().iwae(pictures((1, 2, 3)), k)


class TestNoise:
    def test_it_belongs_to_the_image(self, tiny, pictures):
        model, x = tiny((1, 4, 4), latent_size=3), pictures((1, 4, 4), 300)
        whole = model.log_prob(x)
        torch.testing.assert_close(model.log_prob(x[7:9]), whole[7:9])
        torch.testing.assert_close(model.iwae(x[7:8], 60).bound, model.iwae(x[:100], 60).bound[7:8])
        assert torch.equal(whole, model.log_prob(x))

    def test_images_do_not_share_it(self, pictures):
        first, second = (vae_module._seeds(x, "elbo")[0] for x in pictures((1, 4, 4), 2).split(1))
        assert first != second

    def test_another_seed_is_another_estimate(self, tiny, pictures):
        model, x = tiny(), pictures((1, 2, 3))
        assert not torch.equal(model.iwae(x, 10, seed=1).bound, model.iwae(x, 10, seed=2).bound)


class TestLikelihoods:
    @pytest.mark.parametrize(
        "ask",
        [lambda m, x: m.log_prob(x), lambda m, x: m.iwae(x, 2), lambda m, x: m.objective(x, generator(0))],
    )
    def test_bernoulli_refuses_grey_levels(self, ask, tiny):
        grey = torch.full((1, 1, 2, 3), 0.3)
        with pytest.raises(ArgumentError, match=r"grey levels such as 0\.3.*not a density.*binarized-mnist"):
            ask(tiny(), grey)

    def test_colours_are_at_most_three(self, tiny):
        with pytest.raises(ArgumentError, match="red, green and blue, not of 4 channels") as caught:
            tiny((4, 4, 4), likelihood="colours")
        assert caught.value.hint == "set likelihood=logistic"

    def test_one_colour_is_the_logistic(self, tiny):
        """All 256 images of one pixel: p(x) by quadrature sums to 1, as it does without colours."""
        model = tiny((1, 1, 1), likelihood="colours")
        x = every_image((1, 1, 1), 256)
        assert float(log_p(model, x).exp().sum()) == pytest.approx(1, abs=1e-3)

    def test_colours_take_grey_levels_and_have_256(self, tiny):
        model = tiny((3, 2, 2), likelihood="colours")
        x = torch.full((1, 3, 2, 2), 0.3)
        assert model.levels == 256 and torch.isfinite(model.log_prob(x)).all()
        drawn = model.sample(40, seed=0)
        torch.testing.assert_close((drawn * 255).round() / 255, drawn)
        assert float(model.bits_per_dim(x)) == pytest.approx(-float(model.log_prob(x)) / 12 / math.log(2))

    @pytest.mark.parametrize("kind", ["gaussian", "logistic"])
    def test_the_others_take_them(self, kind, tiny):
        assert torch.isfinite(tiny(likelihood=kind).log_prob(torch.full((1, 1, 2, 3), 0.3))).all()

    def test_the_masses_of_one_pixel_sum_to_1(self, tiny):
        """All 256 images of one 8-bit pixel, p(x) by quadrature; and Σ exp(ELBO) ≤ 1."""
        model = tiny((1, 1, 1), likelihood="logistic")
        x = every_image((1, 1, 1), 256)
        assert float(log_p(model, x).exp().sum()) == pytest.approx(1, abs=1e-3)
        assert float(model.log_prob(x).double().exp().sum()) <= 1

    def test_the_variance_of_a_gaussian_is_learned(self, tiny, pictures):
        model = tiny(likelihood="gaussian")
        value, _ = model.objective(pictures((1, 2, 3)), generator(0))
        (slope,) = torch.autograd.grad(value, model.likelihood.log_var)
        assert slope.abs() > 0

    def test_samples_have_the_frequencies_of_p(self, tiny):
        """20,000 samples of a model with 4 pixels against log p(x) by quadrature."""
        model, n = tiny((1, 2, 2)), 20_000
        every = every_image((1, 2, 2), 2)
        with torch.no_grad():
            drawn = model._sample(Rng(0, 0, n))
        counts = (drawn.flatten(1)[:, None] == every.flatten(1)[None]).all(-1).sum(0)
        expected = n * log_p(model, every).exp()
        # chi-squared, 15 degrees of freedom: p = 0.001
        assert float(((counts - expected) ** 2 / expected).sum()) < 37.7

    @pytest.mark.parametrize(("kind", "levels"), [("bernoulli", 2), ("gaussian", 0), ("logistic", 256)])
    def test_samples_are_of_the_kind_that_log_prob_takes(self, kind, levels, tiny):
        model = tiny((1, 4, 4), likelihood=kind)
        assert model.levels == levels
        x = model.sample(40, seed=0)
        model.log_prob(x)
        if levels:
            torch.testing.assert_close((x * (levels - 1)).round() / (levels - 1), x)
        assert x.std(0).min() > 0

    def test_draws_of_a_gaussian_have_its_variance(self):
        likelihood = KINDS["gaussian"]()
        likelihood.log_var.data.fill_(-6.0)
        drawn = likelihood.draw(torch.zeros(20_000, 1, 1, 1), Rng(0, 0, 20_000).uniform(1, 1, 1)).detach()
        assert float(drawn.std()) == pytest.approx(math.exp(-3), rel=0.03)

    @pytest.mark.parametrize("kind", KINDS)
    def test_draws_scatter_about_the_mean(self, kind):
        likelihood = KINDS[kind]()
        maps = torch.full((1, likelihood.outputs * 3, 1, 1), 0.1).expand(20_000, -1, 1, 1)
        drawn = likelihood.draw(maps, Rng(0, 0, 20_000).uniform(3, 1, 1)).detach()
        torch.testing.assert_close(drawn.mean(0), likelihood.mean(maps)[0].detach(), rtol=0, atol=0.015)
