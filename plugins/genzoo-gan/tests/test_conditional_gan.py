"""The conditional GAN of 2014: the paper's nets, and that both of them listen to the label."""

from __future__ import annotations

import math

import pytest
import torch
from genzoo_gan import genzoo_cards
from genzoo_gan.conditional import DIGITS, ConditionalGAN, ConditionalGANConfig
from torch import nn
from torch.nn.functional import one_hot

from genzoo import Adversarial, Labels, Recipe
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.testing import laws
from genzoo.training import Batch, players

CARD = next(card for card in genzoo_cards() if card.name == "cgan-mnist")
NAMES = ("top", "middle", "bottom")
SMALL = {"width": 64, "noise_width": 40, "label_width": 200, "discriminator_width": 32, "dropout": False}

test_laws_of_colours = laws("genzoo-gan", "cgan-mnist", image_shape=(3, 5, 7))


def tiny(kind=ConditionalGAN, image_shape=(1, 3, 5), **config):
    sizes = {"width": 16, "discriminator_width": 6, "pieces": 3, "joint_pieces": 2, "latent_size": 5}
    sizes |= {"noise_width": 7, "label_width": 9, "discriminator_label_width": 4, "labels": NAMES}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(ConditionalGANConfig(image_shape=image_shape, **{**sizes, **config}))


def linear(net):
    return [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]


class TestNets:
    def test_they_are_the_papers(self):
        """Section 4.1: z 100 → 200, y → 1000, joint 1200; x → maxout 240 × 5, y → maxout 50 × 5, joint maxout
        240 × 4."""
        with torch.device("meta"):
            net = CARD.build()
        assert linear(net.generator) == [(100, 200), (1200, 1200), (1200, 784)]
        assert tuple(net.generator.label.weight.shape) == (10, 1000)
        assert linear(net.discriminator) == [(784, 240 * 5), (240 + 50, 240 * 4), (240, 1)]
        assert tuple(net.discriminator.label.weight.shape) == (10, 50 * 5)
        drops = [m.p for m in net.discriminator.modules() if isinstance(m, nn.Dropout)]
        assert drops == [pytest.approx(0.2), 0.5, 0.5]

    def test_it_fits_into_8_megabytes(self):
        with torch.device("meta"):
            state = CARD.build().state_dict().values()
        assert CARD.recipe.save_dtype == "float16"
        assert sum(v.numel() * (2 if v.ndim >= 2 else v.element_size()) for v in state) < 8_000_000

    def test_g_is_that_of_one_hot_labels(self):
        net = tiny().double()
        g = net.generator
        z, labels = torch.rand(6, 5, dtype=torch.float64) * 2 - 1, torch.tensor([0, 1, 2, 2, 0, 1])
        first, last = g.joint[0], g.joint[2]
        of_z = (math.sqrt(3) * z @ g.noise[0].weight.T + g.noise[0].bias).clamp(min=0)
        of_label = (one_hot(labels, 3).double() @ g.label.weight).clamp(min=0)
        h = (torch.cat([of_z, of_label], 1) @ first.weight.T + first.bias).clamp(min=0)
        expected = torch.sigmoid(h @ last.weight.T + last.bias).view(6, 1, 3, 5)
        torch.testing.assert_close(net._decode(z, labels), expected)

    def test_d_is_that_of_one_hot_labels(self):
        net = tiny(dropout=False).double()
        d = net.discriminator
        x, labels = torch.rand(6, 1, 3, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 0, 1])
        of_image = x.flatten(1) @ d.image[2].linear.weight.T + d.image[2].linear.bias
        of_label = one_hot(labels, 3).double() @ d.label.weight

        def maxout(values, units, pieces):
            return torch.stack(
                [values[:, [u + units * k for k in range(pieces)]].amax(1) for u in range(units)], 1
            )

        both = torch.cat([maxout(of_image, 6, 3), maxout(of_label, 4, 3)], 1)
        h = maxout(both @ d.joint[1].linear.weight.T + d.joint[1].linear.bias, 6, 2)
        expected = (h @ d.joint[3].weight.T + d.joint[3].bias).flatten()
        torch.testing.assert_close(net._discriminate(x, labels), expected)

    def test_dropout_can_be_left_out(self):
        assert not [m for m in tiny(dropout=False).modules() if isinstance(m, nn.Dropout)]

    def test_fresh_weights(self):
        net = tiny(width=64, discriminator_width=32, label_width=64, discriminator_label_width=32)
        g, d = net.generator, net.discriminator
        spreads = [(g.noise, 0.05), (g.joint, 0.05), (d.image, 0.005), (d.joint, 0.05)]
        layers = [(m, s) for part, s in spreads for m in part.modules() if isinstance(m, nn.Linear)]
        for layer, spread in [*layers, (g.label, 0.05), (d.label, 0.5)]:
            assert layer.weight.abs().max() <= spread
            assert abs(layer.weight.std() - spread / math.sqrt(3)) < 0.2 * spread
        assert not any(layer.bias.any() for layer, _ in layers)

    def test_z_is_louder_than_the_label_in_a_fresh_g(self):
        """A G that hears the label better draws one image for each label, whatever z is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = CARD.build().eval()
        images = torch.stack([net.sample(20, seed=0, condition=digit) for digit in range(10)])
        assert images.std(1).mean() > 3 * images.mean(1).std(0).mean()


class TestContract:
    def test_the_card_says_it(self):
        assert CARD.condition == Labels(DIGITS) and "1411.1784" in CARD.paper and CARD.summary
        assert CARD.load_class() is ConditionalGAN
        assert CARD.recipe.data == "mnist"  # grey levels, as the number of 2014 has them

    def test_an_image_is_that_of_its_z_and_label(self):
        net = tiny()
        images = net.sample(3, seed=1, condition=["bottom", "top", 1])
        z = net.sample_latents(3, seed=1)  # takes no label
        torch.testing.assert_close(images, net.decode(z, condition=["bottom", "top", "middle"]))
        for i, name in enumerate(("bottom", "top", "middle")):
            torch.testing.assert_close(net.sample(3, seed=1, condition=name)[i], images[i])
            others = [other for other in NAMES if other != name]
            assert all(not torch.equal(net.sample(3, 1, condition=other)[i], images[i]) for other in others)

    def test_noise_has_variance_1(self):
        net, seen = tiny(), []
        net.generator.noise.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        net.sample(2048, seed=0, condition=0)
        assert abs(torch.cat(seen).var() - 1) < 0.02

    @pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 7), (2, 1, 1)])
    def test_any_size(self, shape):
        net = tiny(image_shape=shape)
        images = net.sample(3, seed=0, condition=2)
        assert images.shape == (3, *shape) and images.min() >= 0 and images.max() <= 1
        assert net._discriminate(images, torch.tensor([0, 1, 2])).shape == (3,)

    @pytest.mark.parametrize(
        ("config", "error", "told"),
        [
            ({"label_width": 0}, ArgumentError, "label_width must lie between 1"),
            ({"noise_width": 10**9}, ArgumentError, "noise_width must lie between 1"),
            ({"joint_pieces": 99}, ArgumentError, "joint_pieces must lie between"),
            ({"label_widht": 3}, UnknownNameError, "did you mean 'label_width'"),
        ],
    )
    def test_a_wrong_config_is_refused(self, config, error, told):
        with pytest.raises(error, match=told):
            CARD.build(**config)


@pytest.mark.parametrize(
    "game",
    [Adversarial(classes=3), Adversarial(replay=0.5), Adversarial(objective="wasserstein", gp_weight=10.0)],
)
def test_other_games(game):
    """The auxiliary classifier (of D's joint layer), replay and the penalty."""
    net, labels = tiny().train(), torch.tensor([0, 1, 2, 2])
    for player in players(net, Recipe(game=game, batch_size=4)):
        batch = Batch(torch.rand(4, 1, 3, 5), labels=labels, condition=labels)
        assert torch.isfinite(player.loss(batch, torch.Generator().manual_seed(0)))
        if player.name == "discriminator" and player.memory is not None and game.classes:
            assert player.memory["auxiliary"].head.in_features == 6


def banded(labels):
    """Return images (n, 1, 12, 12): the third of the rows that the label names is bright."""
    images = 0.3 * torch.rand(len(labels), 3, 4, 12)
    images[torch.arange(len(labels)), labels] += 0.7
    return images.view(-1, 1, 12, 12)


def bands(images):
    """Return the mean brightness of each band, (n, 3)."""
    return images.reshape(-1, 3, 48).mean(2)


class WrongLabels(ConditionalGAN):
    """Its fakes are perfect images, but of any label: all that D can learn is what belongs together."""

    def _decode(self, z, condition):
        return banded(torch.randint(3, condition.shape))


class FairJudge(ConditionalGAN):
    """Its D is perfect and listens, so that G has somebody to learn from."""

    def _discriminate(self, x, condition):
        seen = bands(x)
        return 10 * (2 * seen.gather(1, condition[:, None])[:, 0] - seen.sum(1))


def taught(kind, player, shuffled=False, rounds=200):
    """Return a small model after rounds of one player alone; with `shuffled`, labels are permuted within each
    batch."""
    with torch.random.fork_rng(devices=[]):
        net = tiny(kind, (1, 12, 12), **SMALL).train()
        torch.manual_seed(1)
        (pupil,) = [found for found in players(net, Recipe(steps=rounds)) if found.name == player]
        adam, rng = torch.optim.Adam(pupil.module.parameters(), 1e-3, (0.5, 0.999)), torch.Generator()
        for _ in range(rounds):
            labels = torch.randint(3, (32,))
            batch = Batch(banded(labels), condition=labels[torch.randperm(32)] if shuffled else labels)
            adam.zero_grad()
            pupil.loss(batch, rng).backward()
            adam.step()
        return net.eval()


@torch.no_grad()
def hearing(net):
    """Return how much larger D's logit is for the label of a real image than for others, in the mean."""
    labels = torch.arange(300) % 3
    images = banded(labels)
    logits = torch.stack([net._discriminate(images, torch.full_like(labels, c)) for c in range(3)], 1)
    own = one_hot(labels, 3).bool()
    return (logits[own].mean() - logits[~own].mean()).item()


def obeying(net):
    """Return the share of samples whose brightest band is the one that was asked for."""
    asked = torch.arange(300) % 3
    return (bands(net.sample(300, seed=0, condition=asked)).argmax(1) == asked).float().mean().item()


def deaf(kind, method):
    """Return the class with a planted bug: a method that takes every label for the first."""

    def ignoring(self, first, condition):
        return getattr(kind, method)(self, first, torch.zeros_like(condition))

    return type(f"Deaf{kind.__name__}", (kind,), {method: ignoring})


class TestListening:
    def test_d_learns_which_label_belongs_to_an_image(self):
        assert hearing(taught(WrongLabels, "discriminator")) > 1

    def test_g_learns_to_draw_the_label(self):
        assert obeying(taught(FairJudge, "generator")) > 0.95

    @pytest.mark.parametrize("shuffled", [False, True])
    def test_a_deaf_d_is_seen(self, shuffled):
        kind = WrongLabels if shuffled else deaf(WrongLabels, "_discriminate")
        assert hearing(taught(kind, "discriminator", shuffled)) < 0.3

    @pytest.mark.parametrize("method", ["_decode", "_discriminate"])
    def test_a_g_that_is_not_told_or_not_taught_is_seen(self, method):
        assert obeying(taught(deaf(FairJudge, method), "generator")) < 0.6
