"""The nets and the model: stages, fades in both nets and in real images, sizes, and what a file may hold."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from genzoo_progressive import genzoo_cards
from genzoo_progressive.layers import EqualConv2d, EqualLinear, MinibatchDeviation, PixelNorm
from genzoo_progressive.nets import Discriminator, Generator, doubled, faded, halved
from genzoo_progressive.progressive import ProgressiveConfig, ProgressiveGAN, sizes
from torch import nn

from genzoo.errors import ArgumentError
from genzoo.models import AdversarialModel, StagedModel

CARDS = {card.name: card for card in genzoo_cards()}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def small(**config):
    return ProgressiveGAN(
        ProgressiveConfig(
            **{"image_shape": (3, 32, 32), "width": 4, "widest": 16, "latent_size": 8, **config}
        )
    )


def grown_to(net, growth):
    net.growth.fill_(growth)
    return net


class TestModel:
    def test_what_it_is(self):
        net = small()
        assert isinstance(net, AdversarialModel) and isinstance(net, StagedModel)
        assert net.sizes == [(4, 4), (8, 8), (16, 16), (32, 32)] and net.last == 3
        assert not net.recordable  # a turn branches on the stage

    def test_a_new_model_is_complete(self):
        net = small()
        assert float(net.growth) == 3 and net.sample(2, seed=0).shape == (2, 3, 32, 32)

    @pytest.mark.parametrize("growth", [0, 0.5, 1, 1.25, 2, 2.75, 3])
    def test_in_the_middle_of_training_it_samples_its_stage_enlarged(self, growth):
        net = grown_to(small(), growth)
        images = net.sample(2, seed=0)
        blocks = 2 ** (3 - -int(-growth // 1))
        shown = images[:, :, ::blocks, ::blocks]
        assert images.shape == (2, 3, 32, 32)
        assert torch.equal(images, shown.repeat_interleave(blocks, 2).repeat_interleave(blocks, 3))
        z = net.sample_latents(2, seed=0)
        assert torch.equal(shown, net.stages(z)[-1])
        assert torch.isfinite(net._discriminate(images)).all()

    def test_stages_are_those_that_it_has_reached(self):
        net = small()
        z = net.sample_latents(2, seed=0)
        whole = net.stages(z)
        assert [tuple(stage.shape[2:]) for stage in whole] == net.sizes
        for growth, count in ((0, 1), (0.5, 2), (2, 3), (2.1, 4)):
            assert len(grown_to(net, growth).stages(z)) == count
        for reached in (1, 2):  # what a complete model shows of a stage, a model at that stage shows too
            torch.testing.assert_close(grown_to(net, reached).stages(z)[-1], whole[reached])

    def test_growth_is_saved_and_is_no_weight_of_a_net(self):
        """Averages follow the weights and buffers of G: of a growth they would be late."""
        net = small()
        assert "growth" in net.state_dict() and not isinstance(net.growth, nn.Parameter)
        assert all("growth" not in name for name, _ in net.generator.named_buffers())
        other = small()
        other.load_state_dict(grown_to(net, 1.5).state_dict())
        assert float(other.growth) == 1.5 and torch.equal(other.sample(2, seed=0), net.sample(2, seed=0))

    @pytest.mark.parametrize(("growth", "like"), [(7.0, 3), (-1.0, 0), (3.4e38, 3)])
    def test_a_growth_that_no_training_sets_is_brought_within(self, growth, like):
        net = small()
        expected = copy.deepcopy(grown_to(net, like)).sample(2, seed=0)
        assert torch.equal(grown_to(net, growth).sample(2, seed=0), expected)

    def test_the_same_z_gives_the_same_image_in_any_company(self):
        net = small().train()
        whole = net.sample(70, seed=1)
        assert torch.equal(net.sample(3, seed=1), whole[:3])
        assert torch.equal(net.decode(net.sample_latents(70, seed=1)[69:]), whole[69:])

    @pytest.mark.parametrize(
        ("shape", "found"),
        [
            ((3, 64, 64), [4, 8, 16, 32, 64]),
            ((1, 28, 28), [7, 14, 28]),
            ((3, 96, 96), [6, 12, 24, 48, 96]),
            ((1, 8, 8), [4, 8]),
        ],
    )
    def test_sizes(self, shape, found):
        assert sizes(shape) == [(side, side) for side in found]

    def test_sides_may_differ(self):
        net = small(image_shape=(1, 24, 40))
        assert net.sizes == [(6, 10), (12, 20), (24, 40)]
        images = net.sample(2, seed=0)
        assert images.shape == (2, 1, 24, 40) and net._discriminate(images).shape == (2,)

    @pytest.mark.parametrize(
        ("shape", "words", "near"),
        [
            ((3, 25, 40), "H and W must be even", "(3, 24, 40)"),
            ((3, 6, 6), "at least 8", "(3, 8, 8)"),
            ((2, 16, 16), "1 or 3 channels, not 2", "image_shape=(C, H, W)"),
        ],
    )
    def test_a_size_that_cannot_grow_is_named_with_the_nearest_that_can(self, shape, words, near):
        with pytest.raises(ArgumentError, match=words) as caught:
            sizes(shape)
        assert near in caught.value.hint

    @pytest.mark.parametrize("name", ["progressive-bedrooms", "progressive-faces"])
    def test_weights_fit_into_8_megabytes(self, name):
        with torch.device("meta"):
            net = CARDS[name].build()
        assert sum(v.numel() * (2 if v.ndim >= 2 else 4) for v in net.state_dict().values()) < 8_000_000


class TestGenerator:
    def test_while_a_stage_is_faded_in_images_are_a_mixture(self):
        """α of its own, 1 - α of those before, doubled: nearly nothing at first, nearly everything at
        last."""
        net, z = small().generator, torch.randn(4, 8)
        coarse, fine = net(z, 1.0), net(z, 2.0)
        for alpha in (0.01, 0.25, 0.99):
            expected = (1 - alpha) * doubled(coarse) + alpha * fine
            torch.testing.assert_close(net(z, 1 + alpha), expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("growth", [0.0, 0.5, 1.0, 1.5])
    def test_stages_that_are_not_reached_do_no_work(self, growth):
        """A pass costs what its stage costs."""
        net, called = small().generator, []
        for number, block in enumerate(net.blocks):
            block.register_forward_hook(lambda *_, number=number: called.append(number))
        net(torch.randn(1, 8), growth)
        assert called == list(range(-int(-growth // 1) + 1))

    def test_activations_have_size_1_at_every_layer(self):
        """With random weights, before pixel norm: without the scale at run time they would grow by tens."""
        net, sizes_of = Generator(64, [64, 32, 16], (4, 4), 3), []
        for module in net.modules():
            if isinstance(module, nn.LeakyReLU):
                module.register_forward_hook(
                    lambda m, x, y: sizes_of.append(float(y.detach().pow(2).mean() ** 0.5))
                )
        image = net(torch.randn(32, 64), 2.0)
        assert len(sizes_of) == 6 and all(0.75 < size < 1.25 for size in sizes_of), (
            sizes_of
        )  # edges see zeros
        assert 0.6 < float(image.detach().std()) < 1.4

    def test_the_length_of_z_does_not_count(self):
        net, z = small().generator, torch.randn(4, 8)
        torch.testing.assert_close(net(z, 3.0), net(5 * z, 3.0), rtol=1e-4, atol=1e-5)

    def test_pixel_norm_follows_every_rectifier_and_no_tanh_the_last(self):
        net = small().generator
        for block in net.blocks:
            layers = list(block)
            after = [type(b) for a, b in pairwise(layers) if isinstance(a, nn.LeakyReLU)]
            assert after and set(after) == {PixelNorm}
            assert all(layer.negative_slope == 0.2 for layer in layers if isinstance(layer, nn.LeakyReLU))
        assert not any(isinstance(m, (nn.Tanh, nn.Sigmoid, nn.BatchNorm2d)) for m in net.modules())
        for layer in net.to_rgb:
            assert layer.scale == pytest.approx(layer.weight.shape[1] ** -0.5)

    def test_the_doctor_looks_at_weights_that_always_learn(self):
        """It takes a net's first parameter for the whole; at 4×4 most of the others rest."""
        net = small()
        assert next(iter(net.generator.parameters())) is net.generator.project.weight
        assert next(iter(net.discriminator.parameters())) is net.discriminator.judge[1].weight


class TestDiscriminator:
    def test_while_a_stage_is_faded_in_it_sees_a_mixture(self):
        net = small().discriminator.eval()
        x = torch.rand(4, 3, 16, 16)
        block, rgb = net.blocks[1], net.from_rgb
        for alpha in (0.01, 0.25, 0.99):
            y = (1 - alpha) * rgb[1](halved(x)) + alpha * block(rgb[2](x))
            expected = net.judge(net.blocks[0](y)).flatten()
            torch.testing.assert_close(net(x, 1 + alpha), expected, rtol=1e-4, atol=1e-5)

    def test_at_the_start_of_a_fade_it_judges_as_before(self):
        net, x = small().discriminator.eval(), torch.rand(4, 3, 8, 8)
        torch.testing.assert_close(net(doubled(x), 1 + 1e-7), net(x, 1.0), rtol=1e-4, atol=1e-5)

    def test_each_stage_has_its_size(self):
        net = small().discriminator
        for stage, side in enumerate((4, 8, 16, 32)):
            assert net(torch.rand(5, 3, side, side), float(stage)).shape == (5,)

    def test_activations_keep_their_size_at_every_layer(self):
        """On smooth maps, which averaging leaves as they are."""
        net = Discriminator([64, 32, 16], (4, 4), 3, 4).eval()
        layers = [m for m in net.modules() if isinstance(m, (EqualConv2d, EqualLinear))]
        for layer in layers:
            x = torch.randn(64, layer.weight.shape[1])
            flat = x if isinstance(layer, EqualLinear) else x[:, :, None, None].expand(-1, -1, 8, 8)
            y = layer(flat).detach()
            inner = y if y.ndim == 2 or y.shape[2] < 3 else y[:, :, 1:-1, 1:-1]
            gain = 1 if isinstance(layer, EqualLinear) else 2**0.5
            few = 0.5 if x.shape[1] < 16 else 0.25  # of three colours, chance has more of a say
            assert float(inner.square().mean().sqrt()) == pytest.approx(gain, rel=few), layer.weight.shape
        assert len(layers) == 10

    def test_the_deviation_is_taken_at_the_smallest_map(self):
        net = small().discriminator
        seen = []
        (layer,) = [m for m in net.modules() if isinstance(m, MinibatchDeviation)]
        layer.register_forward_hook(lambda m, x, y: seen.append((tuple(x[0].shape[2:]), y.shape[1])))
        net(torch.rand(4, 3, 32, 32), 3.0)
        assert seen == [((4, 4), 17)] and layer.group == 4

    def test_in_training_numbers_know_their_group_and_no_other(self):
        """Real images and fakes go through it apart, so neither tells of the other."""
        net = small().discriminator.train()
        x = torch.rand(8, 3, 4, 4).requires_grad_()
        (slope,) = torch.autograd.grad(net(x, 0.0)[0], x)
        assert all(slope[row].abs().max() > 0 for row in range(4)) and not slope[4:].any()


class TestRealImages:
    def test_they_are_averaged_to_the_size_of_the_stage(self):
        net, x = small(), torch.rand(2, 3, 32, 32)
        for stage, side in enumerate((4, 8, 16, 32)):
            seen = grown_to(net, stage).seen(x)
            blocks = x.unflatten(2, (side, -1)).unflatten(4, (side, -1)).mean((3, 5))
            torch.testing.assert_close(seen, blocks)

    def test_they_are_faded_as_generated_ones_are(self):
        """At the start of a stage a real image has no more detail than a fake can have."""
        net, x = small(), torch.rand(2, 3, 32, 32)
        coarse, fine = grown_to(net, 1).seen(x), grown_to(net, 2).seen(x)
        for alpha in (0.25, 0.75):
            seen = grown_to(net, 1 + alpha).seen(x)
            torch.testing.assert_close(seen, (1 - alpha) * doubled(coarse) + alpha * fine)
        assert faded(x, 1.0) is x

    def test_the_model_judges_images_of_full_size_as_its_stage_sees_them(self):
        net, x = grown_to(small().eval(), 1.5), torch.rand(3, 3, 32, 32)
        torch.testing.assert_close(net._discriminate(x), net.discriminator(2 * net.seen(x) - 1, 1.5))
