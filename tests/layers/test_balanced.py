"""Up-convolutions with equal phase sums: flat colour stays flat, and nothing else of the layer changes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from genzoo.errors import ArgumentError
from genzoo.layers import BalancedConvTranspose2d, StridedConvTranspose2d, compact
from genzoo.layers.balanced import balanced

HALVES = {"kernel_size": 4, "stride": 2, "padding": 1}
THIRDS = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}  # of CycleGAN
# channels, options, the input's rows and columns
LAYERS = [
    pytest.param((20, 16), {**HALVES, "bias": False}, (3, 5), id="doubles"),
    pytest.param((16, 3), HALVES, (4, 4), id="to colours"),
    pytest.param((16, 16), {**HALVES, "groups": 4}, (4, 4), id="groups"),
    pytest.param((5, 4), {"kernel_size": (6, 4), "stride": (3, 2), "padding": (1, 0)}, (4, 5), id="3 × 2"),
    pytest.param((6, 5), {**THIRDS, "bias": False}, (4, 3), id="kernel 3"),
    pytest.param((5, 4), {"kernel_size": (5, 3), "stride": (3, 2), "padding": 1}, (4, 5), id="5 × 3"),
]


def layer(channels, options, kind=BalancedConvTranspose2d):
    torch.manual_seed(0)
    made = kind(*channels, **options, dtype=torch.float64)
    if made.bias is not None:
        nn.init.normal_(made.bias)
    return made


def by_hand(weight, stride):
    """The projection tap by tap."""
    out, (rows, columns) = weight.clone(), stride
    phases = [(a, b) for a in range(rows) for b in range(columns)]
    sums = {(a, b): weight[..., a::rows, b::columns].sum((-2, -1)) for a, b in phases}
    taps = {(a, b): weight[0, 0, a::rows, b::columns].numel() for a, b in phases}
    mean = sum(sums[phase] / taps[phase] for phase in phases) / sum(1 / taps[phase] for phase in phases)
    for a, b in phases:
        out[..., a::rows, b::columns] -= ((sums[a, b] - mean) / taps[a, b])[..., None, None]
    return out


def unevenness(made, side=(9, 9), margin=6):
    """Of the image of a constant input: the largest difference inside, away from the borders, in a
    channel."""
    constant = torch.randn(2, made.in_channels, 1, 1, dtype=torch.float64).expand(-1, -1, *side)
    inside = made(constant)[..., margin:-margin, margin:-margin]
    return (inside - inside.mean((2, 3), keepdim=True)).abs().max().item()


@pytest.mark.parametrize(("channels", "options", "side"), LAYERS)
class TestTheLayer:
    def test_flat_colour_stays_flat(self, channels, options, side):
        assert unevenness(layer(channels, options)) < 1e-12
        assert unevenness(layer(channels, options, StridedConvTranspose2d)) > 0.1

    def test_it_is_the_stock_layer_with_the_projected_weight(self, channels, options, side):
        ours, stock = layer(channels, options), layer(channels, options, nn.ConvTranspose2d)
        with torch.no_grad():
            stock.weight.copy_(by_hand(stock.weight, ours.stride))
        x = torch.randn(3, channels[0], *side, dtype=torch.float64)
        torch.testing.assert_close(ours(x), stock(x), rtol=0, atol=1e-12)
        torch.testing.assert_close(ours.settled()(x), stock(x), rtol=0, atol=1e-12)

    def test_gradients(self, channels, options, side):
        ours = layer(channels, options)
        x = torch.randn(1, channels[0], 2, 2, dtype=torch.float64)
        names = [name for name, _ in ours.named_parameters()]

        def call(*values):
            return torch.func.functional_call(ours, dict(zip(names, values, strict=True)), (x,))

        values = [value.detach().requires_grad_() for value in ours.parameters()]
        assert torch.autograd.gradcheck(call, values, fast_mode=True)
        assert torch.autograd.gradgradcheck(call, values, fast_mode=True)

    def test_a_step_of_sgd_is_the_projection_of_a_plain_step(self, channels, options, side):
        """Projecting by hand after every step gives the same weights."""
        ours, plain = layer(channels, options), layer(channels, options, StridedConvTranspose2d)
        stride = plain.stride
        with torch.no_grad():
            plain.weight.copy_(by_hand(plain.weight, stride))
        steps = [torch.optim.SGD(net.parameters(), lr=0.01) for net in (ours, plain)]
        for _ in range(3):
            x = torch.randn(3, channels[0], *side, dtype=torch.float64)
            for net, step in zip((ours, plain), steps, strict=True):
                step.zero_grad()
                net(x).pow(2).mean().backward()
                step.step()
            with torch.no_grad():
                plain.weight.copy_(by_hand(plain.weight, stride))
        torch.testing.assert_close(balanced(ours.weight, stride), plain.weight, rtol=0, atol=1e-12)
        torch.testing.assert_close(ours.settled().weight, plain.weight, rtol=0, atol=1e-12)

    def test_adam_cannot_leave_it(self, channels, options, side):
        """Its steps are no multiples of the gradient: of a plain layer that starts flat they make a
        lattice."""
        ours, plain = layer(channels, options), layer(channels, options, StridedConvTranspose2d)
        with torch.no_grad():
            plain.weight.copy_(by_hand(plain.weight, plain.stride))
        for net in (ours, plain):
            step = torch.optim.Adam(net.parameters(), lr=0.1)
            net(torch.randn(3, channels[0], *side, dtype=torch.float64)).pow(3).sum().backward()
            step.step()
        assert unevenness(ours) < 1e-12 and unevenness(plain) > 0.1

    def test_the_state_is_that_of_the_plain_layer(self, channels, options, side):
        ours, plain = layer(channels, options), layer(channels, options, nn.ConvTranspose2d)
        assert list(ours.state_dict()) == list(plain.state_dict())
        assert all(torch.equal(ours.state_dict()[key], value) for key, value in plain.state_dict().items())


class TestProjection:
    def test_twice_is_once(self):
        weight = torch.randn(3, 2, 4, 4, dtype=torch.float64)
        once = balanced(weight, (2, 2))
        torch.testing.assert_close(balanced(once, (2, 2)), once, rtol=0, atol=1e-14)

    @pytest.mark.parametrize("size", [3, 4, 5])
    def test_it_is_orthogonal_and_gives_up_three_dimensions(self, size):
        every = torch.eye(size * size, dtype=torch.float64).view(-1, 1, size, size)
        matrix = balanced(every, (2, 2)).flatten(1)
        torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-15)
        assert torch.linalg.matrix_rank(matrix) == size * size - 3

    def test_of_kernel_4_and_stride_2_it_is_exact_in_float32(self):
        """Published weights are projected with it, and their images must not change."""
        matrix = balanced(torch.eye(16).view(16, 1, 4, 4), (2, 2))
        assert torch.equal(16 * matrix, (16 * matrix).round())

    def test_without_a_stride_there_is_one_phase(self):
        weight = torch.randn(3, 2, 4, 4, dtype=torch.float64)
        torch.testing.assert_close(balanced(weight, (1, 1)), weight, rtol=0, atol=1e-14)

    @pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
    @pytest.mark.parametrize("shape", [(16, 20, 4, 4), (16, 3, 4, 4), (3, 1, 4, 4), (1, 5, 4, 4)])
    def test_layout_is_kept_and_changes_no_value(self, shape, layout):
        weight = torch.randn(shape).contiguous(memory_format=layout)
        found = balanced(weight, (2, 2))
        assert found.is_contiguous(memory_format=layout)
        torch.testing.assert_close(found, by_hand(weight, (2, 2)), rtol=0, atol=1e-6)

    def test_half_precision_rounds_the_result_alone(self):
        weight = torch.randn(16, 20, 4, 4).bfloat16()
        exact = by_hand(weight.float(), (2, 2))
        torch.testing.assert_close(balanced(weight, (2, 2)).float(), exact, rtol=2**-8, atol=1e-3)

    def test_a_kernel_smaller_than_its_stride_is_refused(self):
        with pytest.raises(ArgumentError, match=r"kernel \(1, 3\) with stride \(2, 2\)"):
            BalancedConvTranspose2d(4, 4, (1, 3), stride=2)


class TestFolding:
    @pytest.fixture
    def net(self):
        torch.manual_seed(0)
        made = nn.Sequential(
            BalancedConvTranspose2d(6, 20, **HALVES, bias=False),
            nn.BatchNorm2d(20),
            nn.ReLU(),
            BalancedConvTranspose2d(20, 3, **HALVES),
            nn.Tanh(),
        )
        made[1].running_mean.normal_()
        made[1].running_var.uniform_(0.5, 2)
        nn.init.normal_(made[1].weight, 1, 0.3)
        return made.eval()

    def test_is_exact_and_projects_once(self, net, monkeypatch):
        monkeypatch.setattr("genzoo.layers.folding.fast_bf16", lambda device: False)
        z, before = torch.randn(5, 6, 4, 4), copy.deepcopy(net.state_dict())
        fast = compact(net)
        assert [type(part) for part in fast] == [
            StridedConvTranspose2d,
            nn.ReLU,
            StridedConvTranspose2d,
            nn.Tanh,
        ]
        with torch.no_grad():
            torch.testing.assert_close(fast(z), net(z), rtol=0, atol=2e-6)
        assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())
        assert type(net[0]) is BalancedConvTranspose2d and net[0].weight.requires_grad

    def test_bf16_rounds_the_projected_weight(self, net, monkeypatch):
        monkeypatch.setattr("genzoo.layers.folding.fast_bf16", lambda device: True)
        with torch.no_grad():
            z = torch.randn(5, 6, 4, 4)
            assert (compact(net)(z) - net(z)).abs().max() < 2 * 2 / 255

    def test_autocast_projects_in_float32(self):
        """The sums of a projection made in bf16 would differ by its rounding; only the product is bf16."""
        made = BalancedConvTranspose2d(16, 16, **HALVES)
        x = torch.randn(2, 16, 4, 4)
        exact = by_hand(made.weight.detach(), (2, 2))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(made(x), made.settled()(x))
            torch.testing.assert_close(made.settled().weight.detach(), exact, rtol=0, atol=1e-6)
