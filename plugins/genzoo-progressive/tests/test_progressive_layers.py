"""The layers against the paper's formulas, computed in another way, and published bugs that must be seen."""

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

from genzoo.shares import Share, taking, whole


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def rms(x):
    return float(x.detach().square().mean().sqrt())


class OfOutputs:
    """Scaled by the number of outputs."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        outputs, inputs = self.weight.shape[:2]
        self.scale *= (inputs / outputs) ** 0.5


class OfChannels:
    """The positions of the kernel are not counted."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.scale *= self.weight[0, 0].numel() ** 0.5


class AtTheStart:
    """The scale is in the weights that are stored, as in a plain layer with He's initialisation."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        with torch.no_grad():
            self.weight.mul_(self.scale)
        self.scale = 1.0


class Twice:
    """The scale is in the weights that are stored and of the forward pass."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        with torch.no_grad():
            self.weight.mul_(self.scale)


class Squared:
    """A gain of 2 for √2."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.scale *= 2**0.5


class Unrooted:
    """The variance of He's constant for its root."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.scale **= 2


class WithBias:
    """The bias is scaled as well."""

    def forward(self, x):
        bias = self.bias.view(-1, *[1] * (self.weight.ndim - 2))
        return super().forward(x) + (self.scale - 1) * bias


def with_bug(kind, bug):
    """Return the class of layer `kind` with `bug`, if any."""
    return kind if bug is None else type(bug.__name__, (bug, kind), {})


def check_scale(bug=None):
    """What is stored has a variance of 1 in every layer, however many inputs it has."""
    for inputs in (8, 128):
        layer = with_bug(EqualConv2d, bug)(inputs, 64, (3, 3), padding=1)
        assert rms(layer.weight) == pytest.approx(1, abs=0.05) and not layer.bias.any()
        assert layer.scale == pytest.approx((2 / (9 * inputs)) ** 0.5)
        nn.init.normal_(layer.bias)
        x = torch.randn(2, inputs, 5, 5)
        expected = conv2d(x, layer.weight * (2 / (9 * inputs)) ** 0.5, layer.bias, padding=1)
        torch.testing.assert_close(layer(x), expected)


def check_size(bug=None):
    """He's constant: a root mean square of 1 comes out as 1.02, for linear layers and convolutions."""
    for inputs in (8, 64, 256):
        x = torch.randn(512, inputs)
        rectified = leaky_relu(with_bug(EqualLinear, bug)(inputs, 256)(x), 0.2)
        assert rms(rectified) == pytest.approx(1.02, abs=0.08)
        maps = torch.randn(16, inputs, 12, 12)
        rectified = leaky_relu(with_bug(EqualConv2d, bug)(inputs, 64, (3, 3))(maps), 0.2)
        assert rms(rectified) == pytest.approx(1.02, abs=0.08)


def check_pace(bug=None):
    """This is what it is for: a plain layer of few inputs would change less than one of many."""
    shares = []
    for inputs in (4, 256):
        layer = with_bug(EqualLinear, bug)(inputs, 64)
        before = layer.weight.detach() * layer.scale
        optimiser = torch.optim.Adam(layer.parameters(), lr=1e-2, betas=(0.0, 0.99))
        layer(torch.randn(32, inputs)).square().sum().backward()
        optimiser.step()
        shares.append(rms(layer.weight * layer.scale - before) / rms(before))
    assert shares[0] == pytest.approx(shares[1], rel=0.1)


SCALES = [
    (check_scale, OfOutputs),
    (check_scale, OfChannels),
    (check_scale, AtTheStart),
    (check_scale, Twice),
    (check_scale, Squared),
    (check_scale, WithBias),
    (check_size, OfOutputs),
    (check_size, Twice),
    (check_size, Squared),
    (check_size, Unrooted),
    (check_pace, AtTheStart),
    (check_pace, Twice),
]


def titled(cases):
    """Return the arguments of a parametrisation over pairs of a check and a bug that it must see."""
    return {"argvalues": cases, "ids": [f"{check.__name__}-{bug.__name__}" for check, bug in cases]}


class TestEqualisedLearningRate:
    def test_weights_are_normal_and_the_scale_is_of_the_forward_pass(self):
        check_scale()

    def test_the_scale_is_no_part_of_the_saved_weights(self):
        assert set(EqualConv2d(2, 3, (1, 1)).state_dict()) == {"weight", "bias"}

    def test_a_rectified_layer_keeps_the_size_of_its_input(self):
        check_size()

    def test_a_linear_output_has_gain_1(self):
        x = torch.randn(64, 96, 4, 4)
        assert rms(EqualConv2d(96, 128, (1, 1), gain=1.0)(x)) == pytest.approx(1, abs=0.08)

    def test_a_step_of_adam_changes_every_layer_by_the_same_share(self):
        check_pace()

    @pytest.mark.parametrize(("check", "bug"), **titled(SCALES))
    def test_a_bug_would_be_seen(self, check, bug):
        with pytest.raises(AssertionError):
            check(bug)


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


class OverAxes(PixelNorm):
    """The root mean square over other axes, of which a z may lack some."""

    axes: tuple[int, ...]

    def forward(self, x):
        axes = [axis for axis in self.axes if axis < x.ndim]
        return x * (x.square().mean(axes, keepdim=True) + 1e-8).rsqrt() if axes else x


class OverTheBatch(OverAxes):
    axes = (0,)


class OverPositions(OverAxes):
    axes = (2, 3)


class OverImages(OverAxes):
    """One number for a whole image."""

    axes = (1, 2, 3)


class OverWidth(OverAxes):
    """The last axis, which is that of the channels of a z alone."""

    def forward(self, x):
        return x * (x.square().mean(-1, keepdim=True) + 1e-8).rsqrt()


class Lengths(PixelNorm):
    """The length of the vector for its root mean square."""

    def forward(self, x):
        return x * (x.square().sum(1, keepdim=True) + 1e-8).rsqrt()


class MeanSquares(PixelNorm):
    """Without the root."""

    def forward(self, x):
        return x / (x.square().mean(1, keepdim=True) + 1e-8)


class Centred(PixelNorm):
    """The mean is taken away first, as layer norm does."""

    def forward(self, x):
        return super().forward(x - x.mean(1, keepdim=True))


class Wide(PixelNorm):
    """An ε that counts beside small vectors."""

    def forward(self, x):
        return x * (x.square().mean(1, keepdim=True) + 1e-2).rsqrt()


def check_pixels(kind=PixelNorm):
    """Each pixel has a mean square of 1 over the channels, and keeps its direction."""
    x = 7 * torch.randn(3, 16, 4, 5)
    y = kind()(x)
    torch.testing.assert_close(y.square().mean(1), torch.ones(3, 4, 5))
    torch.testing.assert_close(y[1, :, 2, 3], x[1, :, 2, 3] / x[1, :, 2, 3].square().mean().sqrt())
    torch.testing.assert_close(kind()(x / 100), y)


def check_latents(kind=PixelNorm):
    """A z loses its length alone."""
    z = torch.randn(5, 32)
    y = kind()(z)
    torch.testing.assert_close(y.norm(dim=1), torch.full((5,), 32**0.5))
    torch.testing.assert_close(y, z * (32**0.5 / z.norm(dim=1, keepdim=True)))
    torch.testing.assert_close(y, kind()(3 * z))


NORMS = [
    *((check_pixels, bug) for bug in (OverTheBatch, OverPositions, OverImages, OverWidth)),
    *((check_pixels, bug) for bug in (Lengths, MeanSquares, Centred, Wide)),
    *((check_latents, bug) for bug in (OverTheBatch, OverPositions, Lengths, MeanSquares, Centred)),
]


class TestPixelNorm:
    def test_each_pixel_has_a_mean_square_of_1_over_the_channels(self):
        check_pixels()

    def test_a_z_loses_its_length_alone(self):
        check_latents()

    def test_nothing_stays_nothing(self):
        x = torch.zeros(1, 4, 2, 2, requires_grad=True)
        PixelNorm()(x).sum().backward()
        assert not PixelNorm()(x).any() and torch.isfinite(x.grad).all()

    @pytest.mark.parametrize(("check", "bug"), **titled(NORMS))
    def test_a_bug_would_be_seen(self, check, bug):
        with pytest.raises(AssertionError):
            check(bug)


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


def grouped(x, group):
    """Return `x` (N, C, H, W), of which whole groups are left, as (groups, members, C, H, W)."""
    return x.unflatten(0, (-1, min(len(x), group)))


def over_channels(x, group):
    """How much the channels of one image differ."""
    return (x.var(1, correction=0) + 1e-8).sqrt().mean((1, 2))


def over_positions(x, group):
    """How much the pixels of one image differ."""
    return (x.var((2, 3), correction=0) + 1e-8).sqrt().mean(1)


def ungrouped(x, group):
    """One group of the whole batch."""
    return deviations(x, len(x))


def pooled(x, group):
    """Of all numbers of a group together: of one feature or another."""
    spreads = (grouped(x, group).flatten(1).var(1, correction=0) + 1e-8).sqrt()
    return spreads.repeat_interleave(min(len(x), group))


def averaged_first(x, group):
    """Of the mean of each image, instead of the mean over its features."""
    spreads = (grouped(x, group).mean((2, 3, 4)).var(1, correction=0) + 1e-8).sqrt()
    return spreads.repeat_interleave(min(len(x), group))


def of_variances(x, group):
    """Without the root."""
    spreads = grouped(x, group).var(1, correction=0).mean((1, 2, 3))
    return spreads.repeat_interleave(min(len(x), group))


def tiled(x, group):
    """The value of a group goes to the rows of others."""
    values = deviations(x, group)
    return values[::group].repeat(group)


def check_statistic(found=deviations, counts=(8, 16)):
    for n in counts:
        x = torch.randn(n, 3, 2, 2) * torch.arange(1.0, n + 1)[:, None, None, None]
        torch.testing.assert_close(found(x, 4), plainly(x, 4))


class OneForAll(MinibatchDeviation):
    """One value for the batch, the mean of all groups."""

    def forward(self, x):
        y = super().forward(x)
        return torch.cat([y[:, :-1], y[:, -1:].mean().expand_as(y[:, -1:])], 1)


class Detached(MinibatchDeviation):
    """G does not learn from it."""

    def forward(self, x):
        return torch.cat([x, super().forward(x)[:, -1:].detach()], 1)


class InCompany(MinibatchDeviation):
    """The statistic of the batch in evaluation as well."""

    def forward(self, x):
        values = deviations(x, self.group).view(-1, 1, 1, 1)
        return torch.cat([x, values.expand(-1, 1, *x.shape[2:])], 1)


class OwnRows(InCompany):
    """With several processes, groups of each process's own rows."""


class FirstRows(MinibatchDeviation):
    """With several processes, the values of the first rows of all."""

    def forward(self, x):
        values = deviations(whole(x), self.group)[: len(x)].view(-1, 1, 1, 1)
        return torch.cat([x, values.expand(-1, 1, *x.shape[2:])], 1)


class EveryRow(MinibatchDeviation):
    """With several processes, one group of the rows of all."""

    def forward(self, x):
        rows = whole(x)
        values = deviations(rows, len(rows))[: len(x)].view(-1, 1, 1, 1)
        return torch.cat([x, values.expand(-1, 1, *x.shape[2:])], 1)


def check_map(kind=MinibatchDeviation):
    """It is one more map, the last, through which an image learns from its group and from no other."""
    layer, x = kind(4).train(), torch.randn(8, 3, 2, 5, requires_grad=True)
    y = layer(x)
    assert y.shape == (8, 4, 2, 5) and torch.equal(y[:, :3], x)
    assert torch.equal(y[:, 3], deviations(x, 4)[:, None, None].expand(8, 2, 5))
    (slope,) = torch.autograd.grad(y[0, 3].sum(), x)
    assert all(slope[row].any() for row in range(4)) and not slope[4:].any()


def check_evaluation(kind=MinibatchDeviation):
    """In evaluation an image stands alone."""
    layer, x = kind(4), torch.randn(8, 3, 2, 2)
    for _ in range(60):
        layer.train()(x)
    y = layer.eval()(x)
    assert torch.equal(y[:1], layer(x[:1])) and torch.equal(y[5:6], layer(x[5:6]))
    torch.testing.assert_close(y[0, 3, 0, 0], deviations(x, 4).mean(), rtol=0.01, atol=0)


class Gathered(Share):
    """A share that knows the rows of the others."""

    def __init__(self, number, parts, rows):
        super().__init__(number, parts)
        self.everyone = rows

    def gathered(self, x):
        return self.everyone


def check_processes(kind=MinibatchDeviation):
    """Two processes make of 12 images the three groups that one makes, one of which is on both."""
    x = torch.randn(12, 3, 2, 2) * torch.arange(1.0, 13)[:, None, None, None]
    found = []
    for number, own in enumerate(x.chunk(2)):
        with taking(Gathered(number, 2, x), len(own)):
            found.append(kind(4).train()(own))
    torch.testing.assert_close(torch.cat(found), MinibatchDeviation(4).train()(x))


DEVIATIONS = [
    *((check_statistic, bug) for bug in (over_channels, over_positions, ungrouped, pooled)),
    *((check_statistic, bug) for bug in (averaged_first, of_variances, tiled)),
    *((check_map, bug) for bug in (OneForAll, Detached)),
    (check_evaluation, InCompany),
    *((check_processes, bug) for bug in (OwnRows, FirstRows, EveryRow)),
]


class TestMinibatchDeviation:
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 11, 16])
    def test_any_batch_has_a_value_for_each_image(self, n):
        check_statistic(counts=[n])

    @pytest.mark.parametrize("n", [8, 10])
    def test_an_image_knows_its_own_group_alone(self, n):
        x = torch.randn(n, 3, 2, 2)
        other = x.clone()
        other[4:] = 5 * torch.randn(n - 4, 3, 2, 2)
        before, after = deviations(x, 4), deviations(other, 4)
        assert torch.equal(before[:4], after[:4]) and (before[4:] != after[4:]).all()

    def test_it_is_one_more_map(self):
        check_map()

    def test_groups_are_those_of_the_whole_batch(self):
        check_processes()

    @pytest.mark.parametrize(("check", "bug"), **titled(DEVIATIONS))
    def test_a_bug_would_be_seen(self, check, bug):
        with pytest.raises(AssertionError):
            check(bug)

    def test_it_is_smaller_where_images_are_alike(self):
        """So D can see a collapse of G."""
        x = torch.randn(8, 16, 4, 4)
        assert (deviations(x[:1] + 0.01 * x, 4) < 0.02 * deviations(x, 4)).all()

    def test_in_evaluation_an_image_stands_alone(self):
        check_evaluation()

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
