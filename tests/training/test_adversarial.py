"""The adversarial game: who moves, what moves, and on which images."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
import toys
from toys import ToyConfig, ToyGAN, UniformGAN, recipe_of

from genzoo import Adversarial, Recipe, create
from genzoo.errors import TrainingError
from genzoo.losses.minimax import generator_non_saturating
from genzoo.losses.objectives import OBJECTIVES
from genzoo.rng import generator
from genzoo.training import Batch, adversarial
from genzoo.training.adversarial import AdversarialGame, burst_turns, drawn, estimate_statistics
from genzoo.training.augment import color, cutout
from genzoo.training.loader import Loader
from genzoo.training.players import players


def weights(module):
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def equal(module, before):
    return all(torch.equal(p, before[name]) for name, p in module.named_parameters())


def noise(*parts):
    return generator("test", *parts)


@pytest.fixture
def spied(monkeypatch):
    """Give a toy GAN that keeps what its networks were given and what came out."""
    net = toys.gan().train()
    net.seen, net.drawn = [], []

    def discriminate(x):
        net.seen.append(x.detach().clone())
        return ToyGAN._discriminate(net, x)

    def decode(z):
        net.drawn.append(z.clone())
        return ToyGAN._decode(net, z)

    net._discriminate, net._decode = discriminate, decode
    return net


IMAGES = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class TestTurns:
    @pytest.mark.parametrize(("mover", "other"), [(0, 1), (1, 0)])
    def test_a_turn_moves_its_player_and_touches_nothing_of_the_opponent(self, start, mover, other):
        run = start()
        mover, other = run.players[mover], run.players[other]
        run.model.zero_grad(set_to_none=True)
        mine, theirs = weights(mover.module), weights(other.module)
        run._turn(mover, 0, Batch(IMAGES))
        assert equal(other.module, theirs)
        assert all(p.grad is None for p in other.module.parameters())
        assert not equal(mover.module, mine)
        assert all(p.grad is not None for p in mover.module.parameters())

    def test_k_turns_are_k_updates_on_k_batches(self, start, monkeypatch):
        run = start(turns={"discriminator": 3, "generator": 2})
        given = []
        monkeypatch.setattr(Loader, "__call__", lambda feed, number: given.append(number) or Batch(IMAGES))
        for _ in range(2):
            run.play_round()
        steps = {p.name: {int(s["step"]) for s in run.optimisers[p.name].state.values()} for p in run.players}
        assert steps == {"discriminator": {6}, "generator": {4}}
        assert given == [0, 1, 2, 3, 4, 5]
        assert run.batches == 6

    def test_batch_statistics_of_g_see_each_fake_once(self, start):
        run = start(turns={"discriminator": 2})
        run.play_round()
        assert int(run.model.generator[1].num_batches_tracked) == 2


class TestFakes:
    def game(self, net, **recipe):
        return AdversarialGame(net, recipe_of(**recipe))

    def test_the_last_fakes_of_d_are_handed_on_once(self, spied):
        game = self.game(spied)
        game.discriminator_loss(Batch(IMAGES), noise(0))
        game.discriminator_loss(Batch(IMAGES), noise(1))
        game.generator_loss(Batch(IMAGES), noise(2))
        assert len(spied.drawn) == 2  # not drawn again
        assert torch.equal(spied.seen[4], spied.seen[3])
        assert not torch.equal(spied.seen[3], spied.seen[1])
        game.generator_loss(Batch(IMAGES), noise(3))
        assert len(spied.drawn) == 3  # a second turn of G draws its own
        assert not torch.equal(spied.seen[5], spied.seen[4])

    def test_without_handed_on_fakes_g_draws_its_own(self, spied):
        self.game(spied).generator_loss(Batch(IMAGES), noise())
        assert spied.drawn[0].shape == (16, 4)

    def test_another_batch_size_draws_anew(self, spied):
        game = self.game(spied)
        game.discriminator_loss(Batch(IMAGES), noise(0))
        game.generator_loss(Batch(IMAGES[:5]), noise(1))
        assert [len(z) for z in spied.drawn] == [16, 5]

    def test_the_gradient_through_handed_on_fakes_is_that_of_the_moved_discriminator(self, start):
        """D has been updated since the fakes were drawn: G's gradient must be the new D's, and of G's own
        weights."""
        run = start(model=toys.gan(dropout=0.0))
        d, g = run.players
        before = copy.deepcopy(run.model)
        run._turn(d, 0, Batch(IMAGES))
        reference = copy.deepcopy(run.model)
        key = (run.recipe.seed, d.name, 0, 0, 0)
        for parameter, old in zip(
            reference.generator.parameters(), before.generator.parameters(), strict=True
        ):
            assert torch.equal(parameter, old)
        z = torch.randn(16, 4, generator=generator(*key))
        reference.generator.zero_grad()
        generator_non_saturating(reference._discriminate(reference._decode(z))).backward()
        expected = {name: p.grad for name, p in reference.generator.named_parameters()}
        run._turn(g, 0, Batch(IMAGES))
        for name, parameter in run.model.generator.named_parameters():
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-7)

    def test_priors(self):
        normal = AdversarialGame(toys.gan(), Recipe())
        uniform = AdversarialGame(UniformGAN(ToyConfig()), Recipe())
        latents = {}
        for name, game in (("normal", normal), ("uniform", uniform)):
            game.model._decode = lambda z, name=name: latents.setdefault(name, z)
            drawn(game.model, 2000, noise())
        assert latents["normal"].abs().max() > 2.5
        assert latents["uniform"].abs().max() <= 1 and abs(latents["uniform"].var() - 1 / 3) < 0.02


class TestLosses:
    def test_real_and_fake_are_separate_batches(self, spied):
        AdversarialGame(spied, Recipe()).discriminator_loss(Batch(IMAGES), noise())
        assert [len(batch) for batch in spied.seen] == [16, 16]
        assert torch.equal(spied.seen[0], IMAGES)

    def test_augmentation_acts_on_real_and_fake_alike(self, spied, monkeypatch):
        passed = []

        def mark(images, policy, noise):
            passed.append((len(images), policy, images.requires_grad))
            return images * 0 + 0.25 * len(passed)

        monkeypatch.setattr(adversarial, "augment", mark)
        game = AdversarialGame(spied, recipe_of(augment=("color", "cutout")))
        game.discriminator_loss(Batch(IMAGES), noise(0))
        game.generator_loss(Batch(IMAGES), noise(1))
        policy = [color, cutout]
        # real, fake for D, fake for G
        assert passed == [(16, policy, False), (16, policy, False), (16, policy, True)]
        assert [batch.unique().item() for batch in spied.seen] == [0.25, 0.5, 0.75]  # D sees nothing else

    def test_the_two_halves_are_augmented_differently(self, spied):
        """One draw for both would let D compare images by their shift."""
        AdversarialGame(spied, recipe_of(augment=("cutout",))).discriminator_loss(
            Batch(torch.ones(16, 1, 8, 8)), noise()
        )
        real, fake = ((batch == 0.5).flatten(1) for batch in spied.seen)
        assert not torch.equal(real, fake)

    @pytest.mark.parametrize("name", list(OBJECTIVES))
    def test_objective(self, name):
        """Each player minimises its loss of the recipe's objective, on numbers that no sigmoid has
        touched."""
        net = toys.gan(norm=False).eval()
        game = AdversarialGame(net, recipe_of(objective=name))
        with torch.no_grad():
            real = net._discriminate(IMAGES)
            fake = net._discriminate(net._decode(torch.randn(16, 4, generator=noise(1))))
        beside = (real,) if OBJECTIVES[name].relative else ()
        torch.testing.assert_close(
            game.generator_loss(Batch(IMAGES), noise(1)).detach(),
            OBJECTIVES[name].generator_loss(fake, *beside),
        )
        torch.testing.assert_close(
            game.discriminator_loss(Batch(IMAGES), noise(1)).detach(),
            OBJECTIVES[name].discriminator_loss(real, fake),
        )

    @pytest.mark.parametrize("name", list(OBJECTIVES))
    def test_any_objective_trains_any_nets(self, start, name):
        held = {"weight_clip": 0.1, "optimizer": {"all": "rmsprop"}} if name == "wasserstein" else {}
        run = start(objective=name, **held)
        before = {player.name: weights(player.module) for player in run.players}
        run.play_round()
        assert not any(equal(player.module, before[player.name]) for player in run.players)

    def test_losses_are_float32_under_autocast(self):
        with torch.autocast("cpu", torch.bfloat16):
            game = AdversarialGame(toys.gan(), Recipe())
            assert (
                game.discriminator_loss(Batch(IMAGES), noise(0)).dtype
                == game.generator_loss(Batch(IMAGES), noise(1)).dtype
                == torch.float32
            )

    @pytest.mark.parametrize("name", ["generator", "discriminator"])
    def test_a_missing_network_is_named(self, name):
        net = toys.gan()
        delattr(net, name)
        with pytest.raises(TrainingError, match=f"ToyGAN has no network named '{name}'"):
            players(net, Recipe())


class LinearGAN(ToyGAN):
    """A critic whose slope is `steepness` everywhere, in images from [0, 1]."""

    steepness = 1.0

    def _discriminate(self, x):
        weight = self.discriminator[0].weight  # something to learn
        return self.steepness / 8 * x.flatten(1).sum(1) + 0 * weight.sum()


class TestPenalty:
    def loss(self, net, penalty, seed=0, **recipe):
        return AdversarialGame(net, recipe_of(gp_weight=penalty, **recipe)).discriminator_loss(
            Batch(IMAGES), noise(seed)
        )

    @pytest.mark.parametrize(("steepness", "expected"), [(1.0, 0.0), (3.0, 40.0), (0.0, 10.0)])
    def test_ten_times_the_squared_distance_of_the_slope_from_1(self, steepness, expected):
        net = LinearGAN(ToyConfig())
        net.steepness = steepness
        more = self.loss(net, 10.0) - self.loss(net, 0.0)
        assert more.item() == pytest.approx(expected, abs=1e-4)

    def test_one_point_per_image_between_a_real_one_and_a_fake(self, spied):
        self.loss(spied, 10.0)
        real, fake, points = spied.seen
        share = (points - fake).flatten(1).sum(1) / (real - fake).flatten(1).sum(1)
        assert len(points) == 16 and len(share.unique()) == 16  # one for the batch would be a single number
        assert share.min() >= -1e-3 and share.max() <= 1.001
        torch.testing.assert_close(points, fake + share.view(-1, 1, 1, 1) * (real - fake), rtol=0, atol=1e-4)

    def test_the_points_lie_between_augmented_images(self, spied):
        """D's slope is asked for where D looks, and is not the slope of D and augmentation together."""
        self.loss(spied, 10.0, augment=("cutout", "color"))
        real, fake, points = spied.seen
        assert not torch.equal(real, IMAGES)
        lower, upper = torch.minimum(real, fake), torch.maximum(real, fake)
        assert (points >= lower - 1e-5).all() and (points <= upper + 1e-5).all()
        steep = LinearGAN(ToyConfig())
        more = self.loss(steep, 10.0, augment=("color",)) - self.loss(steep, 0.0, augment=("color",))
        assert more.item() == pytest.approx(0, abs=1e-4)  # contrast would have changed it

    def test_it_reaches_d_and_not_g(self, start):
        run = start(model=toys.gan(norm=False), objective="wasserstein", gp_weight=10.0)
        d, g = run.players
        mine, theirs = weights(d.module), weights(g.module)
        run._turn(d, 0, Batch(IMAGES))
        assert not equal(d.module, mine) and equal(g.module, theirs)
        assert all(p.grad is None for p in g.module.parameters())

    def test_fakes_handed_on_still_teach_g(self, start):
        run = start(model=toys.gan(norm=False), objective="wasserstein", gp_weight=10.0)
        run.play_round()
        assert all(p.grad is not None and p.grad.any() for p in run.players[1].module.parameters())

    def test_without_one_nothing_is_drawn_for_it(self, spied):
        self.loss(spied, 0.0)
        assert len(spied.seen) == 2


class TestClipping:
    def test_every_weight_of_d_is_within_bounds_after_each_of_its_turns(self, start, monkeypatch):
        run = start(
            objective="wasserstein",
            weight_clip=0.01,
            optimizer={"all": "rmsprop"},
            lr={"all": 0.1},
            turns={"discriminator": 3},
        )
        found, turn = [], run._turn

        def spy(player, *given):
            loss = turn(player, *given)
            found.append((player.name, max(p.abs().max().item() for p in player.module.parameters())))
            return loss

        monkeypatch.setattr(run, "_turn", spy)
        for _ in range(2):
            run.play_round()
        sizes = {
            name: [size for who, size in found if who == name] for name in ("discriminator", "generator")
        }
        assert len(sizes["discriminator"]) == 6 and max(sizes["discriminator"]) <= 0.01 + 1e-9
        assert min(sizes["generator"]) > 0.01  # G's are its own business

    def test_none_by_default(self, start):
        assert [player.after_turn for player in start().players] == [None, None]


class TestBursts:
    def test_the_schedule_of_the_reference_code(self):
        long = [step for step in range(1501) if burst_turns(5, step) == 100]
        assert long == [*range(25), 500, 1000, 1500]
        assert {burst_turns(5, step) for step in range(25, 500)} == {5} and burst_turns(200, 0) == 200

    def test_d_moves_as_often_on_as_many_batches(self, start, monkeypatch):
        monkeypatch.setattr(adversarial, "HEAD_START", 2)
        monkeypatch.setattr(adversarial, "BURST", 6)
        run = start(bursts=True, turns={"discriminator": 2})
        for _ in range(3):
            run.play_round()
        (steps,) = {int(s["step"]) for s in run.optimisers["discriminator"].state.values()}
        assert steps == 6 + 6 + 2 == run.batches

    def test_a_resumed_run_takes_the_next_batches(self, start):
        straight, resumed = start(bursts=True), start(bursts=True)
        straight.step = 30
        before = straight.batches
        straight.step = resumed.step = 505
        assert straight.batches == resumed.batches == before + 474 + 100 == 25 * 100 + 5 + 474 + 100

    def test_off_by_default(self, start):
        assert [player.turns_in(0) for player in start().players] == [1, 1]

    def test_a_critic_is_never_said_to_have_won(self, start):
        """Its loss is below zero as it should be; the watch is for losses that have a least value."""
        assert start().players[0].floor == 0.01
        assert (
            start(model=toys.gan(norm=False), objective="wasserstein", gp_weight=1.0).players[0].floor is None
        )


class TestStatistics:
    def test_they_become_those_of_the_weights(self):
        """After the weights moved, the running statistics are of yesterday; the estimate is exact up to its
        sample."""
        net = toys.gan()
        with torch.no_grad():
            net.generator[0].weight.mul_(3)
        estimate_statistics(net, feed=None, batches=32)
        map_ = net.generator[0](torch.randn(4096, 4, 1, 1, generator=torch.Generator().manual_seed(1)))
        torch.testing.assert_close(net.generator[1].running_mean, map_.mean((0, 2, 3)), rtol=0, atol=0.1)
        torch.testing.assert_close(net.generator[1].running_var, map_.var((0, 2, 3)), rtol=0.1, atol=0)

    def test_nothing_else_changes_and_twice_is_the_same(self):
        net = toys.gan().eval()
        before, momentum = weights(net), net.generator[1].momentum
        other = net.discriminator[1].running_mean.clone()
        estimate_statistics(net, feed=None, batches=3)
        once = net.generator[1].running_var.clone()
        estimate_statistics(net, feed=None, batches=3)
        assert torch.equal(net.generator[1].running_var, once)
        assert equal(net, before) and torch.equal(net.discriminator[1].running_mean, other)
        assert net.generator[1].momentum == momentum and not net.generator[1].training

    def test_nothing_to_do_without_batch_norm_or_for_others(self, monkeypatch):
        monkeypatch.setattr(ToyGAN, "_decode", None)
        estimate_statistics(toys.gan(norm=False), feed=None)
        estimate_statistics(toys.Bernoulli(ToyConfig()), feed=None)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("gan", {"dropout": False}),
        ("cgan-mnist", {}),
        ("dcgan", {"discriminator_norm": "none"}),
        ("dcgan", {"discriminator_norm": "spectral"}),
        ("dcgan-rooms", {"discriminator_norm": "none"}),
        ("wgan", {"discriminator_norm": "none"}),
        ("wgan-gp", {}),
        ("wgan-gp-resnet", {}),
    ],
)
class TestR3GAN:
    """Pairs with both zero-centred penalties: a recipe for the nets of any official GAN."""

    GAME = Adversarial(objective="relativistic", penalty_kind="r1-r2", gp_weight=2.0)

    @pytest.fixture
    def net(self, name, config):
        torch.manual_seed(0)  # of few units all may be dead
        net = create(name, image_shape=(1, 8, 8), width=4, **config)
        with torch.no_grad():
            for parameter in net.discriminator.parameters():
                parameter.mul_(10)  # initial weights are nearly flat
        return net.eval()  # dropout and u would make each call another

    def losses(self, net, **changes):
        given = None if net.condition is None else torch.arange(16) % 4
        recipe = Recipe(game=dataclasses.replace(self.GAME, **changes))
        return {p.name: p.loss(Batch(IMAGES, condition=given), noise(1)) for p in players(net, recipe)}

    def test_both_players_learn(self, net):
        for player, loss in self.losses(net).items():
            part = list(getattr(net, player).parameters())
            slopes = torch.autograd.grad(loss, part, allow_unused=True, retain_graph=True)
            assert torch.isfinite(loss) and any(s is not None and s.abs().max() > 0 for s in slopes)

    def test_the_penalty_is_the_sum_of_those_at_both_kinds_of_image(self, net):
        def at(**changes):
            return float(self.losses(net, **changes)["discriminator"].detach())

        none, both, *ones = at(gp_weight=0.0), at(), at(penalty_kind="r1"), at(penalty_kind="r2")
        assert min(ones) > none
        assert both - none == pytest.approx(sum(one - none for one in ones), rel=1e-3, abs=1e-6)
