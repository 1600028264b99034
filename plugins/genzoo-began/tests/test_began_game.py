"""The game of section 3.3 and 3.4: both losses, k, M, γ, and what the training doctor says of the curves."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from genzoo_began import genzoo_cards
from genzoo_began.began import BEGAN, BEGANConfig, equilibrium_players
from genzoo_began.game import Balance, EquilibriumGame, examine
from genzoo_began.options import Equilibrium
from torch import nn

from genzoo import Adversarial, Recipe
from genzoo.data import open_data
from genzoo.errors import ArgumentError, CollapseError, TrainingError
from genzoo.rng import generator
from genzoo.testing import LawError, check_game
from genzoo.training import Batch, Player, players
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.plan import plan

SHAPE = (1, 8, 8)
# γ L(x) - L(G(z)) by hand, with γ = 0.5 and λ = 0.5: k and M after each round
BY_HAND = [
    # L(x), L(G(z)), k, M
    (0.4, 0.1, 0.05, 0.5),  # 0 + 0.5 (0.2 - 0.1);         0.4 + 0.1
    (0.4, 0.3, 0.0, 0.5),  # 0.05 + 0.5 (0.2 - 0.3) = 0;   0.4 + 0.1
    (0.2, 0.9, 0.0, 1.0),  # clipped from -0.4;            0.2 + 0.8
    (2.0, 0.2, 0.4, 2.8),  # 0 + 0.5 (1.0 - 0.2);          2.0 + 0.8
    (6.0, 0.5, 1.0, 8.5),  # clipped from 1.65;            6.0 + 2.5
    (1.0, 0.7, 0.9, 1.2),  # 1 + 0.5 (0.5 - 0.7);          1.0 + 0.2
]


def tiny(kind=BEGAN, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(BEGANConfig(image_shape=SHAPE, **{"width": 4, "latent_size": 6, **config})).train()


def game_of(found):
    return found[0].loss.__self__


@pytest.fixture
def start(tmp_path):
    """Give a function that starts a run on the embedded digits."""

    def start(model=None, **recipe):
        options = {f.name: recipe.pop(f.name) for f in dataclasses.fields(Equilibrium) if f.name in recipe}
        chosen = Recipe(
            **{"batch_size": 16, "precision": "fp32", "lr": {"all": 1e-3}, **recipe},
            game=Equilibrium(**options),
        )
        data = open_data("digits", val_split=0)
        return Run(model or tiny(), chosen, data, choose(chosen, "cpu"), tmp_path)

    return start


def settled(kind=Balance, losses=BY_HAND, **options):
    """Return k and M after each round of `losses`, as a game that starts at k = 0 has them."""
    balance, found = kind(Equilibrium(**{"gamma": 0.5, "k_rate": 0.5, **options})), []
    for real, fake, *_ in losses:
        balance.real.fill_(real), balance.fake.fill_(fake)
        told = balance.settle()
        found.append((float(told["k"]), float(told["M"])))
    return found


class Reversed(Balance):
    """k falls where fakes are reconstructed too well."""

    def settle(self):
        excess = self.gamma * self.real - self.fake
        self.k.sub_(self.rate * excess).clamp_(0, 1)
        return {"M": self.real + excess.abs(), "k": self.k}


class Unclipped(Balance):
    def settle(self):
        excess = self.gamma * self.real - self.fake
        self.k.add_(self.rate * excess)
        return {"M": self.real + excess.abs(), "k": self.k}


class HalfClipped(Balance):
    def settle(self):
        told = Unclipped.settle(self)
        self.k.clamp_(min=0)
        return told


class OfFakes(Balance):
    """γ on the wrong loss."""

    def settle(self):
        excess = self.real - self.gamma * self.fake
        self.k.add_(self.rate * excess).clamp_(0, 1)
        return {"M": self.real + excess.abs(), "k": self.k}


class Signed(Balance):
    """M without the absolute value: it would reward a G that D cannot reconstruct."""

    def settle(self):
        told = super().settle()
        return {**told, "M": self.real + self.gamma * self.real - self.fake}


class TestBalance:
    def test_k_and_m_by_hand(self):
        for found, (_, _, k, measure) in zip(settled(), BY_HAND, strict=True):
            assert found == pytest.approx((k, measure), abs=1e-6)

    @pytest.mark.parametrize("kind", [Reversed, Unclipped, HalfClipped, OfFakes, Signed])
    def test_each_published_mistake_gives_other_numbers(self, kind):
        expected = [(k, measure) for _, _, k, measure in BY_HAND]
        apart = [
            max(map(abs, (a - c, b - d))) for (a, b), (c, d) in zip(settled(kind), expected, strict=True)
        ]
        assert max(apart) > 0.04

    def test_it_starts_at_0_and_the_papers_rate_is_slow(self):
        assert Balance(Equilibrium()).k == 0
        k, measure = settled(losses=[(0.4, 0.1)], k_rate=1e-3)[0]
        assert k == pytest.approx(1e-4) and measure == pytest.approx(0.5)

    def test_gamma_0_never_uses_the_fakes(self):
        """γ = 0: k would have to be negative, so D stays an autoencoder of images."""
        assert [k for k, _ in settled(gamma=0.0)] == [0.0] * len(BY_HAND)

    def test_gamma_1_asks_for_fakes_as_hard_as_images(self):
        ks = [k for k, _ in settled(gamma=1.0, losses=[(0.4, 0.1), (0.4, 0.4), (0.4, 0.5)])]
        assert ks == pytest.approx([0.15, 0.15, 0.1])

    def test_a_rate_of_0_keeps_k(self):
        assert {k for k, _ in settled(k_rate=0.0)} == {0.0}

    def test_a_higher_gamma_gives_more_weight_to_the_fakes(self):
        ends = [settled(gamma=gamma, losses=BY_HAND[:1])[-1][0] for gamma in (0.3, 0.5, 0.7)]
        assert ends == pytest.approx([0.01, 0.05, 0.09])

    def test_its_state_is_three_numbers(self):
        balance = Balance(Equilibrium())
        assert {key: v.shape for key, v in balance.state_dict().items()} == dict.fromkeys(
            ("k", "real", "fake"), ()
        )

    @pytest.mark.parametrize("key", ["gamma", "k_rate"])
    @pytest.mark.parametrize("value", ["-0.1", "1.1", "much"])
    def test_options_out_of_range_are_refused(self, key, value):
        (card, _) = genzoo_cards()
        with pytest.raises(ArgumentError, match=key):
            plan(card, {key: value})


class TestLosses:
    def test_both_written_out(self):
        """L_D = L(x) - k L(G(z)) and L_G = L(G(z)), image by image, pixel by pixel."""
        net = tiny()
        d, g = players(net, Recipe())
        game = game_of([d])
        game.balance.k.fill_(0.3)
        images = torch.rand(5, *SHAPE)
        loss = d.loss(Batch(images), generator(1))
        fakes = game._handed_on.detach()
        assert fakes.shape == images.shape

        @torch.no_grad()
        def error(batch):
            rebuilt = net.discriminator(batch)
            each = [abs(float(a) - float(b)) for a, b in zip(batch.flatten(), rebuilt.flatten(), strict=True)]
            return math.fsum(each) / len(each)

        real, fake = error(2 * images - 1), error(fakes)
        assert float(loss.detach()) == pytest.approx(real - 0.3 * fake, rel=1e-5)
        assert float(game.balance.real) == pytest.approx(real, rel=1e-5)
        assert float(g.loss(Batch(images), generator(2)).detach()) == pytest.approx(fake, rel=1e-5)
        assert float(game.balance.fake) == pytest.approx(fake, rel=1e-5)
        told = d.after_round(0)
        assert float(told["M"]) == pytest.approx(real + abs(0.5 * real - fake), rel=1e-5)
        assert float(told["k"]) == pytest.approx(0.3 + 1e-3 * (0.5 * real - fake), rel=1e-6)

    def test_g_gets_the_fakes_of_ds_last_turn_once(self):
        d, g = players(tiny(), Recipe())
        batch = Batch(torch.rand(5, *SHAPE))
        d.loss(batch, generator(1))
        first, again = (float(g.loss(batch, generator(1)).detach()) for _ in range(2))
        other = float(g.loss(batch, generator(2)).detach())
        assert first != other and again != other and math.isfinite(other)

    def test_fakes_come_from_the_cube_and_are_shown_as_images(self):
        net = tiny()
        d, g = players(net, Recipe())
        seen = []
        net.generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        images = torch.rand(64, *SHAPE)
        assert g.shown() is None
        d.loss(Batch(images), generator(0))
        assert seen[0].shape == (64, 6) and 0.9 < seen[0].abs().max() <= 1 and seen[0].min() < -0.9
        data, fakes = g.shown()
        assert data is images and not fakes.requires_grad
        torch.testing.assert_close(fakes.clamp(0, 1), net._decode(seen[0]))

    def test_three_rounds_written_out(self, start):
        """The run's weights, k and M are those of a loop that knows nothing of players."""
        run = start(k_rate=0.1, lr={"all": 1e-2}, optimizer={"all": "sgd"})
        net, k, told = tiny(), 0.0, []
        for step in range(3):
            x = 2 * run.feed(step).images - 1
            noise = generator(run.recipe.seed, "discriminator", step, 0, 0)
            z = 2 * torch.rand(16, 6, generator=noise) - 1
            of_real = (x - net.discriminator(x)).abs().mean()
            with torch.no_grad():
                fake = net.generator(z)
            loss = of_real - k * (fake - net.discriminator(fake)).abs().mean()
            descend(loss, net.discriminator)
            fake = net.generator(z)
            of_fake = (fake - net.discriminator(fake)).abs().mean()
            descend(of_fake, net.generator)
            real, excess = of_real.item(), 0.5 * of_real.item() - of_fake.item()
            k = min(max(k + 0.1 * excess, 0.0), 1.0)
            told.append((k, real + abs(excess)))
        found = [run.play_round() for _ in range(3)]
        assert [(float(c["k"]), float(c["M"])) for c in found] == [pytest.approx(t, rel=1e-4) for t in told]
        assert k > 0.01
        for key, value in net.state_dict().items():
            torch.testing.assert_close(run.model.state_dict()[key], value, rtol=1e-4, atol=1e-6)


def descend(loss, module, lr=1e-2):
    """Take a step of plain gradient descent."""
    parameters = list(module.parameters())
    slopes = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        for parameter, slope in zip(parameters, slopes, strict=True):
            parameter.sub_(lr * slope)


class Blind(EquilibriumGame):
    """G's loss through a detached D: fakes chase their reconstructions, and G never learns how D sees
    them."""

    def generator_loss(self, batch, rng):
        fake = self._drawn(batch, rng)
        with torch.no_grad():
            rebuilt = self.model.discriminator(fake)
        return (fake - rebuilt).abs().mean()


class Cut(EquilibriumGame):
    """G's turn on detached fakes."""

    def generator_loss(self, batch, rng):
        return self.errors(self._drawn(batch, rng).detach()).mean()


class Attached(EquilibriumGame):
    """D's loss with a gradient in G."""

    def discriminator_loss(self, batch, rng):
        self._handed_on = fake = self._drawn(batch, rng)
        real = self.errors(2 * batch.images - 1).mean()
        self.balance.real.copy_(real.detach())
        return real - (self.balance.k + 0.1) * self.errors(fake).mean()


class Forgetful(EquilibriumGame):
    """k as a number of Python, which no checkpoint has."""

    k = 0.0

    def discriminator_loss(self, batch, rng):
        self.balance.k.fill_(self.k)
        return super().discriminator_loss(batch, rng)

    def after_round(self, step):
        told = super().after_round(step)
        self.k = float(told["k"])
        self.balance.k.zero_()
        return told


def planted(kind, options=None):
    """Return a class of model whose game is `kind`."""

    class Planted(BEGAN):
        pass

    @players.register(Planted, options=Equilibrium)
    def play(model, recipe):
        game = kind(model, model.errors, recipe.options(Equilibrium))
        ours = equilibrium_players(model, recipe)
        return [
            dataclasses.replace(
                ours[0], loss=game.discriminator_loss, memory=game.balance, after_round=game.after_round
            ),
            dataclasses.replace(ours[1], loss=game.generator_loss),
        ]

    return tiny(Planted)


def slope_error(model):
    """Return how far the gradient of L_G in G's weights is from finite differences, as a share of it."""
    net = model.double()
    vars(net)["_latents"] = lambda rng: (2 * rng.uniform(6) - 1).double()
    _, g = players(net, Recipe())
    batch = Batch(torch.rand(4, *SHAPE, dtype=torch.float64))
    weights = list(net.generator.parameters())

    def loss():
        return g.loss(batch, generator(3))

    slopes = torch.autograd.grad(loss(), weights)
    noise = torch.Generator().manual_seed(1)
    ways = [torch.randn(w.shape, generator=noise, dtype=w.dtype) for w in weights]
    expected, step = sum(float((s * w).sum()) for s, w in zip(slopes, ways, strict=True)), 1e-7
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for weight, way in zip(weights, ways, strict=True):
                weight.add_(way, alpha=sign * step)
            ends.append(float(loss().detach()))
            for weight, way in zip(weights, ways, strict=True):
                weight.sub_(way, alpha=sign * step)
    return abs((ends[0] - ends[1]) / (2 * step) - expected) / abs(expected)


class TestPlanted:
    def test_the_game_itself_is_lawful(self):
        check_game(planted(EquilibriumGame))
        check_game(tiny(), Recipe(game=Equilibrium(gamma=1)))

    @pytest.mark.parametrize(
        ("kind", "law"),
        [
            (Cut, "has a gradient in its player's weights"),
            (Attached, "the discriminator's loss has no gradient in the generator"),
            (Forgetful, "a resumed game has the losses of one that was never interrupted"),
        ],
    )
    def test_what_breaks_a_law_of_every_game(self, kind, law):
        with pytest.raises(LawError, match=law):
            check_game(planted(kind), Recipe(game=Equilibrium(k_rate=0.1)))

    def test_gs_gradient_comes_through_d(self):
        assert slope_error(tiny()) < 1e-3

    def test_a_detached_d_is_seen(self):
        assert slope_error(planted(Blind)) > 0.1


class TestRuns:
    def test_m_falls(self, start):
        run = start(steps=60)
        measures = [float(run.play_round()["M"]) for _ in range(60)]
        assert sum(measures[-10:]) < 0.8 * sum(measures[:10])

    def test_k_steers_the_ratio_to_gamma(self, start):
        """With a rate high enough for a short run, L(G(z)) / L(x) ends nearer to its γ than to the other."""
        ratios = []
        for gamma in (0.3, 0.9):
            run = start(gamma=gamma, k_rate=0.5, lr={"all": 3e-3})
            found = []
            for step in range(120):
                run.play_round()
                if step >= 80:
                    balance = run.players[0].memory
                    found.append(float(balance.fake / balance.real))
            ratios.append(sum(found) / len(found))
        assert abs(ratios[0] - 0.3) < 0.15 and abs(ratios[1] - 0.9) < 0.15

    def test_with_gamma_0_d_learns_as_a_plain_autoencoder(self, start):
        """Whatever G draws: D's weights are the same with another generator."""
        ends = []
        for seed in (0, 1):
            net = tiny()
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(seed)
                for parameter in net.generator.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
            run = start(net, gamma=0.0, k_rate=1.0)
            for _ in range(3):
                assert run.play_round()["k"] == 0
            ends.append(net.discriminator.state_dict())
        assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())

    def test_turns_are_those_of_the_recipe_and_k_moves_once_a_round(self, start):
        run = start(turns={"discriminator": 3}, k_rate=0.1)
        told = run.play_round()
        balance = run.players[0].memory
        assert float(told["k"]) == pytest.approx(
            0.1 * max(0.5 * float(balance.real) - float(balance.fake), 0), rel=1e-5
        )
        steps = {p.name: {int(s["step"]) for s in run.optimisers[p.name].state.values()} for p in run.players}
        assert steps == {"discriminator": {3}, "generator": {1}}

    def test_turns_may_be_recorded_unless_g_moves_twice(self):
        """On a GPU; k, L(x) and L(G(z)) keep their memory, which a recorded turn reads."""
        d, g = players(tiny(), Recipe())
        assert d.recordable and g.recordable
        assert not any(p.recordable for p in players(tiny(), Recipe(turns={"generator": 2})))
        places = {key: v.data_ptr() for key, v in d.memory.named_buffers()}
        for player in (d, g):
            player.loss(Batch(torch.rand(4, *SHAPE)), generator(0))
        d.after_round(0)
        assert places == {key: v.data_ptr() for key, v in d.memory.named_buffers()}

    def test_options_of_another_game_are_refused(self):
        with pytest.raises(TrainingError, match="Adversarial options, but the game of BEGAN takes Equil"):
            players(tiny(), Recipe(game=Adversarial()))


def kinds(**curves):
    return [found.kind for found in examine(curves)]


class TestDoctor:
    def test_a_healthy_run_has_no_finding(self):
        falling = [0.4 * 0.97**i for i in range(40)]
        assert kinds(M=falling, k=[0.01 * i for i in range(40)]) == []

    @pytest.mark.parametrize("curves", [{}, {"M": [0.3] * 9, "k": [0.0] * 4}, {"M": [], "k": [1.0] * 4}])
    def test_a_young_run_has_none_either(self, curves):
        assert kinds(**curves) == []

    @pytest.mark.parametrize("means", [[0.3] * 10, [0.2, *[0.3] * 9], [0.1 * i + 0.1 for i in range(10)]])
    def test_m_does_not_fall(self, means):
        (found,) = examine({"M": means, "k": [0.1] * 10})
        assert found.kind == "M does not fall" and "half the learning rate" in found.remedy
        assert f"was {min(means[:5]):.4g} in the first half" in found.words
        assert found.words.endswith(f"and {min(means[5:]):.4g} since")

    def test_one_low_mean_in_the_second_half_is_enough(self):
        assert kinds(M=[0.3] * 9 + [0.29]) == []

    @pytest.mark.parametrize(
        ("k", "found"),
        [
            ([0.4] + [0.0] * 5, ["k stays at 0"]),
            ([0.4] + [1.0] * 5, ["k stays at 1"]),
            ([0.0] * 5 + [0.1], []),
            ([1.0] * 5 + [0.9], []),
            ([0.5] * 6, []),
        ],
    )
    def test_k_at_a_bound(self, k, found):
        assert kinds(k=k) == found

    def test_a_run_that_is_stuck_is_reported_once(self, start, monkeypatch):
        """Through the doctor itself: with λ_k = 0, k stays at 0."""
        from genzoo.training import doctor

        monkeypatch.setattr(doctor, "PATIENCE", 2)
        monkeypatch.setattr(doctor, "EXAMINED", 2)
        run, found = start(k_rate=0.0, steps=16), []
        while run.step < 16:
            told = {name: float(value) for name, value in run.play_round().items()}
            found += run.doctor.look(run.step, told)
        (stuck,) = [each for each in found if each.kind == "k stays at 0"]
        assert stuck.step == 10 and "a higher gamma" in str(stuck)

    def test_a_measure_that_is_not_finite_ends_the_run(self, start):
        run = start()
        with pytest.raises(CollapseError, match=r"step 3: M is nan"):
            run.doctor.look(3, {"discriminator": 0.1, "generator": 0.1, "M": math.nan, "k": 0.0})


def test_the_players():
    d, g = players(tiny(), Recipe(turns={"generator": 2}))
    assert isinstance(d, Player) and [d.name, g.name] == ["discriminator", "generator"]
    assert (d.turns, g.turns, d.fresh, g.fresh, d.average, g.average) == (1, 2, True, False, False, True)
    assert d.shared and isinstance(d.memory, nn.Module) and g.memory is None
