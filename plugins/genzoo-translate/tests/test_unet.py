"""The U-Net of pix2pix: its shape, its skips, its noise, and the sizes that it takes."""

from __future__ import annotations

import pytest
import torch
from genzoo_translate.layers import FIELDS, PatchDiscriminator, check_patches, initialise
from genzoo_translate.pix2pix import Pix2Pix, Pix2PixConfig
from genzoo_translate.unet import UNet, halvings
from torch import nn

from genzoo.errors import ArgumentError
from genzoo.rng import Rng

SIDE = 16


def seeded(make, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def unet(kind=UNet, dropout=0.5, source=3, target=3, widths=(4, 8, 8, 8)):
    return seeded(lambda: kind(source, target, widths, dropout).apply(initialise))


def tiny(**config):
    sides = config.pop("side", SIDE)
    chosen = {"width": 4, "widest": 8, "judge_width": 4, "patch_layers": 1, **config}
    for key in ("source_shape", "image_shape"):
        chosen.setdefault(key, (3, sides, sides))
    return seeded(lambda: Pix2Pix(Pix2PixConfig(**chosen)))


def noise(n=2, channels=3, side=SIDE, seed=0):
    return 2 * Rng(seed, 0, n).uniform(channels, side, side).float() - 1


class NormAtOnePixel(UNet):
    """Instance norm of a map of one pixel is its shift: nothing of the picture is left."""

    def __init__(self, *args):
        super().__init__(*args)
        # one group per channel is instance norm, which torch refuses to compute on one value
        self.down[-1].append(nn.GroupNorm(8, 8))


class DroppedEncoder(UNet):
    def __init__(self, *args):
        super().__init__(*args)
        self.down[1].append(nn.Dropout(0.5))


class WithoutSkips(UNet):
    def forward(self, x, rng):
        for down in self.down:
            x = down(x)
        for up in self.up:
            x = up(x)
            x = torch.cat([x, torch.zeros_like(x)], 1)
        return self.last(x)


class QuietInEvaluation(UNet):
    """Dropout as nn.Dropout is: off when the model is used."""

    def forward(self, x, rng):
        dropped, self.dropped = self.dropped, self.dropped if self.training else 0
        try:
            return super().forward(x, rng)
        finally:
            self.dropped = dropped


def check_bottleneck(net):
    """The innermost map, one pixel, depends on the picture."""
    maps = []
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(10)  # from weights of 0.02, which leave little of a picture
    handle = net.down[-1].register_forward_hook(lambda module, inputs, output: maps.append(output))
    net(noise(), Rng(0, 0, 2))
    handle.remove()
    assert maps[0].shape == (2, 8, 1, 1)
    assert (maps[0][0] - maps[0][1]).abs().max() > 1e-2


def check_encoder(net):
    """No dropout in the encoder, in training either."""
    x, found = noise(), []
    for down in net.train().down:
        down.register_forward_hook(lambda module, inputs, output: found.append(output))
    for seed in (0, 1):
        torch.manual_seed(seed)
        net(x, Rng(seed, 0, 2))
    half = len(found) // 2
    assert all(torch.equal(a, b) for a, b in zip(found[:half], found[half:], strict=True))


def check_skips(net):
    """A pixel reaches its own place although the innermost map is held still."""
    x = noise(1)
    net.down[-1].register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    other = x.clone()
    other[..., 8, 8] += 1
    a, b = (net(image, Rng(0, 0, 1)) for image in (x, other))
    assert (a - b).abs().amax(1)[0, 6:11, 6:11].max() > 0


def check_noise(net):
    """Another seed gives another translation when the model is used, not only in training."""
    x = noise()
    with torch.no_grad():
        first, again, other = (net.eval()(x, Rng(seed, 0, 2)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


CHECKS = {
    "no norm at one pixel": (check_bottleneck, NormAtOnePixel),
    "no dropout in the encoder": (check_encoder, DroppedEncoder),
    "skips": (check_skips, WithoutSkips),
    "dropout stays on": (check_noise, QuietInEvaluation),
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_unet_is_that_of_the_paper(name):
    CHECKS[name][0](unet())


@pytest.mark.parametrize("name", CHECKS)
def test_the_bug_would_be_seen(name):
    check, bug = CHECKS[name]
    with pytest.raises(AssertionError):
        check(unet(bug))


class TestNoise:
    def test_half_of_the_values_are_dropped_and_the_mean_is_kept(self):
        net, seen = unet(widths=(4, 8, 8, 8)), []
        net.up[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        kept = []
        net.up[0].register_forward_hook(lambda module, inputs, output: kept.append(output))
        net(noise(64), Rng(0, 0, 64))
        before, after = kept[0], seen[0][:, :8]
        gone = (after == 0) & (before != 0)
        assert 0.45 < gone.float().mean() < 0.55
        assert torch.allclose(after[~gone], 2 * before[~gone])

    def test_the_first_three_layers_have_it_and_never_the_last(self):
        assert [unet(widths=(4,) * n).dropped for n in (2, 3, 4, 5, 6)] == [1, 2, 3, 3, 3]
        assert unet(dropout=0).dropped == 0

    def test_each_picture_has_a_stream_of_its_own(self):
        net, x = unet(), noise(1).expand(3, -1, -1, -1)
        with torch.no_grad():
            many, alone = net(x, Rng(0, 0, 3)), net(x[:1], Rng(0, 2, 1))
        assert torch.allclose(many[2:], alone, atol=1e-5)
        assert (many[0] - many[1]).abs().max() > 1e-4

    def test_without_dropout_the_model_says_that_it_is_not_noisy(self):
        model = tiny(dropout=0.0)
        assert not model.picture.noisy and tiny().picture.noisy
        x = torch.rand(1, 3, SIDE, SIDE)
        assert torch.equal(model.translate(x, seed=0), model.translate(x, seed=1))


class TestSizes:
    @pytest.mark.parametrize(
        ("sides", "depth", "layers"),
        [
            ((64, 64), 0, 6),
            ((256, 256), 0, 8),
            ((1024, 1024), 0, 8),
            ((96, 64), 0, 5),
            ((8, 8), 0, 3),
            ((64, 64), 4, 4),
        ],
    )
    def test_the_depth_follows_from_the_sides(self, sides, depth, layers):
        assert halvings(sides, depth) == layers

    @pytest.mark.parametrize(
        ("sides", "depth", "words"),
        [
            ((65, 64), 0, "multiples of 4, not 65x64 — image_size=64x64"),
            ((66, 66), 0, "not 66x66 — image_size=68x68"),
            ((1, 1), 0, "image_size=4x4"),
            ((48, 48), 5, "multiples of 32, not 48x48 — image_size=64x64, or depth=4"),
        ],
    )
    def test_odd_sides_are_refused_with_the_nearest_that_fit(self, sides, depth, words):
        with pytest.raises(ArgumentError) as caught:
            halvings(sides, depth)
        assert words in str(caught.value) and "\n" not in str(caught.value)

    def test_afterwards_every_multiple_fits(self):
        model = tiny()
        assert model.multiple == 16
        for height, width in ((16, 16), (32, 48), (16, 64)):
            assert model.translate(torch.rand(1, 3, height, width)).shape == (1, 3, height, width)
        with pytest.raises(ArgumentError, match="multiples of 16, not 24x16"):
            model.translate(torch.rand(1, 3, 24, 16))

    def test_source_and_target_may_have_other_channels(self):
        model = tiny(source_shape=(1, SIDE, SIDE))
        assert model.translate(torch.rand(2, 1, SIDE, SIDE)).shape == (2, 3, SIDE, SIDE)

    def test_channels_double_up_to_the_widest(self):
        model = tiny(side=64, width=6, widest=20, patch_layers=1)
        outputs = [c.out_channels for c in model.generator.down.modules() if isinstance(c, nn.Conv2d)]
        assert outputs == [6, 12, 20, 20, 20, 20]

    def test_the_weights_of_the_card_fit_into_8_megabytes_of_float16(self):
        for layers in (3, 6):
            model = seeded(lambda layers=layers: Pix2Pix(Pix2PixConfig(depth=layers)))
            assert 2 * sum(p.numel() for p in model.parameters()) < 8e6


class TestPatches:
    @pytest.mark.parametrize("layers", FIELDS)
    def test_an_output_sees_16_34_or_70_pixels(self, layers):
        """By gradient, with every layer linear and no norm, so that nothing else spreads."""
        judge = seeded(lambda: PatchDiscriminator(1, 1, layers))
        for i, layer in enumerate(judge.net):
            if isinstance(layer, nn.InstanceNorm2d | nn.LeakyReLU):
                judge.net[i] = nn.Identity()
            else:
                nn.init.ones_(layer.weight)
        x = torch.zeros(1, 1, 160, 160, requires_grad=True)
        numbers = judge(x)
        middle = numbers.shape[2] // 2
        (slope,) = torch.autograd.grad(numbers[0, 0, middle, middle], x)
        seen = slope[0, 0].nonzero()
        assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [FIELDS[layers]] * 2

    @pytest.mark.parametrize(("side", "layers"), [(6, 1), (12, 2), (24, 3)])
    def test_the_smallest_picture_has_one_patch(self, side, layers):
        check_patches((side, side), layers)
        judge = seeded(lambda: PatchDiscriminator(3, 2, layers))
        assert judge(torch.rand(1, 3, side, side)).shape[2:] == (1, 1)
        with pytest.raises(ArgumentError, match=f"at least {side} pixels"):
            check_patches((side - 1, 64), layers)

    def test_an_error_names_the_layers_that_fit(self):
        with pytest.raises(ArgumentError, match=r"patch_layers=2$"):
            tiny(side=16, patch_layers=3)
        with pytest.raises(ArgumentError, match="image_size=12x12"):
            check_patches((4, 4), 2)

    def test_it_judges_pairs(self):
        model = tiny(source_shape=(1, SIDE, SIDE))
        assert model.discriminator.net[0].in_channels == 4
