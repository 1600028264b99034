"""Likelihoods are likelihoods: sums over all images, contexts, colour order, heads, and the five bugs of
published code."""

import dataclasses
import itertools
import math

import pytest
import torch
from genzoo_pixel import gated, heads
from genzoo_pixel.fast import rnn
from genzoo_pixel.masks import MaskedConv2d, conv_mask

from genzoo.errors import ArgumentError


def every(model):
    values = [level / (model.levels - 1) for level in range(model.levels)]
    size = math.prod(model.image_shape)
    return torch.tensor(list(itertools.product(values, repeat=size))).view(-1, *model.image_shape)


def total(model):
    return float(model.log_prob(every(model)).double().exp().sum())


def context(model, row, column, channel=0):
    """Return which dimensions a conditional depends on, (H, W, C) bool, over a few images of noise."""
    x = torch.rand(
        8, *model.image_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    params = model.double()._predict(x)[:, :, channel, row, column]
    (slope,) = torch.autograd.grad(
        (params * torch.randn(params.shape[1], generator=torch.Generator().manual_seed(1))).sum(), x
    )
    return (slope != 0).any(0).permute(1, 2, 0)


SPACES = [
    ("bernoulli", None, (1, 2, 2)),
    ("bernoulli", None, (1, 3, 3)),
    ("bernoulli", None, (3, 1, 3)),
    ("softmax", 3, (1, 2, 3)),
    ("softmax", 3, (3, 1, 2)),
    ("softmax", 2, (3, 2, 1)),
    ("logistic", 3, (1, 2, 3)),
    ("logistic", 4, (3, 1, 1)),
    ("softmax", 256, (1, 1, 1)),
    ("logistic", 256, (1, 1, 1)),
]


@pytest.mark.parametrize(("head", "levels", "shape"), SPACES)
def test_all_images_have_probability_one(make, kind, head, levels, shape):
    assert total(make(kind, head=head, levels=levels, image_shape=shape)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 4, 5)], ids=str)
def test_nothing_later_is_seen(make, kind, shape):
    model = make(kind, head="softmax", levels=4, image_shape=shape, layers=3)
    channels, height, width = shape
    for row, column, channel in itertools.product(range(height), (0, width // 2, width - 1), range(channels)):
        seen = context(model, row, column, channel).flatten()
        assert not seen[(row * width + column) * channels + channel :].any()


def test_green_sees_red_and_blue_both(make, kind):
    seen = torch.stack(
        [
            context(make(kind, image_shape=(3, 3, 3), width=12, levels=4), 1, 1, channel)[1, 1]
            for channel in range(3)
        ]
    )
    assert seen.tolist() == [[False] * 3, [True, False, False], [True, True, False]]


def test_the_context_is_complete_where_that_is_claimed(make):
    """At the middle of 13×13, where 84 pixels come earlier; the gated net needs 4 layers."""
    for kind, layers in (("gated-pixelcnn", 4), ("pixelrnn-diagonal", 1)):
        model = make(kind, image_shape=(1, 13, 13), layers=layers, head="bernoulli")
        assert int(context(model, 6, 6).sum()) == 84, kind
    assert (
        int(context(make("gated-pixelcnn", image_shape=(1, 13, 13), layers=3, head="bernoulli"), 6, 6).sum())
        < 84
    )


def test_the_blind_spot_and_the_triangle_are_where_the_paper_says(make):
    seen = context(make("pixelcnn", image_shape=(1, 13, 13), layers=6, head="bernoulli"), 6, 6)[..., 0]
    # 3 to the right by the 7×7, 1 more per row by the 3×3
    assert not seen[5, 10:].any() and seen[5, :10].all() and seen[6, :6].all()
    row = context(make("pixelrnn-row", image_shape=(1, 13, 13), layers=1, head="bernoulli"), 6, 6)[..., 0]
    assert row[5, 3:10].all() and not row[5, 11:].any()


@pytest.mark.parametrize(
    ("kind", "claims"),
    [("pixelcnn", 0), ("pixelrnn-row", 0), ("pixelrnn-diagonal", 1), ("gated-pixelcnn", 0)],
)
def test_claims(make, kind, claims):
    assert make(kind, image_shape=(1, 28, 28)).full_context == bool(claims)


@pytest.mark.parametrize(("height", "width", "layers"), [(6, 9, 6), (10, 4, 6), (1, 9, 6), (9, 5, 5)])
def test_the_gated_net_claims_just_what_it_sees(make, height, width, layers):
    """At the last pixel of the scan and at the first of its row, the two that look furthest."""
    model = make("gated-pixelcnn", image_shape=(1, height, width), layers=layers, head="bernoulli")
    seen = [int(context(model, height - 1, column).sum()) for column in (0, width - 1)]
    assert model.full_context and seen == [(height - 1) * width, height * width - 1]


def test_the_gated_net_claims_no_more_than_it_sees(make):
    model = make("gated-pixelcnn", image_shape=(1, 2, 10), layers=6, head="bernoulli")
    assert not model.full_context and not context(model, 1, 0)[0, 9]


# The bugs of published code, planted


def test_mask_b_in_the_first_layer_leaks(make, kind):
    model = make(kind, image_shape=(1, 2, 2), head="bernoulli")
    for module in model.modules():
        if isinstance(module, MaskedConv2d) and module.kind == "A":
            module.kind = "B"
            module.weight.data.normal_(0, 1, generator=torch.Generator().manual_seed(1))
    assert abs(total(model) - 1) > 0.01 and context(model, 1, 1)[1, 1]


def test_an_unshifted_left_going_direction_leaks(make, monkeypatch):
    plain = rnn.turns
    # mirrored back, but not a row lower
    monkeypatch.setattr(rnn, "turns", lambda *size: (plain(*size)[0],) * 2)
    model = make("pixelrnn-diagonal", image_shape=(1, 2, 3), head="bernoulli")
    assert abs(total(model) - 1) > 0.01 and context(model, 1, 0)[1, 1:].any()


def test_same_padding_on_the_diagonal_leaks(make, monkeypatch):
    """An even kernel padded below reads the row under a pixel instead of the one above it."""
    plain = rnn.by_diagonals

    def below(height, width):
        course = plain(height, width)
        wrong = [((first, last, to), (first + 1, last, to)) for (first, last, to), _ in course.hops[:-1]]
        return dataclasses.replace(course, hops=(*wrong, ()))

    monkeypatch.setattr(rnn, "by_diagonals", below)
    model = make("pixelrnn-diagonal", image_shape=(1, 3, 3), head="bernoulli")
    assert any(context(model, 0, column)[1:].any() for column in range(3))


def test_a_shifted_vertical_stack_has_the_blind_spot(make, monkeypatch):
    """Every vertical layer moved down, and no link: what a well-known repository does."""

    def shifted(self, v, h):
        gates = gated.shift_down(self.vertical(v))
        mixed = self.out(gated.gate(self.horizontal(h) + self.link(gates)))
        return gated.gate(gates), mixed if self.first else h + mixed

    model = make("gated-pixelcnn", image_shape=(1, 13, 13), layers=4, head="bernoulli")
    assert int(context(model, 6, 6).sum()) == 84
    monkeypatch.setattr(gated.GatedLayer, "forward", shifted)
    assert int(context(model, 6, 6).sum()) < 84


def test_without_groups_the_colour_order_is_lost(make, kind):
    model = make(kind, image_shape=(3, 1, 2), head="bernoulli")
    for module in model.modules():
        if isinstance(module, MaskedConv2d):
            module.channel_groups = 1
            module.weight.data.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    seen = context(model, 0, 1, 1)
    assert seen[0, 0].any() and not seen[0, 1, 0]  # green never sees red: mask A hides the whole pixel


# Masks


def test_masks_are_functional_and_stay(make, kind):
    """A step of training with weight decay leaves masked taps at zero, and what lies under a mask has no
    effect."""
    model = make(kind, image_shape=(3, 4, 4), levels=4)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    (-model._log_prob(torch.randint(0, 4, (2, 3, 4, 4)) / 3).mean()).backward()
    optimiser.step()
    masked = [module for module in model.modules() if isinstance(module, MaskedConv2d)]
    assert all((module.weight[module.mask == 0] == 0).all() for module in masked) and any(
        (m.mask == 0).any() for m in masked
    )
    x = torch.zeros(1, 3, 4, 4)
    before = model.log_prob(x)
    with torch.no_grad():
        for module in masked:
            module.weight[module.mask == 0] = 7.0
    assert torch.equal(model.log_prob(x), before)


def test_centre_taps():
    device = torch.device("cpu")
    a, b = (conv_mask(6, 3, (2, 3), groups=3, parts=1, kind=kind, device=device) for kind in "AB")
    assert a[:, :, 0].all() and a[:, :, 1, 0].all() and not a[:, :, 1, 2].any()
    assert a[::2, :, 1, 1].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert b[::2, :, 1, 1].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert conv_mask(2, 2, (2, 3), groups=1, parts=1, kind="rows", device=device).all()


# Heads


def test_masses_sum_to_one_for_wild_parameters(head):
    levels, noise = (2 if head == "bernoulli" else 256), torch.Generator().manual_seed(0)
    params = 8 * torch.randn(50, heads.parameters(head, levels, 5), generator=noise)
    masses = heads.log_masses(head, params, levels).double().exp()
    torch.testing.assert_close(masses.sum(1), torch.ones(50, dtype=torch.float64), rtol=0, atol=2e-5)


def test_mass_of_a_level_is_that_of_the_table(head):
    levels, noise = (2 if head == "bernoulli" else 7), torch.Generator().manual_seed(0)
    params = torch.randn(6, heads.parameters(head, levels, 3), 2, 3, generator=noise)
    level = torch.randint(0, levels, (6, 2, 3), generator=noise)
    table = heads.log_masses(head, params, levels).gather(1, level[:, None])[:, 0]
    torch.testing.assert_close(heads.log_mass(head, params, level, levels), table)


def test_quantiles_invert_the_distribution_function(head):
    levels = 2 if head == "bernoulli" else 9
    params = torch.randn(
        1, heads.parameters(head, levels, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    edges = torch.cat(
        [torch.zeros(1, dtype=torch.float64), heads.log_masses(head, params, levels).exp().cumsum(1)[0]]
    )
    middles = (edges[1:] + edges[:-1]) / 2
    found = heads.quantile(head, params.expand(levels, -1), middles, levels)
    assert found.tolist() == list(range(levels))
    ends = heads.quantile(
        head, params.expand(2, -1), torch.tensor([1e-16, 1 - 1e-16], dtype=torch.float64), levels
    )
    assert ends.tolist() == [0, levels - 1]


def test_narrow_logistics_stay_finite_and_have_a_floor():
    level = torch.tensor([0, 100, 255])
    narrow, floor = (torch.tensor([[0.0], [0.2], [scale]]).T.expand(3, 3) for scale in (-50.0, -7.0))
    params = heads.log_mass("logistic", narrow, level, 256)
    assert torch.isfinite(params).all() and torch.equal(params, heads.log_mass("logistic", floor, level, 256))
    grown = narrow.clone().requires_grad_()
    heads.log_mass("logistic", grown, level, 256).sum().backward()
    assert torch.isfinite(grown.grad).all()


def test_the_outer_bins_reach_to_infinity():
    params = torch.tensor([[0.0, 30.0, 0.0]])  # its mean lies far beyond white
    assert heads.log_masses("logistic", params, 256)[0, 255] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "config",
    [{"head": "bernoulli", "levels": 3}, {"image_shape": (2, 4, 4)}, {"head": "gauss"}, {"levels": 1}],
)
def test_configs_that_make_no_sense_are_refused(make, config):
    with pytest.raises(ArgumentError):
        make("pixelcnn", **config)


def test_black_and_white_models_refuse_grey(make):
    with pytest.raises(ArgumentError, match="binarise"):
        make("pixelcnn", head="bernoulli", image_shape=(1, 2, 2)).log_prob(torch.full((1, 1, 2, 2), 0.5))
