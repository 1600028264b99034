"""The nets and the model: stages, fades in both nets and in real images, sizes, what a file may hold, and
published bugs of all these that must be seen."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import pytest
import torch
from genzoo_progressive import genzoo_cards
from genzoo_progressive.layers import EqualConv2d, EqualLinear, MinibatchDeviation, PixelNorm
from genzoo_progressive.nets import Discriminator, Generator, doubled, faded, halved
from genzoo_progressive.options import place
from genzoo_progressive.progressive import ProgressiveConfig, ProgressiveGAN, sizes
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from genzoo.errors import ArgumentError
from genzoo.models import AdversarialModel, StagedModel

CARDS = {card.name: card for card in genzoo_cards()}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def small(kind=ProgressiveGAN, **config):
    return kind(
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
        check_saved()

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


class Fading:
    """A net that fades in a stage at another growth than it is told."""

    def forward(self, x, growth):
        return super().forward(x, self.other(growth) if growth % 1 else growth)


class Stuck(Fading):
    """α stays at 0: nothing is seen of the new stage."""

    def other(self, growth):
        return math.floor(growth) + 1e-6


class Reversed(Fading):
    """1 - α for α: a stage is faded out."""

    def other(self, growth):
        return math.floor(growth) + 1 - growth % 1


class Abrupt(Fading):
    """The new stage counts in full from its first round on."""

    def other(self, growth):
        return math.ceil(growth)


class Smooth(Generator):
    """The images of the stage before are enlarged bilinearly, which neither D nor real images know of."""

    def _image(self, maps, stage, alpha):
        if alpha == 1:
            return super()._image(maps, stage, alpha)
        before = interpolate(self.to_rgb[stage - 1](maps[stage - 1]), scale_factor=2, mode="bilinear")
        return torch.lerp(before, self.to_rgb[stage](maps[stage]), alpha)


def check_images(kind=Generator):
    """α of its own, 1 - α of those before, doubled: nearly nothing at first, nearly everything at last."""
    net, z = kind(8, [16, 16, 8, 4], (4, 4), 3), torch.randn(4, 8)
    coarse, fine = net(z, 1.0), net(z, 2.0)
    for alpha in (0.01, 0.25, 0.99):
        expected = (1 - alpha) * doubled(coarse) + alpha * fine
        torch.testing.assert_close(net(z, 1 + alpha), expected, rtol=1e-4, atol=1e-5)


class Before(Generator):
    """Pixel norm before the rectifier."""

    def __init__(self, *args):
        super().__init__(*args)
        for block in self.blocks:
            for number, layer in enumerate(block):
                if isinstance(layer, PixelNorm):
                    block[number - 1], block[number] = layer, block[number - 1]


class Unnormed(Generator):
    """No pixel norm."""

    def __init__(self, *args):
        super().__init__(*args)
        for block in self.blocks:
            for number, layer in enumerate(block):
                if isinstance(layer, PixelNorm):
                    block[number] = nn.Identity()


class Steep(Generator):
    """torch's slope of a LeakyReLU, 0.01."""

    def __init__(self, *args):
        super().__init__(*args)
        for layer in self.modules():
            if isinstance(layer, nn.LeakyReLU):
                layer.negative_slope = 0.01


class Squashed(Generator):
    """tanh after the colours."""

    def __init__(self, *args):
        super().__init__(*args)
        self.squash = nn.Tanh()

    def _image(self, maps, stage, alpha):
        return self.squash(super()._image(maps, stage, alpha))


class Loud(Generator):
    """A gain of √2 to the colours, which no rectifier follows."""

    def __init__(self, *args):
        super().__init__(*args)
        for layer in self.to_rgb:
            layer.scale *= 2**0.5


class RawLatents(Generator):
    """z as it is."""

    def __init__(self, *args):
        super().__init__(*args)
        self.norm = nn.Identity()


def check_layers(kind=Generator):
    """Pixel norm follows every rectifier, and no tanh the last layer."""
    net = kind(8, [16, 16, 8, 4], (4, 4), 3)
    for block in net.blocks:
        layers = list(block)
        after = [type(b) for a, b in pairwise(layers) if isinstance(a, nn.LeakyReLU)]
        assert after and set(after) == {PixelNorm}
        assert all(layer.negative_slope == 0.2 for layer in layers if isinstance(layer, nn.LeakyReLU))
    assert not any(isinstance(m, (nn.Tanh, nn.Sigmoid, nn.BatchNorm2d)) for m in net.modules())
    for layer in net.to_rgb:
        assert layer.scale == pytest.approx(layer.weight.shape[1] ** -0.5)


def check_length(kind=Generator):
    """The length of z does not count. Without biases it would not in any case: the pixel norms behind it take
    it out.
    """
    net, z = kind(8, [16, 16, 8, 4], (4, 4), 3), torch.randn(4, 8)
    nn.init.normal_(net.project.bias)
    torch.testing.assert_close(net(z, 3.0), net(5 * z, 3.0), rtol=1e-3, atol=1e-3)


def check_activations(kind=Generator):
    """With random weights, before pixel norm, they have size 1: without the scale at run time they would grow
    by tens.
    """
    net, sizes_of = kind(64, [64, 32, 16], (4, 4), 3), []
    for module in net.modules():
        if isinstance(module, nn.LeakyReLU):
            module.register_forward_hook(
                lambda m, x, y: sizes_of.append(float(y.detach().pow(2).mean() ** 0.5))
            )
    image = net(torch.randn(32, 64), 2.0)
    assert len(sizes_of) == 6 and all(0.75 < size < 1.25 for size in sizes_of), sizes_of  # edges see zeros
    assert 0.6 < float(image.detach().std()) < 1.4


def with_bug(kind, bug):
    """Return the net `kind` with what `bug` does to its forward pass."""
    return type(bug.__name__, (bug, kind), {})


def titled(cases):
    """Return the arguments of a parametrisation over pairs of a check and a bug that it must see."""
    return {"argvalues": cases, "ids": [f"{check.__name__}-{bug.__name__}" for check, bug in cases]}


GENERATORS = [
    *((check_images, with_bug(Generator, bug)) for bug in (Stuck, Reversed, Abrupt)),
    (check_images, Smooth),
    *((check_layers, bug) for bug in (Before, Unnormed, Steep, Squashed, Loud)),
    (check_length, RawLatents),
]


class TestGenerator:
    def test_while_a_stage_is_faded_in_images_are_a_mixture(self):
        check_images()

    @pytest.mark.parametrize(("check", "bug"), **titled(GENERATORS))
    def test_a_bug_would_be_seen(self, check, bug):
        with pytest.raises(AssertionError):
            check(bug)

    @pytest.mark.parametrize("growth", [0.0, 0.5, 1.0, 1.5])
    def test_stages_that_are_not_reached_do_no_work(self, growth):
        """A pass costs what its stage costs."""
        net, called = small().generator, []
        for number, block in enumerate(net.blocks):
            block.register_forward_hook(lambda *_, number=number: called.append(number))
        net(torch.randn(1, 8), growth)
        assert called == list(range(-int(-growth // 1) + 1))

    def test_activations_have_size_1_at_every_layer(self):
        check_activations()

    def test_the_length_of_z_does_not_count(self):
        check_length()

    def test_pixel_norm_follows_every_rectifier_and_no_tanh_the_last(self):
        check_layers()

    def test_the_doctor_looks_at_weights_that_always_learn(self):
        """It takes a net's first parameter for the whole; at 4×4 most of the others rest."""
        net = small()
        assert next(iter(net.generator.parameters())) is net.generator.project.weight
        assert next(iter(net.discriminator.parameters())) is net.discriminator.judge[1].weight


class HalvedLate(Discriminator):
    """The maps are halved, not the images, before they are mixed."""

    def forward(self, x, growth):
        stage, alpha = place(growth, self.last)
        y = self.from_rgb[stage](x)
        if stage:
            y = self.blocks[stage - 1](y)
        if alpha < 1:
            y = torch.lerp(halved(self.from_rgb[stage - 1](x)), y, alpha)
        for block in reversed(list(self.blocks)[: max(stage - 1, 0)]):
            y = block(y)
        return self.judge(y).flatten()


def check_judgements(kind=Discriminator):
    """While a stage is faded in, D sees a mixture: α of its layers, 1 - α of the halved images."""
    net = kind([16, 16, 8, 4], (4, 4), 3, 4).eval()
    x = torch.rand(4, 3, 16, 16)
    block, rgb = net.blocks[1], net.from_rgb
    for alpha in (0.01, 0.25, 0.99):
        y = (1 - alpha) * rgb[1](halved(x)) + alpha * block(rgb[2](x))
        expected = net.judge(net.blocks[0](y)).flatten()
        torch.testing.assert_close(net(x, 1 + alpha), expected, rtol=1e-4, atol=1e-5)


class AtFullSize(Discriminator):
    """The deviation of the largest maps, right after the colours."""

    def __init__(self, widths, base, colours, group):
        super().__init__(widths, base, colours, group)
        self.judge[0] = nn.Identity()
        self.judge[1] = EqualConv2d(widths[0], widths[0], (3, 3), padding=1)
        self.blocks[-1].insert(0, MinibatchDeviation(group))
        self.blocks[-1][1] = EqualConv2d(widths[-1] + 1, widths[-1], (3, 3), padding=1)


class AfterTheLast(Discriminator):
    """The deviation after the convolution at 4×4 instead of before it."""

    def __init__(self, widths, base, colours, group):
        super().__init__(widths, base, colours, group)
        narrow = widths[0]
        self.judge[0], self.judge[1] = nn.Identity(), EqualConv2d(narrow, narrow, (3, 3), padding=1)
        self.judge.insert(3, MinibatchDeviation(group))
        self.judge[4] = EqualConv2d(narrow + 1, narrow, base)


class Unaware(Discriminator):
    """No deviation: D cannot see a collapse of G."""

    def __init__(self, widths, base, colours, group):
        super().__init__(widths, base, colours, group)
        self.judge[0] = nn.Identity()
        self.judge[1] = EqualConv2d(widths[0], widths[0], (3, 3), padding=1)


def check_deviation(kind=Discriminator):
    """It is taken of the smallest maps, once, and the next convolution has it."""
    net, made, given = kind([16, 16, 8, 4], (4, 4), 3, 4), [], []
    layers = [m for m in net.modules() if isinstance(m, MinibatchDeviation)]
    for layer in layers:
        layer.register_forward_hook(lambda m, x, y: made.append(y))
    first = next(m for m in net.judge if isinstance(m, EqualConv2d))
    first.register_forward_pre_hook(lambda m, x: given.append(x[0]))
    net(torch.rand(4, 3, 32, 32), 3.0)
    assert [layer.group for layer in layers] == [4]
    assert made[0].shape == (4, 17, 4, 4) and given[0] is made[0]


class LoudVerdict(Discriminator):
    """A gain of √2 in the last layer, which no rectifier follows."""

    def __init__(self, *args):
        super().__init__(*args)
        self.judge[-1].scale *= 2**0.5


class Quiet(Discriminator):
    """A gain of 1 before rectifiers."""

    def __init__(self, *args):
        super().__init__(*args)
        for layer in self.modules():
            if isinstance(layer, EqualConv2d):
                layer.scale /= 2**0.5


def check_gains(kind=Discriminator):
    """Activations keep their size at every layer, on smooth maps, which averaging leaves as they are."""
    net = kind([64, 32, 16], (4, 4), 3, 4).eval()
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


DISCRIMINATORS = [
    *((check_judgements, with_bug(Discriminator, bug)) for bug in (Stuck, Reversed, Abrupt)),
    (check_judgements, HalvedLate),
    *((check_deviation, bug) for bug in (AtFullSize, AfterTheLast, Unaware)),
    *((check_gains, bug) for bug in (LoudVerdict, Quiet)),
]


class TestDiscriminator:
    def test_while_a_stage_is_faded_in_it_sees_a_mixture(self):
        check_judgements()

    @pytest.mark.parametrize(("check", "bug"), **titled(DISCRIMINATORS))
    def test_a_bug_would_be_seen(self, check, bug):
        with pytest.raises(AssertionError):
            check(bug)

    def test_at_the_start_of_a_fade_it_judges_as_before(self):
        net, x = small().discriminator.eval(), torch.rand(4, 3, 8, 8)
        torch.testing.assert_close(net(doubled(x), 1 + 1e-7), net(x, 1.0), rtol=1e-4, atol=1e-5)

    def test_each_stage_has_its_size(self):
        net = small().discriminator
        for stage, side in enumerate((4, 8, 16, 32)):
            assert net(torch.rand(5, 3, side, side), float(stage)).shape == (5,)

    def test_activations_keep_their_size_at_every_layer(self):
        check_gains()

    def test_the_deviation_is_taken_at_the_smallest_map(self):
        check_deviation()

    def test_in_training_numbers_know_their_group_and_no_other(self):
        """Real images and fakes go through it apart, so neither tells of the other."""
        net = small().discriminator.train()
        x = torch.rand(8, 3, 4, 4).requires_grad_()
        (slope,) = torch.autograd.grad(net(x, 0.0)[0], x)
        assert all(slope[row].abs().max() > 0 for row in range(4)) and not slope[4:].any()


def sharp(net, x):
    """Return the images of the stage, not faded."""
    stage, _ = place(float(net.growth), net.last)
    return avg_pool2d(x, 2 ** (net.last - stage))


class Sharp(ProgressiveGAN):
    """Real images are not faded."""

    def seen(self, x):
        return sharp(self, x)


class FadedOut(ProgressiveGAN):
    """Real images are faded the other way."""

    def seen(self, x):
        _, alpha = place(float(self.growth), self.last)
        return sharp(self, x) if alpha == 1 else faded(sharp(self, x), 1 - alpha)


class Blurred(ProgressiveGAN):
    """Real images are those of the stage before, doubled, for as long as the fade takes."""

    def seen(self, x):
        _, alpha = place(float(self.growth), self.last)
        return sharp(self, x) if alpha == 1 else doubled(halved(sharp(self, x)))


class Skipping(ProgressiveGAN):
    """Every second, fourth … pixel instead of their mean."""

    def seen(self, x):
        stage, alpha = place(float(self.growth), self.last)
        step = 2 ** (self.last - stage)
        return faded(x[:, :, ::step, ::step], alpha)


def check_averaged(kind=ProgressiveGAN):
    """Real images are averaged to the size of the stage."""
    net, x = small(kind), torch.rand(2, 3, 32, 32)
    for stage, side in enumerate((4, 8, 16, 32)):
        seen = grown_to(net, stage).seen(x)
        blocks = x.unflatten(2, (side, -1)).unflatten(4, (side, -1)).mean((3, 5))
        torch.testing.assert_close(seen, blocks)


def check_faded(kind=ProgressiveGAN):
    """At the start of a stage a real image has no more detail than a fake can have."""
    net, x = small(kind), torch.rand(2, 3, 32, 32)
    coarse, fine = grown_to(net, 1).seen(x), grown_to(net, 2).seen(x)
    for alpha in (0.25, 0.75):
        seen = grown_to(net, 1 + alpha).seen(x)
        torch.testing.assert_close(seen, (1 - alpha) * doubled(coarse) + alpha * fine)


class Unsaved(ProgressiveGAN):
    """A growth that no file has: what was saved at 16×16 is loaded as if it were complete."""

    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("growth", self.growth, persistent=False)


class OfTheNet(ProgressiveGAN):
    """A growth that is G's, and averaged with its weights."""

    def __init__(self, config):
        super().__init__(config)
        self.generator.register_buffer("growth", self._buffers["growth"])


def check_saved(kind=ProgressiveGAN):
    """Averages follow the weights and buffers of G: of a growth they would be late."""
    net = small(kind)
    assert "growth" in net.state_dict() and not isinstance(net.growth, nn.Parameter)
    assert all("growth" not in name for name, _ in net.generator.named_buffers())
    other = small(kind)
    other.load_state_dict(grown_to(net, 1.5).state_dict())
    assert float(other.growth) == 1.5 and torch.equal(other.sample(2, seed=0), net.sample(2, seed=0))


IMAGES = [
    *((check_faded, bug) for bug in (Sharp, FadedOut, Blurred, Skipping)),
    (check_averaged, Skipping),
    *((check_saved, bug) for bug in (Unsaved, OfTheNet)),
]


class TestRealImages:
    def test_they_are_averaged_to_the_size_of_the_stage(self):
        check_averaged()

    def test_they_are_faded_as_generated_ones_are(self):
        check_faded()
        x = torch.rand(2, 3, 8, 8)
        assert faded(x, 1.0) is x

    @pytest.mark.parametrize(("check", "bug"), **titled(IMAGES))
    def test_a_bug_would_be_seen(self, check, bug):
        with pytest.raises(AssertionError):
            check(bug)

    def test_the_model_judges_images_of_full_size_as_its_stage_sees_them(self):
        net, x = grown_to(small().eval(), 1.5), torch.rand(3, 3, 32, 32)
        torch.testing.assert_close(net._discriminate(x), net.discriminator(2 * net.seen(x) - 1, 1.5))
