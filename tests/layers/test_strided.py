"""Strided convolutions: the stock layers' values and gradients of every order, whichever way they are
computed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from genzoo.layers import StridedConv2d, StridedConvTranspose2d, strided

STOCK = {StridedConv2d: nn.Conv2d, StridedConvTranspose2d: nn.ConvTranspose2d}
HALVES = {"kernel_size": 4, "stride": 2, "padding": 1}

# layer, its arguments, the map it reads: (rows, columns)
LAYERS = [
    pytest.param(StridedConv2d, (16, 20), HALVES, (6, 10), id="down"),
    pytest.param(StridedConv2d, (20, 16), {**HALVES, "bias": False}, (24, 40), id="down 24x40"),
    pytest.param(StridedConv2d, (3, 16), HALVES, (8, 8), id="down from colours"),
    pytest.param(StridedConvTranspose2d, (20, 16), {**HALVES, "bias": False}, (3, 5), id="up 3x5"),
    pytest.param(StridedConvTranspose2d, (16, 20), HALVES, (12, 20), id="up 12x20"),
    pytest.param(StridedConvTranspose2d, (16, 3), HALVES, (3, 5), id="up to colours"),
    pytest.param(StridedConvTranspose2d, (17, 1), HALVES, (4, 4), id="up to grey"),
    pytest.param(StridedConv2d, (7, 5), {"kernel_size": (3, 5)}, (3, 5), id="a kernel that covers the map"),
    pytest.param(
        StridedConv2d,
        (7, 1),
        {"kernel_size": (4, 4), "bias": False},
        (4, 4),
        id="one that covers it, without a bias",
    ),
    pytest.param(StridedConvTranspose2d, (5, 7), {"kernel_size": (3, 5)}, (1, 1), id="from one position"),
    pytest.param(
        StridedConvTranspose2d,
        (5, 7),
        {"kernel_size": (4, 4), "bias": False},
        (1, 1),
        id="from one, without a bias",
    ),
]
# What no fast way exists for, and must be the stock layer.
OTHERS = [
    pytest.param(StridedConv2d, (16, 16), HALVES, (7, 9), id="odd sides"),
    pytest.param(StridedConv2d, (16, 16), {**HALVES, "groups": 2}, (8, 8), id="groups"),
    pytest.param(StridedConv2d, (16, 16), {**HALVES, "dilation": 2, "padding": 1}, (16, 16), id="dilation"),
    pytest.param(
        StridedConv2d, (16, 16), {**HALVES, "padding_mode": "circular"}, (8, 8), id="circular padding"
    ),
    pytest.param(StridedConv2d, (16, 16), {"kernel_size": 3}, (8, 8), id="another kernel"),
    pytest.param(
        StridedConv2d,
        (16, 16),
        {"kernel_size": 4, "stride": 2, "padding": "valid"},
        (4, 4),
        id="padding by name",
    ),
    pytest.param(
        StridedConvTranspose2d, (16, 16), {**HALVES, "output_padding": 1}, (4, 4), id="output padding"
    ),
    pytest.param(StridedConvTranspose2d, (16, 16), {**HALVES, "groups": 4}, (4, 4), id="transposed groups"),
    pytest.param(
        StridedConvTranspose2d,
        (16, 16),
        {"kernel_size": 3, "stride": 2},
        (4, 4),
        id="another transposed kernel",
    ),
]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def pair(layer, channels, options, dtype, layout):
    """The layer and its stock twin with the same weights."""
    torch.manual_seed(0)
    stock = STOCK[layer](*channels, **options)
    ours = layer(*channels, **options)
    ours.load_state_dict(stock.state_dict())
    return ours.to(dtype=dtype, memory_format=layout), stock.to(dtype=dtype, memory_format=layout)


def images(channels, side, dtype=torch.float32, layout=torch.contiguous_format, n=3):
    torch.manual_seed(1)
    return torch.randn(n, channels, *side, dtype=dtype).contiguous(memory_format=layout)


def everything(layer, x):
    """Values, gradients, and what a gradient penalty differentiates: the gradient of a gradient."""
    x = x.clone().requires_grad_()
    y = layer(x)
    (slope,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    (slope.square().sum() + y.sum()).backward()
    return [y, slope, x.grad, *(p.grad for p in layer.parameters())]


def assert_same(ours, stock, x, **tolerance):
    for mine, theirs in zip(everything(ours, x), everything(stock, x), strict=True):
        scale = theirs.abs().max()
        torch.testing.assert_close(mine / scale, theirs / scale, **tolerance)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("layer", "channels", "options", "side"), [*LAYERS, *OTHERS])
class TestTheStockLayer:
    def test_in_float64(self, layer, channels, options, side, layout):
        ours, stock = pair(layer, channels, options, torch.float64, layout)
        assert_same(ours, stock, images(channels[0], side, torch.float64, layout), rtol=0, atol=1e-13)

    def test_in_float32(self, layer, channels, options, side, layout):
        ours, stock = pair(layer, channels, options, torch.float32, layout)
        assert_same(ours, stock, images(channels[0], side, layout=layout), rtol=0, atol=1e-5)

    def test_under_autocast(self, layer, channels, options, side, layout):
        """As near to the true values as the stock layer in bf16, and of the same dtype."""
        ours, stock = pair(layer, channels, options, torch.float32, layout)
        exact = copy.deepcopy(stock)
        x = images(channels[0], side, layout=layout)
        found = []
        for net in (ours, stock):
            with torch.autocast("cpu", torch.bfloat16):
                y = net(x)
            y.float().pow(2).sum().backward()
            found.append([y, *(p.grad for p in net.parameters())])
        truth = exact(x)
        truth.pow(2).sum().backward()
        for mine, theirs, true in zip(*found, [truth, *(p.grad for p in exact.parameters())], strict=True):
            assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
            torch.testing.assert_close(
                mine.float() / true.abs().max(), true / true.abs().max(), rtol=0, atol=0.02
            )


class TestGradients:
    """Checked against finite differences: no stock operator is trusted."""

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch):
        # so that small nets, whose differences are soon taken, go the ways of wide ones
        monkeypatch.setattr(strided, "_NARROW", 2)

    @pytest.mark.parametrize("largest", [0, 64], ids=["stock weight gradient", "matrix product"])
    @pytest.mark.parametrize("narrow", [1, 8], ids=["wide", "in blocks"])
    @pytest.mark.parametrize(("function", "side"), [(strided._Down, (4, 6)), (strided._Up, (2, 3))])
    def test_first_and_second(self, function, side, narrow, largest, monkeypatch):
        monkeypatch.setattr(strided, "_LARGEST", largest)
        monkeypatch.setattr(strided, "_NARROW", narrow)
        torch.manual_seed(0)
        x = torch.randn(2, 2, *side, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
        bias = torch.randn(2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(function.apply, (x, weight, bias))
        assert torch.autograd.gradgradcheck(function.apply, (x, weight, bias))

    def test_of_the_weight_gradient(self):
        torch.manual_seed(0)
        x = torch.randn(2, 2, 4, 6, dtype=torch.float64, requires_grad=True)
        g = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(strided._Weight.apply, (x, g))
        assert torch.autograd.gradgradcheck(strided._Weight.apply, (x, g))

    def test_a_frozen_weight_costs_nothing(self, monkeypatch):
        layer = StridedConv2d(4, 4, **HALVES).requires_grad_(False)
        monkeypatch.setattr(
            strided._Weight, "forward", staticmethod(lambda *a: pytest.fail("a gradient that nobody wants"))
        )
        x = images(4, (8, 8)).requires_grad_()
        layer(x).sum().backward()
        assert x.grad is not None and layer.weight.grad is None

    @pytest.mark.parametrize(("layer", "side"), [(StridedConv2d, (8, 8)), (StridedConvTranspose2d, (4, 4))])
    def test_nor_does_one_whose_gradient_is_not_asked_for(self, layer, side, monkeypatch):
        """As in a gradient penalty, which first asks for the gradient of the images alone, and then for all
        of its."""
        net = layer(16, 16, **HALVES)
        x = images(16, side).requires_grad_()
        real, seen = strided._Weight.forward, []
        monkeypatch.setattr(
            strided._Weight, "forward", staticmethod(lambda *given: seen.append(1) or real(*given))
        )
        with torch.autocast("cpu", torch.bfloat16):
            y = net(x)
        (slope,) = torch.autograd.grad(y.float().pow(2).sum(), x, create_graph=True)
        assert seen == []
        slope.square().sum().backward()
        assert len(seen) == 2 and net.weight.grad.abs().max() > 0

    def test_only_what_backward_is_told_to(self, monkeypatch):
        nets = nn.Sequential(StridedConv2d(16, 20, **HALVES), StridedConv2d(20, 16, **HALVES))
        real, seen = strided._Weight.forward, []
        monkeypatch.setattr(
            strided._Weight, "forward", staticmethod(lambda x, g: seen.append(x.shape[1]) or real(x, g))
        )
        nets(images(16, (8, 8))).sum().backward(inputs=list(nets[0].parameters()))
        assert seen == [16] and nets[0].weight.grad is not None and nets[1].weight.grad is None


class TestTheWay:
    """Which way is taken is invisible in values; so it is watched."""

    @pytest.fixture
    def calls(self, monkeypatch):
        """Record the custom functions that are called."""
        seen = []
        real = strided._call
        monkeypatch.setattr(
            strided,
            "_call",
            lambda function, *inputs: seen.append(function.__name__) or real(function, *inputs),
        )
        return seen

    def test_a_training_step_uses_all_three(self, calls):
        down, up = StridedConv2d(16, 16, **HALVES), StridedConvTranspose2d(16, 16, **HALVES)
        up(down(images(16, (8, 8)).requires_grad_())).sum().backward()
        assert calls == ["_Down", "_Up", "_Down", "_Weight", "_Up", "_Weight"]

    @pytest.mark.parametrize(("layer", "channels", "options", "side"), OTHERS)
    def test_other_layers_are_stock(self, layer, channels, options, side, calls):
        layer(*channels, **options)(images(channels[0], side))
        assert calls == []

    @pytest.mark.parametrize("layer", [StridedConv2d, StridedConvTranspose2d])
    def test_other_devices_are_stock(self, layer, calls):
        y = layer(16, 16, **HALVES, device="meta")(torch.empty(2, 16, 8, 8, device="meta"))
        assert y.device.type == "meta" and calls == []

    def test_a_compiled_layer_is_stock(self, calls, monkeypatch):
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        StridedConv2d(16, 16, **HALVES)(images(16, (8, 8)))
        assert calls == []

    def test_channels_last_stays_channels_last(self):
        net = nn.Sequential(StridedConv2d(16, 24, **HALVES), StridedConvTranspose2d(24, 3, **HALVES)).to(
            memory_format=torch.channels_last
        )
        x = images(16, (8, 8), layout=torch.channels_last).requires_grad_()
        y = net(x)
        y.sum().backward()
        assert all(
            t.is_contiguous(memory_format=torch.channels_last)
            for t in (y, x.grad, net[0].weight.grad, net[1].weight.grad)
        )


class TestAStockLayerInAllElse:
    @pytest.mark.parametrize(("layer", "channels", "options", "side"), LAYERS)
    def test_the_same_fresh_weights_and_state(self, layer, channels, options, side):
        torch.manual_seed(5)
        ours = layer(*channels, **options).state_dict()
        torch.manual_seed(5)
        stock = STOCK[layer](*channels, **options).state_dict()
        assert list(ours) == list(stock) and all(torch.equal(ours[key], stock[key]) for key in stock)

    @pytest.mark.parametrize("layer", list(STOCK))
    def test_copies_are_independent(self, layer):
        first = layer(16, 16, **HALVES)
        second = copy.deepcopy(first)
        x = images(16, (4, 4))
        assert type(second) is layer and torch.equal(first(x), second(x))
        with torch.no_grad():
            second.weight.zero_()
        assert first(x).abs().sum() > second(x).abs().sum()

    @pytest.mark.parametrize("layer", list(STOCK))
    def test_a_wrong_input_gets_the_stock_words(self, layer):
        with pytest.raises(RuntimeError, match="to have 16 channels, but got 15 channels"):
            layer(16, 16, **HALVES)(images(15, (8, 8)))

    def test_an_output_size_is_obeyed(self):
        layer = StridedConvTranspose2d(16, 16, kernel_size=4, stride=2, padding=1)
        assert layer(images(16, (4, 4)), output_size=[9, 9]).shape == (3, 16, 9, 9)

    def test_the_same_twice(self):
        """Bit for bit: resuming a run depends on it."""
        ours, _ = pair(StridedConv2d, (16, 20), HALVES, torch.float32, torch.channels_last)
        x = images(16, (8, 8), layout=torch.channels_last)
        results = [everything(copy.deepcopy(ours), x) for _ in range(2)]
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
