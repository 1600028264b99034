"""The DCGAN that takes labels: an embedding beside z in G, projection in D, and both listen."""

from __future__ import annotations

import pytest
import torch
from genzoo_dcgan import genzoo_cards
from genzoo_dcgan.conditional import ROOMS, ConditionalDCGAN, ConditionalDCGANConfig
from genzoo_dcgan.dcgan import DCGAN, DCGANConfig, generator
from torch import nn
from torch.nn.functional import one_hot

from genzoo import Adversarial, Labels, Recipe
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.layers import BalancedConvTranspose2d, MinibatchDiscrimination
from genzoo.testing import laws
from genzoo.training import Batch, players

CARD = next(card for card in genzoo_cards() if card.name == "dcgan-rooms")
NAMES = ("top", "bottom", "left", "right")

test_laws_of_another_shape = laws("genzoo-dcgan", "dcgan-rooms", image_shape=(1, 24, 8), width=2)


def tiny(kind=ConditionalDCGAN, image_shape=(1, 8, 8), **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"width": 4, "latent_size": 5, "label_size": 3, "labels": NAMES}
        return kind(ConditionalDCGANConfig(image_shape=image_shape, **{**sizes, **config}))


class TestGenerator:
    def test_its_input_is_z_and_the_labels_embedding(self):
        net = tiny().train()  # in evaluation fresh batch statistics leave little of either
        z, labels = torch.randn(4, 5), torch.tensor([3, 0, 0, 2])
        embedded = torch.stack([net.generator.embed.weight[label] for label in labels])
        expected = net.generator.net(torch.cat([z, embedded], 1)[:, :, None, None]).add(1).div(2)
        torch.testing.assert_close(net._decode(z, labels), expected)

    def test_it_is_the_dcgans_with_a_longer_z(self):
        net, plain = tiny(width=6), generator(DCGANConfig(image_shape=(1, 8, 8), width=6, latent_size=8))
        shapes = {name: value.shape for name, value in net.generator.net.state_dict().items()}
        assert shapes == {name: value.shape for name, value in plain.state_dict().items()}

    def test_a_label_is_a_bias_of_the_first_map(self):
        """So that one-hot labels, embedded or not, would give the same nets."""
        net = tiny().generator
        first = net.net[0]
        z, label = torch.randn(1, 5, 1, 1), net.embed.weight[2].view(1, 3, 1, 1)
        of_label = torch.einsum("i,iohw->ohw", label.flatten(), first.weight[5:])
        alone = torch.einsum("i,iohw->ohw", z.flatten(), first.weight[:5])
        torch.testing.assert_close(first(torch.cat([z, label], 1))[0], alone + of_label)

    def test_the_label_is_embedded_as_widely_as_z_is_spread(self):
        embed = tiny(labels=tuple(map(str, range(200)))).generator.embed.weight
        assert abs(embed.mean()) < 0.15 and abs(embed.std() - 1) < 0.15

    def test_the_balanced_up_convolution_stays(self):
        with torch.device("meta"):
            net = CARD.build()
        ups = [m for m in net.generator.net if isinstance(m, nn.ConvTranspose2d)]
        assert [isinstance(m, BalancedConvTranspose2d) for m in ups] == [False, True, True, True, True]


class TestProjection:
    @pytest.mark.parametrize("config", [{}, {"image_shape": (1, 24, 16)}, {"depth": 1, "norm": "none"}])
    def test_the_formula(self, config):
        """logit = ψ(φ) + ⟨e_y, Σ φ⟩ (Miyato & Koyama 2018, equation 4), with loops."""
        net = tiny(**config).double().eval()
        x = torch.rand(3, *net.image_shape, dtype=torch.float64)
        labels = torch.tensor([1, 3, 0])
        d = net.discriminator
        h = d.features(2 * x - 1)
        for i, label in enumerate(labels):
            pooled = torch.stack([h[i, channel].sum() for channel in range(h.shape[1])])
            expected = d.head(h)[i].sum() + pooled @ d.embed.weight[label]
            torch.testing.assert_close(net._discriminate(x, labels)[i], expected)

    def test_without_the_embedding_it_is_the_dcgans(self):
        net, plain = tiny().eval(), DCGAN(DCGANConfig(image_shape=(1, 8, 8), width=4, latent_size=5)).eval()
        d = net.discriminator
        nn.init.zeros_(d.embed.weight)
        plain.discriminator.load_state_dict(nn.Sequential(*d.features, *d.head).state_dict())
        x = torch.rand(5, 1, 8, 8)
        torch.testing.assert_close(net._discriminate(x, torch.arange(5) % 4), plain._discriminate(x))

    def test_minibatch_discrimination_belongs_to_the_head(self):
        d = tiny(minibatch=4).discriminator
        assert [type(m) for m in d.head] == [nn.Flatten, MinibatchDiscrimination, nn.Linear]
        assert d(torch.rand(5, 1, 8, 8), torch.arange(5) % 4).shape == (5,)

    def test_fresh_weights_of_the_embedding(self):
        net = tiny(width=64, norm="none")
        assert abs(net.discriminator.embed.weight.std() - 0.02) < 0.004

    def test_a_fresh_d_hears_the_label(self):
        net = tiny().train()
        x = torch.rand(64, 1, 8, 8)
        logits = torch.stack([net._discriminate(x, torch.full((64,), label)) for label in range(4)])
        assert (logits.std(0) > 0.03 * logits.std()).all()


class TestContract:
    def test_the_card_says_it(self):
        assert CARD.condition == Labels(ROOMS) and CARD.load_class() is ConditionalDCGAN
        assert "1511.06434" in CARD.paper and "1802.05637" in CARD.paper
        assert CARD.recipe.data == "rooms" and CARD.recipe.save_dtype == "float16"

    def test_it_fits_into_8_megabytes(self):
        with torch.device("meta"):
            net = CARD.build()
        assert sum(v.numel() * (2 if v.ndim >= 2 else 4) for v in net.state_dict().values()) < 8_000_000

    def test_an_image_is_that_of_its_z_and_label(self):
        net = tiny().eval()
        images = net.sample(3, seed=1, condition=["left", "top", 3])
        torch.testing.assert_close(
            images, net.decode(net.sample_latents(3, seed=1), ["left", "top", "right"])
        )
        for i, name in enumerate(("left", "top", "right")):
            assert torch.equal(net.sample(3, seed=1, condition=name)[i], images[i])
            others = [other for other in NAMES if other != name]
            assert all(not torch.equal(net.sample(3, 1, condition=other)[i], images[i]) for other in others)

    @pytest.mark.parametrize(
        "config", [{"mlp": 16, "discriminator_norm": "none"}, {"norm": "layer"}, {"activation": "tanh"}]
    )
    def test_the_other_switches_of_a_dcgan_work(self, config):
        net = tiny(**config)
        assert net.sample(2, seed=0, condition="top").shape == (2, 1, 8, 8)
        assert net._discriminate(torch.rand(2, 1, 8, 8), torch.tensor([0, 1])).shape == (2,)

    @pytest.mark.parametrize(
        ("config", "error", "told"),
        [
            ({"dropout": 0.5}, ArgumentError, "dropout must be 0"),
            ({"label_size": 0}, ArgumentError, "label_size must lie between 1"),
            ({"label_sise": 3}, UnknownNameError, "did you mean 'label_size'"),
            ({"image_shape": (3, 25, 40)}, ArgumentError, "H and W must be even"),
        ],
    )
    def test_a_wrong_config_is_refused(self, config, error, told):
        with pytest.raises(error, match=told):
            CARD.build(**config)


def test_an_auxiliary_classifier_reads_the_last_hidden_map():
    net, labels = tiny().train(), torch.tensor([0, 1, 3, 3])
    critic, _ = players(net, Recipe(game=Adversarial(classes=4), batch_size=4))
    batch = Batch(torch.rand(4, 1, 8, 8), labels=labels, condition=labels)
    assert torch.isfinite(critic.loss(batch, torch.Generator().manual_seed(0)))
    assert critic.memory["auxiliary"].head.in_features == 4 * 4 * 4


HALVES = (
    (slice(0, 4), slice(None)),
    (slice(4, 8), slice(None)),
    (slice(None), slice(0, 4)),
    (slice(None), slice(4, 8)),
)


def halved(labels):
    """Return noisy images (n, 1, 8, 8): the half that the label names is bright, the other one dark."""
    patterns = torch.zeros(4, 8, 8)
    for pattern, half in zip(patterns, HALVES, strict=True):
        pattern[half] = 0.7
    return (patterns[labels] + 0.3 * torch.rand(len(labels), 8, 8))[:, None]


def contrast(images):
    """Return how much brighter each half is than the other, (n, 4)."""
    return (
        torch.stack([2 * images[(slice(None), 0, *half)].mean((1, 2)) for half in HALVES], 1)
        - 2 * (images.mean((1, 2, 3))[:, None])
    )


class WrongLabels(ConditionalDCGAN):
    """Its fakes are perfect images, but of any label: all that D can learn is what belongs together."""

    def _decode(self, z, condition):
        return halved(torch.randint(4, condition.shape))


class FairJudge(ConditionalDCGAN):
    """Its D is perfect and listens, so that G has somebody to learn from."""

    def _discriminate(self, x, condition):
        return 10 * contrast(x).gather(1, condition[:, None])[:, 0]


def taught(kind, player, shuffled=False, rounds=100):
    """Return a small model after rounds of one player alone; with `shuffled`, labels are permuted within each
    batch."""
    with torch.random.fork_rng(devices=[]):
        net = tiny(kind, width=16).train()
        torch.manual_seed(1)
        (pupil,) = [found for found in players(net, Recipe(steps=rounds)) if found.name == player]
        adam, rng = torch.optim.Adam(pupil.module.parameters(), 2e-3, (0.5, 0.999)), torch.Generator()
        for _ in range(rounds):
            labels = torch.randint(4, (32,))
            batch = Batch(halved(labels), condition=labels[torch.randperm(32)] if shuffled else labels)
            adam.zero_grad()
            pupil.loss(batch, rng).backward()
            adam.step()
        return net.eval()


@torch.no_grad()
def hearing(net):
    """Return how much larger D's logit is for the label of a real image than for others, in the mean."""
    labels = torch.arange(300) % 4
    images = halved(labels)
    logits = torch.stack([net._discriminate(images, torch.full_like(labels, c)) for c in range(4)], 1)
    own = one_hot(labels, 4).bool()
    return (logits[own].mean() - logits[~own].mean()).item()


def obeying(net):
    """Return the share of samples whose bright half is the one that was asked for."""
    asked = torch.arange(400) % 4
    return (contrast(net.sample(400, seed=0, condition=asked)).argmax(1) == asked).float().mean().item()


def deaf(kind, method):
    """Return the class with a planted bug: a method that takes every label for the first."""

    def ignoring(self, first, condition):
        return getattr(kind, method)(self, first, torch.zeros_like(condition))

    return type(f"Deaf{kind.__name__}", (kind,), {method: ignoring})


class TestListening:
    def test_d_learns_which_label_belongs_to_an_image(self):
        assert hearing(taught(WrongLabels, "discriminator")) > 3

    def test_g_learns_to_draw_the_label(self):
        assert obeying(taught(FairJudge, "generator")) > 0.9

    @pytest.mark.parametrize("shuffled", [False, True])
    def test_a_deaf_d_is_seen(self, shuffled):
        kind = WrongLabels if shuffled else deaf(WrongLabels, "_discriminate")
        assert hearing(taught(kind, "discriminator", shuffled)) < 0.3

    @pytest.mark.parametrize("method", ["_decode", "_discriminate"])
    def test_a_g_that_is_not_told_or_not_taught_is_seen(self, method):
        assert obeying(taught(deaf(FairJudge, method), "generator")) < 0.5
