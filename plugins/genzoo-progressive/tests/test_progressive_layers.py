"""The layers against the paper's formulas, computed in another way."""

from __future__ import annotations

import pytest
import torch
from genzoo_progressive.layers import (
    EqualConv2d,
    EqualLinear,
    GrowingConv2d,
    MinibatchDeviation,
    PixelNorm,
    ShrinkingConv2d,
    deviations,
)
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def rms(x):
    return float(x.detach().square().mean().sqrt())


class TestEqualisedLearningRate:
    def test_weights_are_normal_and_the_scale_is_of_the_forward_pass(self):
        """What is stored has a variance of 1 in every layer, however many inputs it has."""
        for inputs in (8, 128):
            layer = EqualConv2d(inputs, 64, (3, 3), padding=1)
            assert rms(layer.weight) == pytest.approx(1, abs=0.05) and not layer.bias.any()
            assert layer.scale == pytest.approx((2 / (9 * inputs)) ** 0.5)
            x = torch.randn(2, inputs, 5, 5)
            expected = conv2d(x, layer.weight * (2 / (9 * inputs)) ** 0.5, layer.bias, padding=1)
            torch.testing.assert_close(layer(x), expected)

    def test_the_scale_is_no_part_of_the_saved_weights(self):
        assert set(EqualConv2d(2, 3, (1, 1)).state_dict()) == {"weight", "bias"}

    @pytest.mark.parametrize("inputs", [8, 64, 256])
    def test_a_rectified_layer_keeps_the_size_of_its_input(self, inputs):
        """He's constant: a root mean square of 1 comes out as 1.02, for linear layers and convolutions."""
        x = torch.randn(512, inputs)
        assert rms(leaky_relu(EqualLinear(inputs, 256)(x), 0.2)) == pytest.approx(1.02, abs=0.08)
        maps = torch.randn(16, inputs, 12, 12)
        inner = leaky_relu(EqualConv2d(inputs, 64, (3, 3))(maps), 0.2)
        assert rms(inner) == pytest.approx(1.02, abs=0.08)

    def test_a_linear_output_has_gain_1(self):
        x = torch.randn(64, 96, 4, 4)
        assert rms(EqualConv2d(96, 128, (1, 1), gain=1.0)(x)) == pytest.approx(1, abs=0.08)

    def test_a_step_of_adam_changes_every_layer_by_the_same_share(self):
        """This is what it is for: a plain layer of few inputs would change less than one of many."""
        shares = []
        for inputs in (4, 256):
            layer = EqualLinear(inputs, 64)
            before = layer.weight.detach() * layer.scale
            optimiser = torch.optim.Adam(layer.parameters(), lr=1e-2, betas=(0.0, 0.99))
            layer(torch.randn(32, inputs)).square().sum().backward()
            optimiser.step()
            shares.append(rms(layer.weight * layer.scale - before) / rms(before))
        assert shares[0] == pytest.approx(shares[1], rel=0.1)


class TestResampling:
    @pytest.mark.parametrize("size", [(4, 4), (3, 5)])
    def test_growing_is_a_convolution_of_the_doubled_map(self, size):
        layer = GrowingConv2d(6, 5)
        nn.init.normal_(layer.bias)
        x = torch.randn(2, 6, *size)
        plain = conv2d(
            interpolate(x, scale_factor=2, mode="nearest"), layer.weight * layer.scale, layer.bias, padding=1
        )
        torch.testing.assert_close(layer(x), plain, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("size", [(4, 4), (6, 10)])
    def test_shrinking_is_the_mean_of_four_pixels_of_a_convolution(self, size):
        layer = ShrinkingConv2d(6, 5)
        nn.init.normal_(layer.bias)
        x = torch.randn(2, 6, *size)
        plain = avg_pool2d(conv2d(x, layer.weight * layer.scale, layer.bias, padding=1), 2)
        torch.testing.assert_close(layer(x), plain, rtol=1e-4, atol=1e-5)


class TestPixelNorm:
    def test_each_pixel_has_a_mean_square_of_1_over_the_channels(self):
        x = 7 * torch.randn(3, 16, 4, 5)
        y = PixelNorm()(x)
        torch.testing.assert_close(y.square().mean(1), torch.ones(3, 4, 5))
        torch.testing.assert_close(y[1, :, 2, 3], x[1, :, 2, 3] / x[1, :, 2, 3].square().mean().sqrt())

    def test_a_z_loses_its_length_alone(self):
        z = torch.randn(5, 32)
        y = PixelNorm()(z)
        torch.testing.assert_close(y.norm(dim=1), torch.full((5,), 32**0.5))
        torch.testing.assert_close(y, PixelNorm()(3 * z))

    def test_nothing_stays_nothing(self):
        x = torch.zeros(1, 4, 2, 2, requires_grad=True)
        PixelNorm()(x).sum().backward()
        assert not PixelNorm()(x).any() and torch.isfinite(x.grad).all()


def plainly(x, group):
    """Return the statistic image by image, with loops."""
    n = len(x)
    firsts = list(range(0, n, group)) if n > group else [0]
    if n > group and n % group:
        firsts.pop()
    found = []
    for first, end in zip(firsts, [*firsts[1:], n], strict=True):
        members = x[first:end].double()
        spread = ((members - members.mean(0)).square().mean(0) + 1e-8).sqrt()
        found += [float(spread.mean())] * (end - first)
    return torch.tensor(found)


class TestMinibatchDeviation:
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 11, 16])
    def test_any_batch_has_a_value_for_each_image(self, n):
        x = torch.randn(n, 3, 2, 2) * torch.arange(1.0, n + 1)[:, None, None, None]
        torch.testing.assert_close(deviations(x, 4), plainly(x, 4))

    @pytest.mark.parametrize("n", [8, 10])
    def test_an_image_knows_its_own_group_alone(self, n):
        x = torch.randn(n, 3, 2, 2)
        other = x.clone()
        other[4:] = 5 * torch.randn(n - 4, 3, 2, 2)
        before, after = deviations(x, 4), deviations(other, 4)
        assert torch.equal(before[:4], after[:4]) and (before[4:] != after[4:]).all()

    def test_it_is_one_more_map(self):
        layer, x = MinibatchDeviation(4).train(), torch.randn(8, 3, 2, 5)
        y = layer(x)
        assert y.shape == (8, 4, 2, 5) and torch.equal(y[:, :3], x)
        assert torch.equal(y[:, 3], deviations(x, 4)[:, None, None].expand(8, 2, 5))

    def test_it_is_smaller_where_images_are_alike(self):
        """So D can see a collapse of G."""
        x = torch.randn(8, 16, 4, 4)
        assert (deviations(x[:1] + 0.01 * x, 4) < 0.02 * deviations(x, 4)).all()

    def test_in_evaluation_an_image_stands_alone(self):
        layer, x = MinibatchDeviation(4), torch.randn(8, 3, 2, 2)
        for _ in range(60):
            layer.train()(x)
        y = layer.eval()(x)
        assert torch.equal(y[:1], layer(x[:1])) and torch.equal(y[5:6], layer(x[5:6]))
        torch.testing.assert_close(y[0, 3, 0, 0], deviations(x, 4).mean(), rtol=0.01, atol=0)

    def test_evaluation_changes_no_statistic(self):
        layer = MinibatchDeviation(4).train()
        layer(torch.randn(4, 3, 2, 2))
        mean = layer.mean.clone()
        layer.eval()(torch.randn(4, 3, 2, 2))
        assert torch.equal(layer.mean, mean) and mean > 0

    def test_equal_images_have_finite_gradients_of_second_order(self):
        """The penalty needs them, and the square root of 0 has none."""
        x = torch.ones(4, 3, 2, 2, requires_grad=True)
        (slope,) = torch.autograd.grad(deviations(x, 4).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(slope.square().sum(), x)
        assert torch.isfinite(slope).all() and torch.isfinite(second).all()
