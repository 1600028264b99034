"""The GAN of 2014: the paper's nets, any image size, and a game that runs from card to images."""

from __future__ import annotations

import math

import pytest
import torch
from genzoo_gan import genzoo_cards
from genzoo_gan.gan import GAN, GANConfig, Maxout
from torch import nn

from genzoo import Adversarial, Family, Recipe
from genzoo.errors import ArgumentError, UnknownNameError
from genzoo.losses.objectives import OBJECTIVES
from genzoo.training import Batch, players
from genzoo.training.refusals import check_recipe

CARDS = {card.name: card for card in genzoo_cards()}


def tiny(image_shape=(1, 4, 6), **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return GAN(
            GANConfig(
                image_shape=image_shape,
                **{"width": 16, "discriminator_width": 6, "pieces": 3, "latent_size": 5, **config},
            )
        )


class TestNets:
    def test_they_are_the_papers(self):
        with torch.device("meta"):
            net = CARDS["gan-mnist"].build()
        g = [(m.in_features, m.out_features) for m in net.generator.modules() if isinstance(m, nn.Linear)]
        d = [(m.in_features, m.out_features) for m in net.discriminator.modules() if isinstance(m, nn.Linear)]
        assert g == [(100, 1200), (1200, 1200), (1200, 784)]
        assert d == [(784, 240 * 5), (240, 240 * 5), (240, 1)]
        assert [type(m) for m in net.generator if not isinstance(m, (nn.Linear, nn.Unflatten))] == [
            nn.ReLU,
            nn.ReLU,
            nn.Sigmoid,
        ]
        assert [round(m.p, 6) for m in net.discriminator.modules() if isinstance(m, nn.Dropout)] == [
            0.2,
            0.5,
            0.5,
        ]

    def test_it_fits_into_8_megabytes(self):
        with torch.device("meta"):
            net = CARDS["gan-mnist"].build()
        assert CARDS["gan-mnist"].recipe.save_dtype == "float16"
        assert (
            sum(v.numel() * (2 if v.ndim >= 2 else v.element_size()) for v in net.state_dict().values())
            < 8_000_000
        )

    @pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 7), (2, 1, 1), (1, 1, 31)])
    def test_any_size(self, shape):
        net = tiny(shape)
        images = net.sample(3, seed=0)
        assert images.shape == (3, *shape) and images.min() >= 0 and images.max() <= 1
        assert net._discriminate(images).shape == (3,)

    def test_noise_reaches_from_minus_to_plus_the_root_of_3(self):
        net, seen = tiny(), []
        net.generator.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        net.decode(net.sample_latents(2048, seed=0))
        z = torch.cat(seen)
        assert z.abs().max() <= math.sqrt(3) and z.abs().max() > 1.7
        assert abs(z.var() - 1) < 0.02
        assert GAN.prior == "uniform"  # so that interpolation goes along a line

    def test_both_nets_by_hand(self):
        """Images lie in [0, 1] for both, and z is scaled to variance 1."""
        net = tiny(dropout=False).double()
        z, x = torch.rand(6, 5, dtype=torch.float64) * 2 - 1, torch.rand(6, 1, 4, 6, dtype=torch.float64)

        def linear(layer, values):
            return values @ layer.weight.T + layer.bias

        def maxout(unit, values):
            return torch.stack([linear(unit.linear, values)[:, u::6].amax(1) for u in range(6)], 1)

        first, second, last = (m for m in net.generator if isinstance(m, nn.Linear))
        h = linear(second, linear(first, math.sqrt(3) * z).clamp(min=0)).clamp(min=0)
        torch.testing.assert_close(net._decode(z), torch.sigmoid(linear(last, h)).view(6, 1, 4, 6))
        first, second = (m for m in net.discriminator if isinstance(m, Maxout))
        logits = linear(net.discriminator[-2], maxout(second, maxout(first, x.flatten(1)))).flatten()
        torch.testing.assert_close(net._discriminate(x), logits)

    def test_dropout_can_be_left_out(self):
        assert not [m for m in tiny(dropout=False).modules() if isinstance(m, nn.Dropout)]

    def test_fresh_weights_are_those_of_the_papers_code(self):
        net = tiny((1, 16, 16), width=64, discriminator_width=32)
        for part, spread in ((net.generator, 0.05), (net.discriminator, 0.005)):
            for layer in (m for m in part.modules() if isinstance(m, nn.Linear)):
                assert layer.weight.abs().max() <= spread and not layer.bias.any()
                assert abs(layer.weight.std() - spread / math.sqrt(3)) < 0.2 * spread

    @pytest.mark.parametrize(
        ("config", "told"),
        [
            ({"width": 0}, "width must lie between 1"),
            ({"width": 10**9}, "width must lie between 1"),
            ({"pieces": 99}, "pieces must lie between"),
            ({"image_shape": (1, 0, 8)}, "between 1 and 1024"),
            ({"dropout": 0.5}, "dropout must be true or false"),
        ],
    )
    def test_a_wrong_config_is_refused(self, config, told):
        with pytest.raises(ArgumentError, match=told):
            CARDS["gan"].build(**config)

    def test_unknown_key(self):
        with pytest.raises(UnknownNameError, match="did you mean 'pieces'"):
            CARDS["gan"].build(piece=3)


class TestMaxout:
    def test_the_largest_of_its_pieces(self):
        unit = Maxout(3, 4, 5)
        x = torch.randn(7, 3)
        pieces = unit.linear(x)  # (7, 20): the pieces of a unit lie 4 apart
        expected = torch.stack([pieces[:, u::4].max(1).values for u in range(4)], 1)
        torch.testing.assert_close(unit(x), expected)

    def test_one_piece_is_a_linear_layer_and_two_can_be_the_absolute_value(self):
        line = Maxout(2, 3, 1)
        x = torch.randn(5, 2)
        torch.testing.assert_close(line(x), line.linear(x))
        bend = Maxout(1, 1, 2)
        with torch.no_grad():
            bend.linear.weight.copy_(torch.tensor([[1.0], [-1.0]]))
            bend.linear.bias.zero_()
        torch.testing.assert_close(bend(x[:, :1]), x[:, :1].abs())

    def test_only_the_largest_piece_learns(self):
        unit = Maxout(1, 1, 3)
        with torch.no_grad():
            unit.linear.weight.copy_(torch.tensor([[1.0], [3.0], [2.0]]))
            unit.linear.bias.zero_()
        unit(torch.ones(1, 1)).backward()
        assert unit.linear.weight.grad.flatten().tolist() == [0, 1, 0]

    def test_it_can_be_differentiated_twice(self):
        net = tiny(dropout=False).double()
        x = torch.rand(3, 1, 4, 6, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(net._discriminate(x).sum(), x, create_graph=True)
        slope.square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in net.discriminator.parameters() if p.grad is not None)


class TestGame:
    @pytest.mark.parametrize("objective", list(OBJECTIVES))
    def test_any_objective(self, objective):
        """No batch norm, so the penalty goes with these nets; dropout does not keep an image from having a
        slope."""
        recipe = Recipe(
            game=Adversarial(objective=objective, gp_weight=10.0 if objective == "wasserstein" else 0.0)
        )
        check_recipe(tiny(), recipe)
        x = torch.rand(8, 1, 4, 6)
        for player in players(tiny().train(), recipe):
            assert torch.isfinite(player.loss(Batch(x), torch.Generator().manual_seed(0)))

    def test_cards_are_what_they_say(self):
        assert {name: card.family for name, card in CARDS.items()} == dict.fromkeys(
            ("gan", "gan-mnist", "cgan-mnist"), Family.IMPLICIT
        )
        for name in ("gan", "gan-mnist"):
            card = CARDS[name]
            assert card.load_class() is GAN and "1406.2661" in card.paper and card.summary
        assert CARDS["gan-mnist"].recipe.data == "mnist"  # grey levels, as the number of 2014 has them
