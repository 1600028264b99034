"""A compact generator draws what the generator itself draws, today and after its weights have changed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from genzoo.models import StridedConvTranspose2d, compact
from genzoo.models.folding import _MADE, fast_bf16


@pytest.fixture
def net():
    """A generator with statistics that matter, in evaluation mode."""
    torch.manual_seed(0)
    made = nn.Sequential(
        StridedConvTranspose2d(6, 24, (3, 5), bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True),
        StridedConvTranspose2d(24, 16, 4, 2, 1, bias=True), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
        StridedConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    for norm in made:
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight, 1, 0.3)
            nn.init.normal_(norm.bias, 0, 0.3)
    return made.eval()


@pytest.fixture
def exact(monkeypatch):
    """A processor that computes in float32."""
    monkeypatch.setattr("genzoo.models.folding.fast_bf16", lambda device: False)


@pytest.fixture
def z():
    torch.manual_seed(1)
    return torch.randn(5, 6, 1, 1)


def norms(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.usefixtures("exact")
class TestFolding:
    def test_is_exact(self, net, z):
        with torch.no_grad():
            torch.testing.assert_close(compact(net)(z), net(z), rtol=0, atol=2e-6)
        assert not norms(compact(net)) and norms(net)

    def test_of_norms_without_gain_and_of_plain_convolutions(self, z):
        net = nn.Sequential(nn.Conv2d(6, 8, 1), nn.BatchNorm2d(8, affine=False), nn.Conv2d(8, 4, 1, bias=False), nn.BatchNorm2d(4)).eval()
        norms(net)[0].running_mean.fill_(0.3)
        with torch.no_grad():
            torch.testing.assert_close(compact(net)(z), net(z), rtol=0, atol=1e-6)
        assert not norms(compact(net))

    def test_leaves_what_it_cannot_fold(self, z):
        """A norm that follows no convolution, one without statistics, and grouped convolutions are kept."""
        net = nn.Sequential(
            nn.BatchNorm2d(6), nn.Conv2d(6, 6, 1, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.BatchNorm2d(6),
            nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4, track_running_stats=False),
        ).eval()  # fmt: skip
        norms(net)[0].running_mean.fill_(0.3)
        norms(net)[1].running_var.fill_(2.0)
        with torch.no_grad():
            torch.testing.assert_close(compact(net)(z), net(z), rtol=0, atol=1e-6)
        assert len(norms(compact(net))) == 4

    def test_leaves_the_net_alone(self, net, z):
        before = copy.deepcopy(net.state_dict())
        net.train()
        compact(net)(z)
        assert all(layer.training for layer in net.modules())
        assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())


def by_step(net):
    torch.optim.SGD(net.parameters(), lr=0.1).step()


CHANGES = {
    "a step of an optimiser": lambda net: (net(torch.ones(2, 6, 1, 1)).sum().backward(), by_step(net)),
    "a weight set in place": lambda net: net[0].weight.detach().mul_(1.5),
    "new statistics": lambda net: net[1].running_mean.add_(1),
    "other weights loaded": lambda net: net.load_state_dict({k: v * 0.5 for k, v in net.state_dict().items()}),
    "other weights assigned": lambda net: net.load_state_dict({k: v * 0.5 for k, v in net.state_dict().items()}, assign=True),
    "a parameter replaced": lambda net: setattr(net[0], "weight", nn.Parameter(torch.ones_like(net[0].weight))),
    "the data of a parameter replaced": lambda net: setattr(net[0].weight, "data", torch.ones_like(net[0].weight)),
}


@pytest.mark.usefixtures("exact")
class TestFreshness:
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_change_is_seen(self, net, z, change):
        with torch.no_grad():
            before = compact(net)(z)
        change(net)
        with torch.no_grad():
            after = compact(net)(z)
            torch.testing.assert_close(after, net(z), rtol=0, atol=2e-6)
        assert not torch.equal(before, after)

    def test_it_is_made_once(self, net):
        assert compact(net) is compact(net)

    def test_a_copy_has_its_own(self, net, z):
        compact(net)
        other = copy.deepcopy(net)
        with torch.no_grad():
            other[0].weight.mul_(2)
            assert not torch.equal(compact(other)(z), compact(net)(z))

    def test_it_is_forgotten_with_its_net(self, net):
        compact(net)
        known = len(_MADE)
        other = copy.deepcopy(net)
        compact(other)
        assert len(_MADE) == known + 1
        del other
        assert len(_MADE) == known

    def test_weights_born_in_inference_mode_are_never_remembered(self, z):
        with torch.inference_mode():
            net = nn.Sequential(nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4)).eval()
            before = compact(net)(z)
            net[0].weight.mul_(2)
            assert not torch.equal(compact(net)(z), before)

    def test_what_was_made_while_sampling_serves_ever_after(self, net, z):
        with torch.inference_mode():
            first = compact(net)(z)
        with torch.no_grad():
            assert torch.equal(compact(net)(z), first)


class TestPrecision:
    def test_bf16_stays_within_two_grey_levels(self, net, z, monkeypatch):
        monkeypatch.setattr("genzoo.models.folding.fast_bf16", lambda device: True)
        with torch.no_grad():
            ours, exact = compact(net)(z), net(z)
        assert ours.dtype == torch.float32
        assert 0 < (ours - exact).abs().max() < 2 * 2 / 255  # of pixels in [-1, 1]

    def test_z_and_the_pixels_keep_theirs(self, net, monkeypatch):
        """Only what lies between the first and the last convolution is rounded."""
        monkeypatch.setattr("genzoo.models.folding.fast_bf16", lambda device: True)
        made = compact(net)
        convolutions = [layer for layer in made if isinstance(layer, StridedConvTranspose2d)]
        assert [layer.weight.dtype for layer in convolutions] == [torch.float32, torch.bfloat16, torch.bfloat16]
        seen = []
        made[-1].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0].dtype))
        made(torch.randn(1, 6, 1, 1))
        assert seen == [torch.float32]

    def test_one_convolution_has_nothing_between(self, z, monkeypatch):
        monkeypatch.setattr("genzoo.models.folding.fast_bf16", lambda device: True)
        net = nn.Sequential(nn.Conv2d(6, 4, 1), nn.Tanh())
        with torch.no_grad():
            assert torch.equal(compact(net)(z), net(z))

    @pytest.mark.parametrize(("amx", "avx"), [(False, False), (True, False), (False, True)])
    def test_it_follows_the_processor(self, amx, avx, monkeypatch):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
        assert fast_bf16(torch.device("cpu")) == (amx or avx)

    def test_a_torch_that_does_not_say_computes_in_float32(self, monkeypatch):
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            monkeypatch.delattr(torch.cpu, name, raising=False)
        assert not fast_bf16(torch.device("cpu"))
        assert not fast_bf16(torch.device("meta"))
