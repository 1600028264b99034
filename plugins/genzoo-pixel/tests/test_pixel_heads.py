"""Heads against torch.distributions and closed forms: masses, quantiles at the edges, extremes, gradients."""

import itertools
import math

import pytest
import torch
from genzoo_pixel import heads
from torch import distributions

from genzoo import create
from genzoo.errors import ArgumentError

LEVELS = {"bernoulli": [2], "softmax": [2, 5, 256], "logistic": [2, 5, 256]}
CASES = [(head, levels) for head, some in LEVELS.items() for levels in some]
K = 3  # components
ABOVE_ZERO, BELOW_ONE = 2.0**-53, 1 - 2.0**-53  # the least and the greatest number that is ever drawn


def rounding(head, levels):
    """Return what float64 masses may be off by: the places of levels are computed in float32, which rounds
    those of 256 levels, and published images are drawn with them."""
    return 2e-6 if (head, levels) == ("logistic", 256) else 1e-11


def parameters(head, levels, n=6, scale=1.0):
    noise = torch.Generator().manual_seed(levels)
    return scale * torch.randn(n, heads.parameters(head, levels, K), dtype=torch.float64, generator=noise)


def referred(head, params, levels):
    """Return the mass of each level (N, levels) by torch.distributions."""
    every = torch.arange(levels, dtype=torch.float64)
    if head == "bernoulli":
        return distributions.Bernoulli(logits=params).log_prob(every).exp()
    if head == "softmax":
        return distributions.Categorical(logits=params).probs
    weight, mean, log_scale = params.chunk(3, 1)
    spread = distributions.AffineTransform(mean, log_scale.clamp(min=-7).exp())
    uniform = distributions.Uniform(torch.zeros_like(mean), 1, validate_args=False)
    logistic = distributions.TransformedDistribution(
        uniform, [distributions.SigmoidTransform().inv, spread], validate_args=False
    )
    mixture = distributions.MixtureSameFamily(distributions.Categorical(logits=weight), logistic)
    borders = (2 * every[:-1] + 1) / (levels - 1) - 1  # between neighbours, in [-1, 1]
    below = torch.stack([mixture.cdf(border.expand(len(params))) for border in borders], 1)
    ends = torch.zeros(len(params), 1), torch.ones(len(params), 1)
    return torch.cat([ends[0], below, ends[1]], 1).diff(dim=1)


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param


def test_masses_are_those_of_torch_distributions(case):
    head, levels = case
    params = parameters(head, levels)
    found = heads.log_masses(head, params, levels).exp()
    expected = referred(head, params, levels)
    torch.testing.assert_close(found, expected, rtol=0, atol=rounding(head, levels))


@pytest.mark.parametrize("scale", [0.0, 1.0, 20.0])
def test_masses_sum_to_one_and_are_those_of_single_levels(case, scale):
    head, levels = case
    params = parameters(head, levels, scale=scale)
    table = heads.log_masses(head, params, levels)
    total = table.exp().sum(1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=rounding(head, levels))
    for level in {0, 1, levels // 2, levels - 1}:
        one = heads.log_mass(head, params, torch.full((6,), level), levels)
        torch.testing.assert_close(one, table[:, level])


def test_the_edges_of_a_quantile_are_the_cumulated_masses(case):
    """A number at an edge belongs to the level above it, one just below to the level below."""
    head, levels = case
    params = parameters(head, levels, n=1)
    edges = heads.log_masses(head, params, levels).exp().cumsum(1)[0, :-1]
    if head == "bernoulli":
        edges = torch.sigmoid(-params[0])
    below = torch.nextafter(edges, torch.zeros(()).double())
    every = params.expand(levels - 1, -1)
    assert heads.quantile(head, every, edges, levels).tolist() == list(range(1, levels))
    assert heads.quantile(head, every, below, levels).tolist() == list(range(levels - 1))


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_the_extreme_numbers_give_levels_that_exist(case, scale):
    head, levels = case
    params = parameters(head, levels, scale=scale)
    ends = [
        heads.quantile(head, params, torch.full((6,), u, dtype=torch.float64), levels)
        for u in (0.0, ABOVE_ZERO, 0.5, BELOW_ONE)
    ]
    assert all(int(end.min()) >= 0 and int(end.max()) < levels for end in ends)
    assert all((low <= high).all() for low, high in itertools.pairwise(ends))
    if scale == 1.0:
        assert not ends[0].any() and (ends[3] == levels - 1).all()


def test_drawn_levels_have_the_masses(case):
    """Of M evenly spaced numbers each level gets its share, to the one that lies on the border."""
    head, levels = case
    params, m = parameters(head, levels, n=1, scale=2.0), 5_000
    u = (torch.arange(m, dtype=torch.float64) + 0.5) / m
    counts = heads.quantile(head, params.expand(m, -1), u, levels).bincount(minlength=levels)
    shares = referred(head, params, levels)[0] * m
    assert ((counts - shares).abs() <= 1 + 1e-6).all()


def test_gradients_of_a_mass_are_right(case):
    head, levels = case
    params = parameters(head, levels, n=2).requires_grad_()
    for level in {0, levels // 2, levels - 1}:
        at = torch.full((2,), level)
        assert torch.autograd.gradcheck(lambda given, at=at: heads.log_mass(head, given, at, levels), params)


def test_the_mean_slope_of_a_log_mass_is_zero(case):
    """Σ p ∇ log p = ∇ Σ p = 0: the score of any family."""
    head, levels = case
    params = parameters(head, levels).requires_grad_()
    table = heads.log_masses(head, params, levels)
    (slope,) = torch.autograd.grad((table.detach().exp() * table).sum(), params)
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=rounding(head, levels))


@pytest.mark.parametrize("extreme", [-1e4, -80.0, -7.0, 30.0, 80.0])
@pytest.mark.parametrize("part", ["weight", "mean", "log_scale"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_extreme_mixtures_have_finite_masses_and_slopes(extreme, part, dtype):
    params = parameters("logistic", 256).to(dtype).unflatten(1, (3, K))
    params[:, ["weight", "mean", "log_scale"].index(part), 0] = extreme
    params = params.flatten(1).requires_grad_()
    for level in (0, 127, 255):
        found = heads.log_mass("logistic", params, torch.full((6,), level), 256)
        (slope,) = torch.autograd.grad(found.sum(), params)
        assert torch.isfinite(found).all() and torch.isfinite(slope).all() and (found <= 1e-6).all()


def test_below_the_floor_a_scale_has_no_slope_and_above_it_has_one():
    params = torch.tensor([[0.0, 0.0, -7.5], [0.0, 0.0, -6.5]], dtype=torch.float64, requires_grad=True)
    heads.log_mass("logistic", params, torch.tensor([2, 2]), 5).sum().backward()
    assert params.grad[0, 2] == 0 and params.grad[1, 2] != 0


def test_two_levels_of_one_logistic_are_a_bernoulli_of_mean_over_scale():
    """The border is at 0, so p(1) = σ(mean / scale)."""
    mean, log_scale = torch.tensor([0.3, -1.2, 4.0]).double(), torch.tensor([0.0, -1.0, 2.0]).double()
    params = torch.stack([torch.zeros(3), mean, log_scale], 1)
    logits = (mean / log_scale.exp())[:, None]
    torch.testing.assert_close(
        heads.log_masses("logistic", params, 2), heads.log_masses("bernoulli", logits, 2)
    )


def test_a_level_in_the_middle_has_the_closed_form():
    """p = σ(1 / (255 s)) - σ(-1 / (255 s)) = tanh(1 / (510 s)) for a mean on the level itself."""
    log_scale = torch.tensor([-6.0, -3.0, 0.0, 5.0], dtype=torch.float64)
    mean = torch.full((4,), 2 * 100 / 255 - 1, dtype=torch.float64)
    found = heads.log_mass("logistic", torch.stack([mean, mean, log_scale], 1), torch.full((4,), 100), 256)
    expected = [math.log(math.tanh(1 / (510 * math.exp(value)))) for value in log_scale]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_a_mirrored_mixture_has_mirrored_masses():
    params = parameters("logistic", 5).unflatten(1, (3, K))
    mirrored = params * torch.tensor([1.0, -1.0, 1.0])[:, None]
    table, turned = (heads.log_masses("logistic", part.flatten(1), 5) for part in (params, mirrored))
    torch.testing.assert_close(turned, table.flip(1))


@pytest.mark.parametrize("head", ["softmax", "logistic"])
def test_only_differences_of_logits_count(head):
    params, moved = parameters(head, 5), parameters(head, 5)
    moved[:, : K if head == "logistic" else 5] += 40
    torch.testing.assert_close(heads.log_masses(head, moved, 5), heads.log_masses(head, params, 5))


def test_the_order_of_components_does_not_count():
    params = parameters("logistic", 5)
    turned = params.unflatten(1, (3, K))[..., [2, 0, 1]].flatten(1)
    torch.testing.assert_close(
        heads.log_masses("logistic", turned, 5), heads.log_masses("logistic", params, 5)
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
def test_masses_are_told_in_single_precision_or_better(case, dtype):
    head, levels = case
    params = parameters(head, levels).to(dtype)
    found, level = heads.log_masses(head, params, levels), torch.full((6,), levels - 1)
    assert found.dtype == (dtype if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found, heads.log_masses(head, params.double(), levels).to(found.dtype))
    assert heads.log_mass(head, params, level, levels).dtype == found.dtype
    drawn = heads.quantile(head, params, torch.full((6,), 0.5).double(), levels)
    assert drawn.dtype == torch.int64 and drawn.shape == (6,)


def test_fresh_mixtures_cover_the_range_evenly():
    weight, mean, log_scale = heads.initial_bias(4).view(3, 4)
    assert not weight.any() and torch.equal(log_scale, torch.full((4,), -math.log(5)))
    torch.testing.assert_close(mean, torch.tensor([-0.9, -0.3, 0.3, 0.9]))
    assert heads.initial_bias(1)[1] == 0


def test_each_channel_of_a_fresh_net_begins_with_the_same_mixture(kind):
    model = create(kind, seed=0, image_shape=(3, 2, 2), head="logistic", mixture=2, layers=1, width=6)
    assert torch.equal(model.tail[1].bias.view(3, 6), heads.initial_bias(2).expand(3, 6))


@pytest.mark.parametrize(("head", "given", "settled"), [("softmax", None, 256), ("logistic", 7, 7)])
def test_levels_are_those_asked_for_or_the_heads_own(head, given, settled):
    assert heads.settle_levels(head, given) == settled
    assert heads.settle_levels("bernoulli", None) == heads.settle_levels("bernoulli", 2) == 2
    with pytest.raises(ArgumentError, match="'bernoulli' models 2 levels, not 7"):
        heads.settle_levels("bernoulli", 7)


@pytest.mark.parametrize(("head", "expected"), [("bernoulli", 1), ("softmax", 9), ("logistic", 12)])
def test_a_conditional_has_as_many_parameters_as_its_family(make, head, expected):
    assert heads.parameters(head, 9, 4) == expected
    model = make("pixelcnn", head=head, levels=None if head == "bernoulli" else 9, mixture=4)
    assert model.outputs == expected == model.tail[1].out_channels
