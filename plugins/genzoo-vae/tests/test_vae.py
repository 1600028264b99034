"""VAE and IWAE: bounds held against log p(x) by quadrature, likelihoods, noise that belongs to the image, training."""

from __future__ import annotations

import math
from types import SimpleNamespace

import genzoo_vae
import pytest
import torch
from genzoo_vae import vae as vae_module
from genzoo_vae.likelihoods import KINDS
from genzoo_vae.vae import VAE, VAEConfig

from genzoo import Family, hookimpl, registry, zoo
from genzoo.data import open_data
from genzoo.errors import ArgumentError, TrainingError
from genzoo.evaluation.likelihood import likelihood
from genzoo.evaluation.records import comparable
from genzoo.losses import elbo
from genzoo.noise import Draws, generator
from genzoo.recipe import Recipe
from genzoo.testing import check_model
from genzoo.testing.density import every_image
from genzoo.training import players

SHAPES = [(1, 1, 1), (3, 5, 7), (1, 28, 20), (2, 9, 4), (3, 16, 16)]
CARDS = {card.name: card for card in genzoo_vae.genzoo_cards()}


def tiny(image_shape=(1, 2, 3), **config):
    """Return a small VAE whose weights are larger than fresh ones, so that z matters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VAE(VAEConfig(image_shape=image_shape, **{"latent_size": 1, "width": 5, "depth": 1, "likelihood": "bernoulli", **config}))
        for parameter in model.parameters():
            parameter.data *= 1.5
        return model


def pictures(shape, n=4, seed=3):
    return (Draws(seed, 0, n).uniform(*shape) < 0.5).float()


def log_p(model, x):
    """Return log p(x) of a model with one latent, by quadrature over z."""
    z = torch.linspace(-8, 8, 4001)[:, None]
    step = 16 / 4000
    with torch.no_grad():
        likelihood = model._log_likelihood(x, z[:, None].expand(-1, len(x), 1)).double()
    return torch.logsumexp(likelihood + elbo.log_prior(z.double())[:, None], 0) + math.log(step)


class TestCards:
    @pytest.mark.parametrize("name", CARDS)
    def test_every_law(self, name):
        check_model(CARDS[name])

    @pytest.mark.parametrize("likelihood", KINDS)
    @pytest.mark.parametrize("net", ["mlp", "conv", "hybrid"])
    def test_every_kind_of_vae(self, net, likelihood):
        check_model(CARDS["vae"], net=net, likelihood=likelihood, image_shape=(3, 5, 7), depth=1)

    def test_they_are_what_they_say(self):
        for name, card in CARDS.items():
            assert card.family is (Family.AUTOENCODER if name.startswith("autoencoder") else Family.APPROXIMATE)
            assert card.summary and card.paper and card.recipe.command.startswith(f"genzoo train {name}")
        assert CARDS["iwae-mnist"].config["k"] == 50
        assert {CARDS[name].config["latent_size"] for name in ("vae2d-mnist", "vae-frey")} == {2}
        assert {CARDS[name].recipe.data for name in ("vae-mnist", "iwae-mnist", "vae2d-mnist")} == {"binarized-mnist"}

    @pytest.mark.parametrize("name", [name for name in CARDS if "-" in name])
    def test_weights_are_at_most_4_megabytes(self, name):
        with torch.device("meta"):
            state = CARDS[name].build().state_dict()
        half = CARDS[name].recipe.storage == "float16"
        assert sum(v.numel() * (2 if half and v.ndim >= 2 else 4) for v in state.values()) < 4_000_000


class TestShapes:
    @pytest.mark.parametrize("net", ["mlp", "conv", "hybrid"])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_any_shape(self, shape, net):
        model = tiny(shape, net=net, latent_size=3)
        x = pictures(shape)
        assert model.sample(2, seed=0).shape == (2, *shape)
        assert model.log_prob(x).shape == (4,)
        mean, log_var = model.encode(x)
        assert mean.shape == log_var.shape == (4, 3)
        assert model.decode(mean).shape == x.shape


class TestHybrid:
    def test_every_square_is_drawn_by_the_same_weights_from_its_neighbourhood(self):
        """Features that move by one position move what is drawn by one square."""
        draw = tiny((1, 16, 16), net="hybrid", width=3).decoder.draw
        features = torch.randn(2, 3, 4, 4, generator=generator(0))
        with torch.no_grad():
            here, moved = draw(features), draw(features.roll((1, 1), (2, 3)))
        torch.testing.assert_close(moved[..., 8:12, 8:12], here[..., 4:8, 4:8])
        assert not torch.allclose(moved, here)

    def test_every_latent_reaches_every_pixel(self):
        model = tiny((1, 9, 6), net="hybrid", latent_size=3)
        slopes = torch.func.jacrev(model.decoder)(torch.zeros(1, 3)).reshape(54, 3)
        assert (slopes != 0).all()

    def test_it_has_few_weights(self):
        hybrid, dense = (sum(p.numel() for p in tiny((1, 28, 28), **config).decoder.parameters()) for config in (
            {"net": "hybrid", "width": 16, "units": 160}, {"net": "mlp", "width": 200, "depth": 2}))  # fmt: skip
        assert hybrid < 0.7 * dense


class TestBounds:
    def test_elbo_below_iwae_below_log_p(self):
        model, x = tiny(), every_image((1, 2, 3), 2)
        true = log_p(model, x)
        assert float(true.exp().sum()) == pytest.approx(1, abs=1e-4)  # of all 64 images: the reference is right
        bounds = [torch.stack([model.iwae(x, k, seed).bound for seed in range(16)]).mean(0) for k in (5, 20)]
        means = [float(bound.mean()) for bound in (model.log_prob(x), *bounds, true)]
        assert means == sorted(means) and means[1] - means[0] > 0.3
        result = model.iwae(x, 2000)
        assert ((result.bound - true).abs() < 5 * result.stderr + 1e-4).all()

    def test_elbo_is_the_mean_of_one_draw(self):
        model, x = tiny(), pictures((1, 2, 3), 3)
        draws = torch.stack([model.iwae(x, 1, seed=seed).bound for seed in range(600)])
        gap = (draws.mean(0) - model.log_prob(x)).abs()
        assert (gap < 5 * draws.std(0) / 600**0.5 + 5 * draws.std(0) / 16**0.5).all()

    def test_elbos_of_all_images_sum_to_at_most_1(self):
        assert 0.1 < float(tiny().log_prob(every_image((1, 2, 3), 2)).double().exp().sum()) <= 1

    def test_the_standard_error_is_the_spread_over_seeds(self):
        model, x = tiny(), pictures((1, 2, 3), 3)
        results = [model.iwae(x, 100, seed=seed) for seed in range(80)]
        spread = torch.stack([result.bound for result in results]).std(0)
        told = torch.stack([result.stderr for result in results]).mean(0)
        torch.testing.assert_close(told, spread, rtol=0.3, atol=1e-4)
        assert model.iwae(x, 1).stderr.isnan().all()  # one draw knows nothing of its spread

    def test_blocks_make_one_bound(self, monkeypatch):
        """117 draws in three blocks are the bound of 117 weights."""
        model, x = tiny(), pictures((1, 2, 3), 2)
        seen = []
        weigh = elbo.log_weight
        monkeypatch.setattr(vae_module.elbo, "log_weight", lambda *given: seen.append(weigh(*given)) or seen[-1])
        result = model.iwae(x, 117)
        assert [len(part) for part in seen] == [50, 50, 17]
        torch.testing.assert_close(result.bound, elbo.iwae(torch.cat(seen)))
        w = torch.cat(seen).double().exp()
        torch.testing.assert_close(result.stderr.double(), w.std(0, correction=0) / w.mean(0) / 117**0.5, rtol=1e-4, atol=1e-6)

    def test_memory_is_bounded(self, monkeypatch):
        model, rows = tiny((1, 28, 28)), []
        decode = model._log_likelihood
        monkeypatch.setattr(model, "_log_likelihood", lambda x, z: rows.append(z[..., 0].numel()) or decode(x, z))
        model.iwae(pictures((1, 28, 28), 120), 120)
        model.log_prob(pictures((1, 28, 28), 300))
        assert max(rows) * 28 * 28 <= vae_module.VALUES

    @pytest.mark.parametrize("k", [0, -1, 1.5, True, "many", None])
    def test_a_wrong_k(self, k):
        with pytest.raises(ArgumentError, match="k must be a whole number of at least 1"):
            tiny().iwae(pictures((1, 2, 3)), k)


class TestNoise:
    def test_it_belongs_to_the_image(self):
        model, x = tiny((1, 4, 4), latent_size=3), pictures((1, 4, 4), 300)
        whole = model.log_prob(x)
        torch.testing.assert_close(model.log_prob(x[7:9]), whole[7:9])
        torch.testing.assert_close(model.iwae(x[7:8], 60).bound, model.iwae(x[:100], 60).bound[7:8])
        assert torch.equal(whole, model.log_prob(x))

    def test_images_do_not_share_it(self):
        first, second = (vae_module._seeds(x, "elbo")[0] for x in pictures((1, 4, 4), 2).split(1))
        assert first != second

    def test_another_seed_is_another_estimate(self):
        model, x = tiny(), pictures((1, 2, 3))
        assert not torch.equal(model.iwae(x, 10, seed=1).bound, model.iwae(x, 10, seed=2).bound)


class TestLikelihoods:
    @pytest.mark.parametrize("ask", [lambda m, x: m.log_prob(x), lambda m, x: m.iwae(x, 2), lambda m, x: m.objective(x, generator(0))])
    def test_bernoulli_refuses_grey_levels(self, ask):
        grey = torch.full((1, 1, 2, 3), 0.3)
        with pytest.raises(ArgumentError, match=r"grey levels such as 0\.3.*no density.*binarized-mnist"):
            ask(tiny(), grey)

    @pytest.mark.parametrize("kind", ["gaussian", "logistic"])
    def test_the_others_take_them(self, kind):
        assert torch.isfinite(tiny(likelihood=kind).log_prob(torch.full((1, 1, 2, 3), 0.3))).all()

    def test_the_masses_of_one_pixel_sum_to_1(self):
        """All 256 images of one 8-bit pixel, p(x) by quadrature; and Σ exp(ELBO) ≤ 1."""
        model = tiny((1, 1, 1), likelihood="logistic")
        x = every_image((1, 1, 1), 256)
        assert float(log_p(model, x).exp().sum()) == pytest.approx(1, abs=1e-3)
        assert float(model.log_prob(x).double().exp().sum()) <= 1

    def test_the_variance_of_a_gaussian_is_learned(self):
        model = tiny(likelihood="gaussian")
        value, _ = model.objective(pictures((1, 2, 3)), generator(0))
        (slope,) = torch.autograd.grad(value, model.likelihood.log_var)
        assert slope.abs() > 0

    def test_samples_have_the_frequencies_of_p(self):
        """20,000 samples of a model with 4 pixels against log p(x) by quadrature."""
        model, n = tiny((1, 2, 2)), 20_000
        every = every_image((1, 2, 2), 2)
        with torch.no_grad():
            drawn = model._sample(Draws(0, 0, n))
        counts = (drawn.flatten(1)[:, None] == every.flatten(1)[None]).all(-1).sum(0)
        expected = n * log_p(model, every).exp()
        assert float(((counts - expected) ** 2 / expected).sum()) < 37.7  # chi-squared, 15 degrees of freedom: p = 0.001

    @pytest.mark.parametrize(("kind", "levels"), [("bernoulli", 2), ("gaussian", 0), ("logistic", 256)])
    def test_samples_are_of_the_kind_that_log_prob_takes(self, kind, levels):
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
        drawn = likelihood.draw(torch.zeros(20_000, 1, 1, 1), Draws(0, 0, 20_000).uniform(1, 1, 1)).detach()
        assert float(drawn.std()) == pytest.approx(math.exp(-3), rel=0.03)

    @pytest.mark.parametrize("kind", KINDS)
    def test_draws_scatter_about_the_mean(self, kind):
        likelihood = KINDS[kind]()
        maps = torch.full((1, likelihood.outputs, 1, 1), 0.1).expand(20_000, -1, 1, 1)
        drawn = likelihood.draw(maps, Draws(0, 0, 20_000).uniform(1, 1, 1)).detach()
        assert float(drawn.mean()) == pytest.approx(float(likelihood.mean(maps)[0]), abs=0.015)


class TestObjective:
    def test_k_1_is_the_elbo_on_average(self):
        model, x = tiny(), pictures((1, 2, 3))
        with torch.no_grad():
            values = torch.stack([model.objective(x, generator(seed))[0] for seed in range(400)])
        exact = torch.stack([model.iwae(x, 1, seed).bound.mean() for seed in range(400)]).detach()
        assert abs(values.mean() - exact.mean()) < 5 * (values.std() + exact.std()) / 20

    def test_more_draws_maximise_a_tighter_bound(self):
        x = pictures((1, 2, 3))
        with torch.no_grad():
            means = [torch.stack([tiny(k=k).objective(x, generator(s))[0] for s in range(100)]).mean() for k in (1, 5, 50)]
        assert means[0] < means[1] < means[2]

    def test_beta_weighs_the_kl_and_is_told(self):
        x = pictures((1, 2, 3))
        with torch.no_grad():
            (one, kl), (four, _) = (tiny(beta=beta).objective(x, generator(0)) for beta in (1.0, 4.0))
        assert float(one - four) == pytest.approx(float(3 * kl), rel=1e-4)
        assert tiny().record_note == "" and "no bound" in tiny(beta=4.0).record_note and "beta = 4" in tiny(beta=4.0).record_note
        torch.testing.assert_close(tiny(beta=4.0).log_prob(x), tiny().log_prob(x))  # asked for, it is the ELBO all the same

    def test_records_tell_bounds_densities_and_beta(self):
        images = open_data("digits", held_out=0)
        plain, density, weighed = (
            likelihood(tiny((1, 8, 8), **config), images, 20)[0]
            for config in ({"likelihood": "logistic"}, {"likelihood": "gaussian"}, {"likelihood": "logistic", "beta": 4.0})
        )
        assert plain.kind == "elbo" and plain.note == "" and "≤" in str(plain)
        assert not comparable(plain, density) and "density of real-valued pixels" in density.protocol
        assert comparable(plain, weighed) and "no bound was maximised in training: beta = 4" in weighed.note

    def test_free_bits(self):
        x = pictures((1, 2, 3))
        with torch.no_grad():
            plain, kl = tiny().objective(x, generator(0))
            free, told = tiny(free_bits=50.0).objective(x, generator(0))
        assert told == kl and float(plain - free) == pytest.approx(50 - float(kl), rel=1e-4)

    def test_a_warm_up_weighs_the_kl_by_what_has_passed(self):
        model, x = tiny(beta=2.0, warmup=4), pictures((1, 2, 3))
        values = []
        with torch.no_grad():
            for share in (0.0, 0.25, 1.0):
                value, divergence = model.objective(x, generator(0), share)
                values.append(float(value))
        assert values[0] - values[1] == pytest.approx(0.25 * 2 * float(divergence), rel=1e-4)
        assert values[0] - values[2] == pytest.approx(2 * float(divergence), rel=1e-4)

    def test_the_player_warms_up_with_the_step_and_then_takes_k_draws(self, monkeypatch):
        model, x, asked = tiny(k=3, k_from=6, warmup=4), pictures((1, 2, 3)), []
        objective = model.objective
        monkeypatch.setattr(model, "objective", lambda *given: asked.append(given[2:]) or objective(*given))
        (player,) = players(model, Recipe())
        for step in (0, 1, 4, 5, 6, 99):
            player.before_turn(step)
            player.loss(x, generator(step))
        assert asked == [(0, 1), (0.25, 1), (1, 1), (1, 1), (1, 3), (1, 3)]

    def test_one_draw_of_a_model_with_k_is_the_elbo(self):
        x = pictures((1, 2, 3))
        with torch.no_grad():
            assert tiny(k=50).objective(x, generator(0), 1.0, 1) == tiny().objective(x, generator(0))
            assert tiny(k=50).objective(x, generator(0))[0] > tiny().objective(x, generator(0))[0]

    def test_a_warm_up_must_be_over_when_k_draws_begin(self):
        with pytest.raises(ArgumentError, match=r"config of vae: warmup weighs the KL of the ELBO.*k_from=10 or later"):
            CARDS["vae"].build(k=5, warmup=10, k_from=9)
        CARDS["vae"].build(k=5, warmup=10, k_from=10)

    def test_a_warm_up_leaves_a_bound_another_beta_does_not(self):
        assert tiny(warmup=100).record_note == "" and "no bound" in tiny(warmup=100, beta=0.5).record_note

    @pytest.mark.parametrize("wrong", [{"k": 5, "beta": 2.0}, {"k": 5, "free_bits": 0.1}])
    def test_switches_of_the_kl_do_not_go_with_importance_weights(self, wrong):
        with pytest.raises(ArgumentError, match="config of vae: beta and free_bits"):
            CARDS["vae"].build(**wrong)

    @pytest.mark.parametrize("wrong", [{"k": 0}, {"likelihood": "poisson"}, {"net": "cnn"}, {"depth": 0}, {"latent_size": 0}, {"beta": -1}])
    def test_wrong_configs_are_named(self, wrong):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            CARDS["vae"].build(**wrong)


class TestTraining:
    def test_the_loss_is_minus_the_bound_in_nats(self):
        model, x = tiny(), pictures((1, 2, 3))
        (player,) = players(model, Recipe())
        assert player.name == "model" and player.average
        assert player.loss(x, generator(0)) == -model.objective(x, generator(0))[0]

    def test_it_learns(self):
        """Four pixels that are always equal cost log 2 nats, not 4 log 2."""
        model = tiny((1, 2, 2), width=16)
        x = torch.tensor([0.0, 1.0]).repeat(16).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
        (player,) = players(model, Recipe())
        adam = torch.optim.Adam(model.parameters(), 0.02)
        for step in range(300):
            adam.zero_grad()
            player.loss(x, generator(step)).backward()
            adam.step()
        assert -1.5 < float(model.log_prob(x).mean()) < -math.log(2) + 0.01

    def test_a_collapsed_posterior_is_named(self):
        watched, ignored = vae_module.Collapse(stops=True), vae_module.Collapse(stops=False)
        for _ in range(vae_module.PATIENCE - 1):
            watched.look(torch.tensor(0.001))
            ignored.look(torch.tensor(0.001))
        ignored.look(torch.tensor(0.001))
        with pytest.raises(TrainingError, match=r"posterior has collapsed.*free_bits"):
            watched.look(torch.tensor(0.001))

    def test_a_posterior_that_tells_something_is_left_alone(self):
        watched = vae_module.Collapse(stops=True)
        for _ in range(2 * vae_module.PATIENCE):
            watched.look(torch.tensor(0.5))

    def test_every_image_has_its_own_elbo(self):
        values = tiny((1, 2, 2)).log_prob(every_image((1, 2, 2), 2))
        assert (values < 0).all() and len(values.unique()) > 8


@pytest.mark.parametrize("settings", [
    {"net": "conv", "width": 4, "depth": 0, "free_bits": 0.1}, {"k": 3, "width": 8, "likelihood": "gaussian"}, {"width": 8, "beta": 2.0},
    {"width": 8, "warmup": 3, "k": 2, "k_from": 3},
])  # fmt: skip
def test_from_card_to_bounds_on_digits(tmp_path, monkeypatch, settings):
    """A tiny VAE is trained for a moment, goes on from its checkpoint to the same bits, is published, loaded and verified."""
    about = SimpleNamespace(name="genzoo-vae", version="0.1.0")
    plugin = SimpleNamespace(genzoo_cards=hookimpl(genzoo_vae.genzoo_cards, specname="genzoo_cards"))
    entry = SimpleNamespace(name="vae", value="genzoo_vae", group="genzoo", dist=about, load=lambda: plugin)
    monkeypatch.setattr(registry, "discover", lambda: [entry])
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    registry.installed.cache_clear()
    try:
        given = {"settings": {"latent_size": 2, "batch": 16, "held_out": 0.0, **settings}, "device": "cpu", "quiet": True}
        whole = zoo.train("vae", "digits", tmp_path / "whole", 4, **given)
        zoo.train("vae", "digits", tmp_path / "parts", 2, **given)
        parts = zoo.train("vae", "digits", tmp_path / "parts", 4, resume=True, **given)
        assert parts.weights.read_bytes() == whole.weights.read_bytes()
        monkeypatch.setenv("GENZOO_ZOO", str(whole.folder))
        model = zoo.load("vae")
        assert model.image_shape == (1, 8, 8) and model.config.beta == settings.get("beta", 1.0)
        assert "agree within 0 grey levels" in zoo.verify("vae")
        x = model.sample(3, seed=0)
        assert torch.equal(model.log_prob(x), zoo.load("vae").log_prob(x))
    finally:
        registry.installed.cache_clear()
