"""Each hack that is a switch of the recipe, or how the game is played anyway, does what `genzoo hacks`
says."""

from __future__ import annotations

import pytest
import torch
import toys
from genzoo_dcgan.dcgan import DCGAN, DCGANConfig
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import SGD, Adam
from toys import ToyGAN, UniformGAN, recipe_of

from genzoo import Adversarial, Recipe
from genzoo.errors import ArgumentError, DataError, TrainingError
from genzoo.explore.interpolation import path
from genzoo.rng import generator
from genzoo.training import Batch, replay
from genzoo.training.adversarial import AdversarialGame
from genzoo.training.checkpoint import read
from genzoo.training.loop import play
from genzoo.training.parallel import World
from genzoo.training.players import players
from genzoo.training.refusals import check_recipe
from genzoo.training.terms import fingerprint

IMAGES = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def noise(*parts):
    return generator("hacks", *parts)


def seen_by(net):
    """Return a list that will hold what the discriminator of `net` is shown."""
    seen = []
    net._discriminate = lambda x: seen.append(x.detach().clone()) or type(net)._discriminate(net, x)
    return seen


def dcgan(**config):
    return DCGAN(DCGANConfig(**{"image_shape": (1, 8, 8), "width": 2, "latent_size": 5, **config}))


def finish(run):
    play(run, lambda losses: None, lambda: None, lambda: False)
    return run


class TestAlways:
    def test_1_d_sees_images_in_minus_one_to_one_and_g_ends_in_tanh(self):
        net, shown = dcgan(), []
        net.discriminator.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
        black_white = (IMAGES > 0.5).float()
        net._discriminate(black_white)
        assert shown[0].unique().tolist() == [-1, 1] and isinstance(net.generator[-1], nn.Tanh)

    def test_2_the_generators_labels_are_flipped_by_default(self):
        """-log D is the cross-entropy of calling a fake real."""
        logits = torch.linspace(-6, 6, 25, requires_grad=True)
        told = AdversarialGame(toys.gan(), Recipe()).objective.generator_loss(logits)
        torch.testing.assert_close(told, binary_cross_entropy_with_logits(logits, torch.ones(25)))

    def test_3_gaussian_z_walks_along_great_circles_and_a_cube_along_lines(self):
        assert ToyGAN.prior == DCGAN.prior == "normal"
        a, b = torch.eye(2)[:, None]
        middles = {prior: path(a, b, 3, prior).view(3, 2)[1] for prior in (ToyGAN.prior, UniformGAN.prior)}
        assert middles["normal"].norm().item() == pytest.approx(1) and middles[
            "uniform"
        ].norm().item() == pytest.approx(0.5**0.5)

    def test_4_real_and_fake_are_batches_of_their_own(self):
        net = toys.gan().train()
        seen = seen_by(net)
        AdversarialGame(net, Recipe()).discriminator_loss(Batch(IMAGES), noise())
        assert len(seen) == 2 and torch.equal(seen[0], IMAGES) and not torch.equal(seen[1], IMAGES)

    def test_5_no_pooling_and_leaky_relu_in_d(self):
        net = dcgan()
        assert not [m for m in net.modules() if "Pool" in type(m).__name__]
        assert not [m for m in net.discriminator.modules() if isinstance(m, nn.ReLU)]

    def test_11_turns_do_not_depend_on_losses(self, start):
        run = start(steps=3, turns={"discriminator": 2})
        played = []
        turn = run._turn
        run._turn = lambda player, number, *rest: (
            played.append(player.name) or 1e9 * turn(player, number, *rest)
        )
        for _ in range(3):
            run.play_round()
        assert played == ["discriminator", "discriminator", "generator"] * 3


class TestLabels:
    @pytest.mark.parametrize("recipe", [{"soft_labels": 0.3}, {"flipped_labels": 0.5}])
    def test_6_they_teach_d_and_not_g(self, recipe):
        net = toys.gan().eval()
        plain, hacked = (AdversarialGame(net, recipe_of(**more)) for more in ({}, recipe))
        assert (
            abs(
                plain.discriminator_loss(Batch(IMAGES), noise(0))
                - hacked.discriminator_loss(Batch(IMAGES), noise(0))
            )
            > 1e-4
        )
        assert torch.equal(
            plain.generator_loss(Batch(IMAGES), noise(1)), hacked.generator_loss(Batch(IMAGES), noise(1))
        )

    @pytest.mark.parametrize("key", ["soft_labels", "flipped_labels"])
    def test_a_critic_has_no_labels(self, key):
        recipe = recipe_of(
            objective="wasserstein", weight_clip=0.01, optimizer={"all": "rmsprop"}, **{key: 0.2}
        )
        with pytest.raises(
            TrainingError,
            match=f"{key}=0.2 makes no sense with objective=wasserstein: its critic has no labels",
        ) as caught:
            players(toys.gan(), recipe)
        assert f"{key}=0" in caught.value.hint
        for objective in ("minimax", "lsgan", "hinge"):
            check_recipe(toys.gan(), recipe_of(objective=objective, **{key: 0.2}))

    def test_15_minibatch_discrimination_does_not_go_with_the_penalty(self):
        with pytest.raises(
            TrainingError, match="with minibatch discrimination it depends on the other images"
        ) as caught:
            check_recipe(dcgan(minibatch=3, discriminator_norm="none"), recipe_of(gp_weight=10.0))
        assert "minibatch=0" in caught.value.hint


class TestOptimisers:
    def test_9_sgd_for_d_and_adam_for_g(self, start):
        run = start(optimizer={"all": "adam", "discriminator": "sgd"})
        assert isinstance(run.optimisers["discriminator"], SGD) and isinstance(
            run.optimisers["generator"], Adam
        )

    def test_14_more_turns_for_d(self, start):
        run = start(turns={"discriminator": 5})
        finish(run)
        assert {int(s["step"]) for s in run.optimisers["discriminator"].state.values()} == {30}


class TestInstanceNoise:
    def test_13_it_falls_linearly_to_none(self):
        game = Adversarial(instance_noise=0.2)
        assert [game.noise(step, 10) for step in (0, 5, 9, 10, 11)] == pytest.approx(
            [0.2, 0.1, 0.02, 0.0, 0.0]
        )
        assert Adversarial().noise(0, 10) == 0

    @pytest.mark.parametrize(("step", "deviation"), [(0, 0.4), (5, 0.2)])
    def test_all_that_d_sees_is_noisy(self, step, deviation):
        net = toys.gan().train()
        seen = seen_by(net)
        game = AdversarialGame(net, recipe_of(steps=10, instance_noise=0.4))
        game.begin(step)
        game.discriminator_loss(Batch(IMAGES), noise(0))
        game.generator_loss(Batch(IMAGES), noise(1))
        real, fake, again = (
            shown - clean for shown, clean in zip(seen, (IMAGES, *2 * [game.shown[1]]), strict=True)
        )
        for rest in (real, fake, again):
            assert (
                rest.std().item() == pytest.approx(deviation, rel=0.1) and abs(rest.mean()) < deviation / 10
            )
        assert not torch.equal(real, fake) and not torch.equal(fake, again)

    def test_the_loop_tells_the_round(self, start):
        run = start(steps=4, instance_noise=0.4)
        game = run.players[0].before_turn.__self__
        deviations = []
        for _ in range(4):
            run.play_round()
            deviations.append(float(game._deviation))
        assert deviations == pytest.approx([0.4, 0.3, 0.2, 0.1])


class TestReplay:
    def test_8_d_is_shown_old_fakes_and_g_its_own(self):
        net = toys.gan().train()
        seen = seen_by(net)
        game = AdversarialGame(net, recipe_of(batch_size=16, replay=0.5))
        game.pool.images.fill_(255)
        game.pool.filled.fill_(len(game.pool.images))
        game.discriminator_loss(Batch(IMAGES), noise(0))
        game.generator_loss(Batch(IMAGES), noise(1))
        white = [(shown == 1).all((1, 2, 3)).sum().item() for shown in seen]
        assert white == [0, 8, 0]
        assert torch.equal(seen[2], game.shown[1])  # handed on whole
        assert AdversarialGame(net, Recipe()).pool is None

    def test_the_pool_is_in_the_checkpoint(self, start):
        run = finish(start(steps=2, replay=0.5))
        tensors, _ = read(run.checkpoint)
        assert (
            tensors["memory.discriminator.pool.images"].any()
            and int(tensors["memory.discriminator.pool.filled"]) == 2
        )

    def test_several_processes_have_one_pool(self, start):
        run = start(replay=0.5, world=World(0, 2))
        assert len(run.players[0].memory["pool"].images) == 10 * run.recipe.batch_size
        assert run.players[0].common and not run.players[0].shared


class TestClasses:
    def test_12_d_learns_to_tell_the_classes_of_real_images(self, start):
        """After some rounds a linear layer on its features tells digits apart, on images that it was not
        shown."""
        run = start(
            model=toys.gan(width=16, dropout=0.0), steps=60, batch_size=64, classes=10, lr={"all": 5e-3}
        )
        auxiliary = run.players[0].memory["auxiliary"]
        images = run.data.float(slice(1500, 1797))
        labels = torch.from_numpy(run.data.labels[1500:1797]).long()

        def right():
            with torch.no_grad(), run.model.evaluating(), auxiliary.watching() as hidden:
                run.model._discriminate(images)
                return (auxiliary.head(hidden[0].flatten(1)).argmax(1) == labels).float().mean().item()

        assert right() < 0.3
        finish(run)
        assert right() > 0.6

    def test_its_loss_reaches_d_and_not_g(self):
        net = toys.gan().eval()
        labels = torch.arange(16) % 10
        plain, told = AdversarialGame(net, Recipe()), AdversarialGame(net, recipe_of(classes=10))
        more = told.discriminator_loss(Batch(IMAGES, labels), noise(0)) - plain.discriminator_loss(
            Batch(IMAGES), noise(0)
        )
        assert more.item() == pytest.approx(torch.tensor(10.0).log().item(), abs=0.5)  # nothing learned yet
        assert torch.autograd.grad(more, net.discriminator[0].weight)[0].abs().max() > 0
        assert torch.equal(
            told.generator_loss(Batch(IMAGES), noise(1)), plain.generator_loss(Batch(IMAGES), noise(1))
        )

    def test_the_classifier_is_ds_player_and_no_part_of_the_model(self, start):
        run = start(classes=10, steps=2)
        before = run.players[0].memory["auxiliary"].head.weight.clone()
        finish(run)
        assert not torch.equal(run.players[0].memory["auxiliary"].head.weight, before)
        assert not [key for key in run.model.state_dict() if "head" in key or "auxiliary" in key]
        assert not run.model.discriminator[-2]._forward_pre_hooks
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(99)
            again = start(classes=10, folder=run.folder / "b")
        assert torch.equal(again.players[0].memory["auxiliary"].head.weight, before)  # of the seed alone

    def test_without_labels_it_is_refused(self, start, digits):
        with pytest.raises(DataError, match="has no labels"):
            start(classes=10, data=digits.replace(labels=None))
        with pytest.raises(ArgumentError, match="4 classes need 0 to 3"):
            start(classes=4)


class TestResumed:
    """The bits are those of the uninterrupted run, whatever is switched on."""

    RECIPE = {
        "soft_labels": 0.3,
        "flipped_labels": 0.1,
        "instance_noise": 0.2,
        "replay": 0.5,
        "classes": 10,
        "steps": 8,
    }

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch):
        monkeypatch.setattr(replay, "BATCHES", 1)
        monkeypatch.setattr(replay, "ENTERING", 1 / 4)  # full after four turns

    def state(self, run):
        return {
            f"{part}.{key}": value.clone()
            for part, module in run.parts.items()
            for key, value in module.state_dict().items()
        }

    def two_parts(self, start, folder):
        folder.mkdir()
        half = start(folder=folder, **self.RECIPE)
        play(half, lambda losses: None, lambda: None, lambda: half.step >= 5)
        torch.manual_seed(12345)
        rest = start(folder=folder, **self.RECIPE)
        rest.resume()
        return finish(rest)

    def test_with_labels_noise_and_replay(self, start, tmp_path):
        whole = self.state(finish(start(**self.RECIPE)))
        parts = self.state(self.two_parts(start, tmp_path / "b"))
        assert whole.keys() == parts.keys() and "memory.discriminator.pool.images" in whole
        assert [key for key in whole if not torch.equal(whole[key], parts[key])] == []

    def test_a_pool_that_is_left_out_is_seen(self, start, tmp_path, monkeypatch):
        whole = self.state(finish(start(**self.RECIPE)))
        monkeypatch.setattr(replay.Pool, "state_dict", lambda self, *rest, **more: {})
        parts = self.state(self.two_parts(start, tmp_path / "b"))
        assert not torch.equal(whole["model.discriminator.0.weight"], parts["model.discriminator.0.weight"])

    def test_noise_that_fell_for_another_number_of_steps_is_refused(self, start):
        run = start(steps=6, instance_noise=0.2)
        play(run, lambda losses: None, lambda: None, lambda: run.step >= 2)
        with pytest.raises(TrainingError, match="with 9 steps, its noise would have been different"):
            start(steps=9, instance_noise=0.2).resume()
        start(steps=6, instance_noise=0.2).resume()

    @pytest.mark.parametrize(
        "change",
        [
            {"soft_labels": 0.1},
            {"flipped_labels": 0.1},
            {"instance_noise": 0.1},
            {"replay": 0.1},
            {"classes": 2},
        ],
    )
    def test_each_decides_the_bits(self, change):
        assert fingerprint(recipe_of(**change)) != fingerprint(Recipe())


def test_17_batch_statistics_are_estimated_as_images_are_drawn():
    """With dropout at random they would differ from one estimate to the next, and so would the published
    weights."""
    from genzoo.training.adversarial import estimate_statistics

    net = dcgan(dropout=0.5, image_shape=(1, 16, 16), width=4)
    told = []
    for _ in range(2):
        estimate_statistics(net, feed=None, batches=2)
        told.append(net.generator[5].running_mean.clone())  # behind a dropout
    assert isinstance(net.generator[5], nn.BatchNorm2d) and torch.equal(*told)
