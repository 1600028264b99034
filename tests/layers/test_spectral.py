"""Spectral normalisation: the largest singular value is 1, u is state of training alone, and the rest of the
layer is the plain one.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from genzoo.layers import (
    MinibatchDiscrimination,
    SpectralConv2d,
    SpectralEmbedding,
    SpectralLinear,
    SpectralNorm,
    StridedConv2d,
    bounds_slope,
    compact,
    converted,
)

HALVES = {"kernel_size": 4, "stride": 2, "padding": 1}
# a layer, its plain twin, and an input
LAYERS = [
    pytest.param(
        lambda: SpectralConv2d(5, 7, **HALVES), nn.Conv2d(5, 7, **HALVES), (3, 5, 6, 8), id="halves"
    ),
    pytest.param(
        lambda: SpectralConv2d(20, 17, **HALVES), nn.Conv2d(20, 17, **HALVES), (3, 20, 6, 8), id="wide"
    ),
    pytest.param(
        lambda: SpectralConv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), (3, 4, 5, 6), id="3 × 3"
    ),
    pytest.param(lambda: SpectralConv2d(6, 1, 4), nn.Conv2d(6, 1, 4), (3, 6, 4, 4), id="covers"),
    pytest.param(
        lambda: SpectralConv2d(6, 4, 3, groups=2, bias=False),
        nn.Conv2d(6, 4, 3, groups=2, bias=False),
        (3, 6, 4, 4),
        id="groups",
    ),
    pytest.param(lambda: SpectralLinear(9, 4), nn.Linear(9, 4), (3, 9), id="linear"),
]


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def largest(weight):
    """Return the largest singular value of a weight as the paper's matrix, in float64, without iterating."""
    return float(torch.linalg.matrix_norm(weight.detach().double().flatten(1), 2))


def with_values(*values, columns=12, shape=None):
    """Return a matrix with these singular values, and random singular vectors."""
    left, _ = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(columns, len(values), dtype=torch.float64))
    made = left @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ right.t()
    return made if shape is None else made.reshape(shape)


def filled(layer, weight):
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


class TestSigma:
    @pytest.mark.parametrize(
        ("values", "scale"),
        [((3.0, 1.0, 0.5), 3.0), ((0.02, 0.01, 0.0), 0.02), ((7.0, 6.0, 5.0), 7.0), ((1e-4, 0.0, 0.0), 1e-4)],
    )
    def test_of_a_known_matrix(self, values, scale):
        layer = filled(SpectralLinear(12, 3), with_values(*values))
        for _ in range(100):
            made = layer.normalised()
        torch.testing.assert_close(made, layer.weight / scale, rtol=1e-4, atol=1e-6)
        assert largest(made) == pytest.approx(1, abs=1e-4)

    def test_of_a_kernel_the_matrix_has_a_row_for_each_output(self):
        """σ of (outputs, inputs · kH · kW); other reshapings of this kernel have another."""
        weight = with_values(4.0, 1.0, columns=3 * 2 * 2, shape=(2, 3, 2, 2))
        by_inputs = float(torch.linalg.matrix_norm(weight.transpose(0, 1).flatten(1), 2))
        by_places = float(torch.linalg.matrix_norm(weight.permute(2, 3, 0, 1).reshape(4, 6), 2))
        assert abs(by_inputs - 4) > 0.1 and abs(by_places - 4) > 0.1
        layer = filled(SpectralConv2d(3, 2, 2), weight)
        layer.warm_up()
        torch.testing.assert_close(layer.normalised(), layer.weight / 4, rtol=1e-4, atol=1e-6)

    def test_one_step_by_hand(self):
        """Algorithm 1 on [[2, 0], [0, 1]] from u = (3, 4) / 5: v ~ (6, 4), u ~ (12, 4) ~ (3, 1)."""
        layer = filled(SpectralLinear(2, 2), torch.diag(torch.tensor([2.0, 1.0])))
        layer.u.copy_(torch.tensor([0.6, 0.8]))
        made = layer.normalised()
        torch.testing.assert_close(layer.u, torch.tensor([3.0, 1.0]) / 10**0.5)
        sigma = (torch.tensor([6.0, 1.0]) / 10**0.5).norm()  # ‖Wᵀu‖
        torch.testing.assert_close(made, layer.weight / sigma)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: SpectralConv2d(20, 30, **HALVES),
            lambda: SpectralLinear(50, 40),
            lambda: SpectralEmbedding(10, 6),
        ],
    )
    def test_a_new_layer_is_warm(self, make):
        assert 1 - 1e-5 <= largest(make().eval().normalised()) < 1.05

    def test_it_follows_a_weight_that_changes(self):
        """From above, as the vector catches up; and it is never below 1, which is a bound of σ by itself."""
        layer = filled(SpectralLinear(3, 3), torch.diag(torch.tensor([2.5, 5.0, 2.0])))
        layer.u.copy_(torch.tensor([0.95, 0.3, 0.0]))  # where another weight had left it
        seen = [largest(layer.normalised()) for _ in range(12)]
        assert seen[0] > 1.1 and seen[-1] == pytest.approx(1, abs=1e-5)
        assert all(later <= earlier + 1e-5 for earlier, later in pairwise(seen))
        assert min(seen) > 1 - 1e-5

    def test_a_step_of_gradient_descent_keeps_it(self):
        """Weights that grow in training do not make the layer steeper."""
        layer, x = SpectralLinear(6, 5), torch.randn(40, 6)
        optimiser = torch.optim.SGD(layer.parameters(), lr=5.0)
        for _ in range(60):
            optimiser.zero_grad()
            (-layer(x).square().mean()).backward()
            optimiser.step()
        assert largest(layer.weight) > 1.5
        assert largest(layer.normalised()) < 1.01

    def test_zeros_stay_zeros_until_they_change(self):
        layer = filled(SpectralLinear(12, 3), torch.zeros(3, 12))
        layer.warm_up()
        assert torch.equal(layer.normalised(), torch.zeros(3, 12))
        filled(layer, with_values(3.0, 1.0, 0.5))
        layer.warm_up()
        assert largest(layer.normalised()) == pytest.approx(1, abs=1e-4)


class TestState:
    def test_a_call_in_training_moves_u_and_one_in_evaluation_does_not(self):
        layer, x = filled(SpectralLinear(12, 3), with_values(3.0, 2.9, 2.8)), torch.randn(4, 12)
        before = layer.u.clone()
        layer.eval()
        assert torch.equal(layer(x), layer(x)) and torch.equal(layer.u, before)
        layer.train()(x)
        assert not torch.equal(layer.u, before)

    def test_reading_the_weight_moves_nothing(self):
        layer = SpectralLinear(12, 3)
        before = layer.u.clone()
        assert layer.weight.isfinite().all() and torch.equal(layer.u, before)

    def test_it_is_kept_with_the_weights_and_continues_from_there(self):
        layer, x = filled(SpectralConv2d(3, 5, **HALVES), torch.randn(5, 3, 4, 4)), torch.randn(2, 3, 4, 4)
        layer(x)
        again = SpectralConv2d(3, 5, **HALVES)
        again.load_state_dict(layer.state_dict())
        assert set(layer.state_dict()) == {"weight", "bias", "u"}
        for _ in range(3):
            assert torch.equal(again(x), layer(x)) and torch.equal(again.u, layer.u)

    @pytest.mark.parametrize(("make", "plain", "size"), LAYERS)
    def test_in_evaluation_an_answer_depends_on_its_own_input_alone(self, make, plain, size):
        layer, x = make().eval(), torch.randn(size)
        torch.testing.assert_close(layer(x)[:1], layer(x[:1]))

    def test_a_copy_and_its_original_go_their_own_ways(self):
        layer, x = SpectralLinear(12, 3), torch.randn(4, 12)
        twin, before = copy.deepcopy(layer), layer.u.clone()
        filled(twin, with_values(5.0, 1.0, 1.0))(x)
        assert torch.equal(layer.u, before) and not torch.equal(twin.u, before)


@pytest.mark.parametrize(("make", "plain", "size"), LAYERS)
class TestTheRest:
    def test_it_is_the_plain_layer_with_the_divided_weight(self, make, plain, size):
        layer, x = make().eval(), torch.randn(size)
        plain = copy.deepcopy(plain)
        plain.load_state_dict({**layer.state_dict(), "weight": layer.normalised().detach()}, strict=False)
        torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)

    def test_gradients(self, make, plain, size):
        layer = make().double().eval()
        x = torch.randn(size, dtype=torch.float64)[:1]
        names = [name for name, _ in layer.named_parameters()]

        def call(*values):
            return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

        values = [value.detach().requires_grad_() for value in layer.parameters()]
        assert torch.autograd.gradcheck(call, values, fast_mode=True)

    def test_the_gradient_is_that_of_the_largest_singular_value(self, make, plain, size):
        """Equation 10: as torch.linalg has it of the whole decomposition."""
        layer = make().double()
        layer.warm_up(400)
        g = torch.randn_like(layer.weight)
        (found,) = torch.autograd.grad((layer.eval().normalised() * g).sum(), layer.weight)
        exact = layer.weight / torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        (expected,) = torch.autograd.grad((exact * g).sum(), layer.weight)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))

    def test_two_passes_before_one_backward(self, make, plain, size):
        """As D's turn has them, of real images and of fakes."""
        layer = make()
        (layer(torch.randn(size)).mean() - layer(torch.randn(size)).mean()).backward()
        assert layer.weight.grad.isfinite().all()

    def test_under_autocast_the_norm_is_taken_in_single(self, make, plain, size):
        layer = make().eval()
        outside = layer.normalised()
        with torch.autocast("cpu", torch.bfloat16):
            inside, out = layer.normalised(), layer(torch.randn(size))
        assert torch.equal(inside, outside) and out.dtype is torch.bfloat16

    def test_half_precision_keeps_the_constraint(self, make, plain, size):
        """Weights and u rounded to float16, as they are published, and read as float32 again."""
        layer = make().eval()
        rounded = converted(copy.deepcopy(layer).half(), torch.float32)
        assert largest(rounded.normalised()) < 1.05
        torch.testing.assert_close(rounded.normalised(), layer.normalised(), rtol=5e-3, atol=1e-3)


class TestAverages:
    def test_an_averaged_u_is_scaled_back(self):
        """EMA and processes average buffers: the mean of unit vectors is shorter than one."""
        layer = filled(SpectralLinear(12, 3), with_values(3.0, 1.0, 0.5))
        layer.warm_up()
        expected = layer.eval().normalised()
        layer.u.mul_(0.3)
        torch.testing.assert_close(layer.normalised(), expected)

    def test_torch_s_average_follows_weight_and_u(self):
        layer, x = SpectralLinear(12, 3), torch.randn(4, 12)
        average = torch.optim.swa_utils.AveragedModel(layer, use_buffers=True)
        for _ in range(5):
            filled(layer, layer.weight + 0.05 * torch.randn(3, 12))(x)
            average.update_parameters(layer)
        assert largest(average.module.eval().normalised()) < 1.1


class TestFolding:
    def net(self):
        torch.manual_seed(1)
        net = nn.Sequential(
            SpectralConv2d(3, 8, **HALVES, bias=False),
            nn.BatchNorm2d(8),
            nn.LeakyReLU(0.2),
            SpectralConv2d(8, 1, 4),
        )
        net[1].running_mean.normal_()
        return net.eval()

    def test_a_folded_net_has_plain_layers_and_the_same_values(self):
        net, x = self.net(), torch.randn(2, 3, 8, 8)
        folded = compact(net)
        assert folded is not net and not any(isinstance(layer, SpectralNorm) for layer in folded.modules())
        assert [type(layer) for layer in folded if isinstance(layer, nn.Conv2d)] == [StridedConv2d] * 2
        torch.testing.assert_close(folded(x), net(x), rtol=0.02, atol=0.02)

    def test_it_has_the_present_weights(self):
        net, x = self.net(), torch.randn(2, 3, 8, 8)
        compact(net)
        net[0].weight.data[0] *= 3
        torch.testing.assert_close(compact(net)(x), net(x), rtol=0.02, atol=0.02)

    def test_folding_moves_no_u(self):
        net = self.net()
        before = net[0].u.clone()
        compact(net)
        assert torch.equal(net[0].u, before)

    def test_a_net_in_training_is_not_folded(self):
        net = self.net().train()
        assert compact(net) is net


class TestBoundedSlope:
    def test_a_net_of_normalised_layers(self):
        assert bounds_slope(
            nn.Sequential(SpectralConv2d(3, 4, **HALVES), nn.LeakyReLU(0.2), SpectralConv2d(4, 1, 4))
        )

    @pytest.mark.parametrize(
        "other",
        [
            nn.Linear(4, 4),
            nn.Conv2d(4, 4, 1),
            nn.ConvTranspose2d(4, 4, 2),
            nn.BatchNorm2d(4),
            nn.GroupNorm(1, 4),
            MinibatchDiscrimination(4),
        ],
    )
    def test_one_layer_that_is_not_breaks_it(self, other):
        assert not bounds_slope(nn.Sequential(SpectralConv2d(3, 4, **HALVES), other))

    def test_a_net_without_matrices_is_no_critic(self):
        assert not bounds_slope(nn.Sequential(nn.Flatten(), nn.ReLU()))

    def test_the_slope_of_a_dense_net_is_at_most_1(self):
        """Layers grown far beyond 1: D(x) - D(y) ≤ ‖x - y‖ between any two points."""
        net = nn.Sequential(
            SpectralLinear(6, 9), nn.LeakyReLU(0.2), SpectralLinear(9, 9), nn.ReLU(), SpectralLinear(9, 1)
        )
        for layer in net:
            if isinstance(layer, SpectralNorm):
                filled(layer, 20 * layer.weight)
                layer.warm_up(300)
        net.eval()
        x, y = torch.randn(500, 6), torch.randn(500, 6)
        assert ((net(x) - net(y)).abs().flatten() <= (x - y).norm(dim=1) * 1.001).all()


class TestRecording:
    @pytest.mark.parametrize(("make", "plain", "size"), LAYERS)
    def test_a_call_in_training_asks_no_tensor_for_its_value(self, make, plain, size):
        """A CUDA graph cannot: with tensors that have no values every such question raises."""
        with FakeTensorMode():
            layer = make()
            layer(torch.randn(size)).sum().backward()
            assert layer.weight.grad.shape == layer.weight.shape

    def test_u_is_changed_where_it_lies(self):
        """A graph reads the memory that it was recorded with."""
        layer = SpectralLinear(12, 3)
        place = layer.u.data_ptr()
        layer(torch.randn(2, 12))
        assert layer.u.data_ptr() == place and layer.u is dict(layer.named_buffers())["u"]
