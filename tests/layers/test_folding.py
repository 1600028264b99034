"""A compact generator draws what the generator itself draws, today and after its weights have changed."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from genzoo.layers import StridedConvTranspose2d, compact, decoded
from genzoo.layers.folding import fast_bf16, folding_once


@pytest.fixture
def net():
    """A generator with statistics that matter, in evaluation mode."""
    torch.manual_seed(0)
    made = nn.Sequential(
        StridedConvTranspose2d(6, 24, (3, 5), bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(inplace=True),
        StridedConvTranspose2d(24, 16, 4, 2, 1, bias=True),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        StridedConvTranspose2d(16, 3, 4, 2, 1),
        nn.Tanh(),
    )
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
    monkeypatch.setattr("genzoo.layers.folding.fast_bf16", lambda device: False)


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
        net = nn.Sequential(
            nn.Conv2d(6, 8, 1),
            nn.BatchNorm2d(8, affine=False),
            nn.Conv2d(8, 4, 1, bias=False),
            nn.BatchNorm2d(4),
        ).eval()
        norms(net)[0].running_mean.fill_(0.3)
        with torch.no_grad():
            torch.testing.assert_close(compact(net)(z), net(z), rtol=0, atol=1e-6)
        assert not norms(compact(net))

    def test_leaves_what_it_cannot_fold(self, z):
        """A norm that follows no convolution, one without statistics, and grouped convolutions are kept."""
        net = nn.Sequential(
            nn.BatchNorm2d(6),
            nn.Conv2d(6, 6, 1, groups=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.BatchNorm2d(6),
            nn.Conv2d(6, 4, 1),
            nn.BatchNorm2d(4, track_running_stats=False),
        ).eval()
        norms(net)[0].running_mean.fill_(0.3)
        norms(net)[1].running_var.fill_(2.0)
        with torch.no_grad():
            torch.testing.assert_close(compact(net)(z), net(z), rtol=0, atol=1e-6)
        assert len(norms(compact(net))) == 4

    def test_leaves_the_net_alone(self, net, z):
        before = copy.deepcopy(net.state_dict())
        compact(net)(z)
        assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())


class Louder(nn.ReLU):
    def forward(self, x):
        return 2 * super().forward(x)


def by_step(net):
    torch.optim.SGD(net.parameters(), lr=0.1).step()


CHANGES = {
    "a step of an optimiser": lambda net: (net(torch.ones(2, 6, 1, 1)).sum().backward(), by_step(net)),
    "a weight set in place": lambda net: net[0].weight.detach().mul_(1.5),
    "new statistics": lambda net: net[1].running_mean.add_(1),
    "other weights loaded": lambda net: net.load_state_dict(
        {k: v * 0.5 for k, v in net.state_dict().items()}
    ),
    "other weights assigned": lambda net: net.load_state_dict(
        {k: v * 0.5 for k, v in net.state_dict().items()}, assign=True
    ),
    "a parameter replaced": lambda net: setattr(
        net[0], "weight", nn.Parameter(torch.ones_like(net[0].weight))
    ),
    "the average of other weights": lambda net: [
        p.data.mul_(0.9).add_(torch.ones_like(p), alpha=0.1) for p in net.parameters()
    ],
    "a numpy view": lambda net: net[3].weight.detach().numpy().__imul__(1.5),
    "statistics by .data": lambda net: net[1].running_var.data.mul_(4),
    "eps": lambda net: setattr(net[1], "eps", 1.0),
    "another layer": lambda net: net.__setitem__(3, StridedConvTranspose2d(24, 16, 4, 2, 1)),
    "another activation": lambda net: net.__setitem__(2, nn.Tanh()),
    "an attribute of a layer": lambda net: (
        net.__setitem__(5, nn.LeakyReLU(0.1)),
        setattr(net[5], "negative_slope", 0.9),
    ),
    "training mode": lambda net: net.train(),
    "one layer in training mode": lambda net: net[1].train(),
    "a forward hook": lambda net: net[2].register_forward_hook(lambda layer, inputs, output: output * 0.5),
    "a hook before": lambda net: net[3].register_forward_pre_hook(lambda layer, inputs: (inputs[0] * 0.5,)),
    "a forward of its own": lambda net: setattr(net[2], "forward", torch.tanh),
    "pruned": lambda net: prune.l1_unstructured(net[3], "weight", 0.5),
    "pruned, then changed": lambda net: prune.l1_unstructured(net[3], "weight", 0.5).weight_orig.data.mul_(2),
    "spectral norm": lambda net: parametrizations.spectral_norm(net[3]).eval(),
    "weight norm": lambda net: parametrizations.weight_norm(
        net[3]
    ).parametrizations.weight.original0.data.mul_(2),
    "orthogonal": lambda net: parametrizations.orthogonal(net[3]),
    "a subclass": lambda net: net.__setitem__(2, Louder()),
    "the data of a parameter replaced": lambda net: setattr(
        net[0].weight, "data", torch.ones_like(net[0].weight)
    ),
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

    def test_it_is_made_once_where_somebody_says_so(self, net):
        assert compact(net) is not compact(net)
        with folding_once():
            made = compact(net)
            assert made is compact(net)
            with folding_once(fresh=False):
                assert made is compact(net)
            with folding_once():
                assert made is not compact(net)

    def test_a_patched_class_is_seen(self, net, z, monkeypatch):
        monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: torch.tanh(x))
        assert compact(net) is net

    def test_a_global_hook_is_called(self, net, z):
        seen = []
        hook = nn.modules.module.register_module_forward_hook(
            lambda layer, inputs, output: seen.append(layer)
        )
        try:
            compact(net)(z)
        finally:
            hook.remove()
        assert net[1] in seen

    def test_what_is_no_sequence_of_layers_is_left_alone(self, net):
        wrapped = (
            torch.compile(net, backend="eager"),
            torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(6, 4, 1))).eval(),
        )
        assert all(compact(net) is net for net in wrapped)
        net.compile(backend="eager")
        assert compact(net) is net

    def test_other_formats_are_left_alone(self, net):
        assert compact(net.double()) is net and compact(net.half()) is net

    def test_nothing_is_left_behind(self, net):
        made = weakref.ref(compact(net))
        gc.collect()
        assert made() is None

    def test_a_copy_has_its_own(self, net, z):
        other = copy.deepcopy(net)
        with torch.no_grad():
            other[0].weight.mul_(2)
            assert not torch.equal(compact(other)(z), compact(net)(z))

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


class TestGradients:
    @pytest.fixture(autouse=True)
    def bf16(self, monkeypatch):
        monkeypatch.setattr("genzoo.layers.folding.fast_bf16", lambda device: True)

    def test_the_image_is_the_same_with_gradients_and_without(self, net, z):
        with torch.no_grad():
            plain = decoded(net, z)
        asked = decoded(net, z.requires_grad_())
        assert torch.equal(asked.detach(), plain)
        assert not torch.equal(plain, net(z))

    def test_gradients_are_those_of_the_net_itself(self, net, z):
        z.requires_grad_()
        wanted = [z, net[0].weight, net[1].bias]
        (by,) = (torch.randn(5, 3, 12, 20),)
        ours, exact = (
            torch.autograd.grad((images * by).sum(), wanted) for images in (decoded(net, z), net(z))
        )
        assert all(torch.equal(one, other) for one, other in zip(ours, exact, strict=True))


class TestPrecision:
    def test_bf16_stays_within_two_grey_levels(self, net, z, monkeypatch):
        monkeypatch.setattr("genzoo.layers.folding.fast_bf16", lambda device: True)
        with torch.no_grad():
            ours, exact = compact(net)(z), net(z)
        assert ours.dtype == torch.float32
        assert 0 < (ours - exact).abs().max() < 2 * 2 / 255  # of pixels in [-1, 1]

    def test_z_and_the_pixels_keep_theirs(self, net, monkeypatch):
        """Only what lies between the first and the last convolution is rounded."""
        monkeypatch.setattr("genzoo.layers.folding.fast_bf16", lambda device: True)
        made = compact(net)
        convolutions = [layer for layer in made if isinstance(layer, StridedConvTranspose2d)]
        assert [layer.weight.dtype for layer in convolutions] == [
            torch.float32,
            torch.bfloat16,
            torch.bfloat16,
        ]
        seen = []
        made[-1].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0].dtype))
        made(torch.randn(1, 6, 1, 1))
        assert seen == [torch.float32]

    def test_one_convolution_has_nothing_between(self, z, monkeypatch):
        monkeypatch.setattr("genzoo.layers.folding.fast_bf16", lambda device: True)
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
