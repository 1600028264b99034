"""What a VAE or an IWAE maximises, how it is trained, and one whole way from card to published bounds."""

from __future__ import annotations

import math
from types import SimpleNamespace

import genzoo_vae
import pytest
import torch
from genzoo_vae import vae as vae_module

from genzoo import hookimpl, registry, zoo
from genzoo.data import open_data
from genzoo.errors import ArgumentError, TrainingError
from genzoo.evaluation.likelihood import likelihood
from genzoo.recipe import Recipe
from genzoo.record import comparable
from genzoo.rng import generator
from genzoo.testing.density import every_image
from genzoo.training import Batch, players

CARDS = {card.name: card for card in genzoo_vae.genzoo_cards()}


class TestObjective:
    def test_k_1_is_the_elbo_on_average(self, tiny, pictures):
        model, x = tiny(), pictures((1, 2, 3))
        with torch.no_grad():
            values = torch.stack([model.objective(x, generator(seed))[0] for seed in range(400)])
        exact = torch.stack([model.iwae(x, 1, seed).bound.mean() for seed in range(400)]).detach()
        assert abs(values.mean() - exact.mean()) < 5 * (values.std() + exact.std()) / 20

    def test_an_elbo_of_more_draws_is_the_same_bound_with_a_quieter_gradient(self, tiny, pictures):
        """The mean over eight draws, not their importance-weighted bound: neither it nor its gradient moves,
        and their noise falls by 8."""
        x, values, gradients = pictures((1, 2, 3)), [], []
        for model in (tiny(), tiny(draws=8)):
            told = [model.objective(x, generator(seed))[0] for seed in range(300)]
            bias = model.encoder[-1].bias
            slopes = torch.stack([torch.autograd.grad(value, bias)[0] for value in told])
            values.append(torch.stack(told).detach())
            gradients.append(slopes)
        for one, eight in (values, gradients):
            error = (one.var(0) / 300 + eight.var(0) / 300).sqrt()
            assert ((one.mean(0) - eight.mean(0)).abs() < 5 * error).all()
            assert 6 < one.var(0).sum() / eight.var(0).sum() < 10.5

    @pytest.mark.parametrize("k", [1, 5])
    def test_the_path_gradient_is_the_gradient_on_average(self, k, tiny, pictures):
        x, slopes = pictures((1, 2, 3)), []
        for model in (tiny(k=k), tiny(k=k, path_gradient=True)):
            weights = [model.encoder[-1].bias, model.decoder[-2].bias]
            told = [
                torch.autograd.grad(model.objective(x, generator(seed))[0], weights) for seed in range(400)
            ]
            slopes.append([torch.stack(of) for of in zip(*told, strict=True)])
        for usual, path in zip(*slopes, strict=True):
            error = (usual.var(0) / 400 + path.var(0) / 400).sqrt()
            assert ((usual.mean(0) - path.mean(0)).abs() < 5 * error).all()
        assert not torch.equal(slopes[0][0], slopes[1][0])
        with torch.no_grad():
            values = [tiny(k=k, path_gradient=path).objective(x, generator(0))[0] for path in (False, True)]
        # the bound itself; at k = 1 the KL is taken from the draws
        assert torch.isclose(*values, rtol=1e-5) == (k > 1)

    def test_more_draws_maximise_a_tighter_bound(self, tiny, pictures):
        x = pictures((1, 2, 3))
        with torch.no_grad():
            means = [
                torch.stack([tiny(k=k).objective(x, generator(s))[0] for s in range(100)]).mean()
                for k in (1, 5, 50)
            ]
        assert means[0] < means[1] < means[2]

    def test_beta_weighs_the_kl_and_is_told(self, tiny, pictures):
        x = pictures((1, 2, 3))
        with torch.no_grad():
            (one, kl), (four, _) = (tiny(beta=beta).objective(x, generator(0)) for beta in (1.0, 4.0))
        assert float(one - four) == pytest.approx(float(3 * kl), rel=1e-4)
        assert (
            tiny().record_note == ""
            and "no bound" in tiny(beta=4.0).record_note
            and "beta = 4" in tiny(beta=4.0).record_note
        )
        # asked for, it is the ELBO all the same
        torch.testing.assert_close(tiny(beta=4.0).log_prob(x), tiny().log_prob(x))

    def test_records_tell_bounds_densities_and_beta(self, tiny):
        images = open_data("digits", val_split=0)
        plain, density, weighed = (
            likelihood(tiny((1, 8, 8), **config), images, 20)[0]
            for config in (
                {"likelihood": "logistic"},
                {"likelihood": "gaussian"},
                {"likelihood": "logistic", "beta": 4.0},
            )
        )
        assert plain.kind == "elbo" and plain.note == "" and "≤" in str(plain)
        assert not comparable(plain, density) and "density of real-valued pixels" in density.protocol
        assert comparable(plain, weighed) and "no bound was maximised in training: beta = 4" in weighed.note

    def test_free_bits(self, tiny, pictures):
        x = pictures((1, 2, 3))
        with torch.no_grad():
            plain, kl = tiny().objective(x, generator(0))
            free, told = tiny(free_bits=50.0).objective(x, generator(0))
        assert told == kl and float(plain - free) == pytest.approx(50 - float(kl), rel=1e-4)

    def test_a_warm_up_weighs_the_kl_by_what_has_passed(self, tiny, pictures):
        model, x = tiny(beta=2.0, warmup=4), pictures((1, 2, 3))
        values = []
        with torch.no_grad():
            for share in (0.0, 0.25, 1.0):
                value, divergence = model.objective(x, generator(0), warmth=share)
                values.append(float(value))
        assert values[0] - values[1] == pytest.approx(0.25 * 2 * float(divergence), rel=1e-4)
        assert values[0] - values[2] == pytest.approx(2 * float(divergence), rel=1e-4)

    def test_a_warm_up_may_fall_from_a_larger_weight(self, tiny, pictures):
        model, x = tiny(beta=2.0, warmup=4, start_beta=10.0), pictures((1, 2, 3))
        with torch.no_grad():
            values, kls = zip(
                *(model.objective(x, generator(0), warmth=share) for share in (0.0, 0.25, 1.0)), strict=True
            )
            constant = [tiny(beta=weight).objective(x, generator(0))[0] for weight in (10.0, 8.0, 2.0)]
        assert [float(value) for value in values] == [pytest.approx(float(value)) for value in constant]
        assert len(set(map(float, kls))) == 1  # what it is called in a log does not depend on its weight

    def test_the_start_of_a_warm_up_needs_one(self):
        with pytest.raises(ArgumentError, match=r"start_beta=30 is the weight.*and warmup is 0.*set warmup"):
            CARDS["vae"].build(start_beta=30.0, warmup=0)

    def test_the_player_warms_up_with_the_step_and_then_takes_k_draws(self, monkeypatch, tiny, pictures):
        model, x, asked = tiny(k=3, k_from=6, warmup=4), pictures((1, 2, 3)), []
        objective = model.objective
        monkeypatch.setattr(
            model, "objective", lambda *given, **stage: asked.append(stage) or objective(*given, **stage)
        )
        (player,) = players(model, Recipe())
        for step in (0, 1, 4, 5, 6, 99):
            player.before_turn(step)
            player.loss(Batch(x), generator(step))
        stages = [(0, 1), (0.25, 1), (1, 1), (1, 1), (1, 3), (1, 3)]
        assert asked == [{"warmth": warmth, "k": k} for warmth, k in stages]

    def test_one_draw_of_a_model_with_k_is_the_elbo(self, tiny, pictures):
        x = pictures((1, 2, 3))
        with torch.no_grad():
            assert tiny(k=50).objective(x, generator(0), k=1) == tiny().objective(x, generator(0))
            assert tiny(k=50).objective(x, generator(0))[0] > tiny().objective(x, generator(0))[0]
            assert tiny(k=50, draws=60).objective(x, generator(0)) == tiny(k=50).objective(x, generator(0))

    def test_a_warm_up_must_be_over_when_k_draws_begin(self):
        with pytest.raises(
            ArgumentError, match=r"config of vae: warmup weights the KL term of the ELBO.*k_from=10 or later"
        ):
            CARDS["vae"].build(k=5, warmup=10, k_from=9)
        CARDS["vae"].build(k=5, warmup=10, k_from=10)

    def test_a_warm_up_leaves_a_bound_another_beta_does_not(self, tiny):
        assert tiny(warmup=100).record_note == "" and "no bound" in tiny(warmup=100, beta=0.5).record_note

    @pytest.mark.parametrize("wrong", [{"k": 5, "beta": 2.0}, {"k": 5, "free_bits": 0.1}])
    def test_switches_of_the_kl_do_not_go_with_importance_weights(self, wrong):
        with pytest.raises(ArgumentError, match="config of vae: beta and free_bits"):
            CARDS["vae"].build(**wrong)

    def test_free_bits_do_not_go_with_the_path_gradient(self):
        with pytest.raises(
            ArgumentError, match=r"config of vae: free_bits needs the KL in closed form.*set free_bits=0"
        ):
            CARDS["vae"].build(free_bits=0.1, path_gradient=True)

    @pytest.mark.parametrize(
        "wrong",
        [{"k": 0}, {"likelihood": "poisson"}, {"net": "cnn"}, {"depth": 0}, {"latent_size": 0}, {"beta": -1}],
    )
    def test_wrong_configs_are_named(self, wrong):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            CARDS["vae"].build(**wrong)


class TestTraining:
    def test_the_loss_is_minus_the_bound_in_nats(self, tiny, pictures):
        model, x = tiny(), pictures((1, 2, 3))
        (player,) = players(model, Recipe())
        assert player.name == "model" and player.average
        assert player.loss(Batch(x), generator(0)) == -model.objective(x, generator(0))[0]

    def test_it_learns(self, tiny):
        """Four pixels that are always equal cost log 2 nats, not 4 log 2."""
        model = tiny((1, 2, 2), width=16)
        x = torch.tensor([0.0, 1.0]).repeat(16).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
        (player,) = players(model, Recipe())
        adam = torch.optim.Adam(model.parameters(), 0.02)
        for step in range(300):
            adam.zero_grad()
            player.loss(Batch(x), generator(step)).backward()
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

    def test_the_mean_of_the_last_turns_counts(self):
        """One quiet turn is no collapse, and what was learned long ago does not hide one."""
        watched = vae_module.Collapse(stops=True)
        for kl in [*[0.5] * (vae_module.PATIENCE - 1), 0.0]:
            watched.look(torch.tensor(kl))
        for _ in range(vae_module.PATIENCE - 1):
            watched.look(torch.tensor(0.001))
        with pytest.raises(TrainingError, match=r"is 0\.0010 nats"):
            watched.look(torch.tensor(0.001))

    def test_every_image_has_its_own_elbo(self, tiny):
        values = tiny((1, 2, 2)).log_prob(every_image((1, 2, 2), 2))
        assert (values < 0).all() and len(values.unique()) > 8


@pytest.mark.parametrize(
    "settings",
    [
        {"net": "conv", "width": 4, "depth": 0, "free_bits": 0.1},
        {"k": 3, "width": 8, "likelihood": "gaussian"},
        {"width": 8, "beta": 2.0},
        {"width": 8, "warmup": 3, "k": 2, "k_from": 3},
    ],
)
def test_from_card_to_bounds_on_digits(tmp_path, monkeypatch, settings):
    """A tiny VAE is trained for a moment, goes on from its checkpoint to the same bits, is published, loaded
    and verified."""
    about = SimpleNamespace(name="genzoo-vae", version="0.1.0")
    plugin = SimpleNamespace(
        genzoo_api=2, genzoo_cards=hookimpl(genzoo_vae.genzoo_cards, specname="genzoo_cards")
    )
    entry = SimpleNamespace(name="vae", value="genzoo_vae", group="genzoo", dist=about, load=lambda: plugin)
    monkeypatch.setattr(registry, "discover", lambda: [entry])
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    registry.installed.cache_clear()
    try:
        given = {
            "settings": {"latent_size": 2, "batch_size": 16, "val_split": 0.0, **settings},
            "device": "cpu",
            "quiet": True,
        }
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
