"""Masked convolutions, tap by tap: masks against tables made by loops, values against sums over pixels, and
who depends on whom as autograd sees it."""

import itertools

import pytest
import torch
from genzoo_pixel.masks import MaskedConv2d, bounds, conv_mask, group_of, pointwise_weight, shift_down
from torch.nn.utils import parametrizations, prune

CPU = torch.device("cpu")
KERNELS = [(1, 1), (1, 3), (1, 7), (2, 3), (4, 7)]
# (ins, outs, groups, parts): of an image and between features, with groups of unequal sizes
WIDTHS = [(1, 4, 1, 1), (3, 7, 3, 1), (5, 6, 1, 2), (7, 20, 3, 4), (6, 5, 3, 1)]


def group(feature, width, groups):
    """Return the group of one feature by its definition: group g ends before (g + 1) · width // groups."""
    return next(g for g in range(groups) if feature < (g + 1) * width // groups)


def open_tap(out, read, row, column, *, conv):
    """Whether output feature `out` may read input feature `read` at a tap of the kernel, as a sentence."""
    (tall, wide), width = conv.kernel_size, conv.out_channels // conv.parts
    if conv.kind == "rows" or row < tall - 1 or column < wide // 2:
        return True
    if column > wide // 2:
        return False
    own, seen = (
        group(out % width, width, conv.channel_groups),
        group(read, conv.in_channels, conv.channel_groups),
    )
    return seen < own if conv.kind == "A" else seen <= own


def masked_conv(ins, outs, kernel, kind, groups, parts, bias=True):
    conv = MaskedConv2d(ins, outs, kernel, kind, groups, parts=parts, bias=bias).double()
    with torch.no_grad():
        for parameter in conv.parameters():  # not masked, so that the mask has work to do
            parameter.copy_(numbers(*parameter.shape))
    return conv


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def summed(conv, x):
    """Return the convolution by a sum over the taps of each pixel: those outside the map and those that are
    closed give nothing."""
    n, ins, height, width = x.shape
    tall, wide = conv.kernel_size
    found = conv.bias.detach().expand(n, height, width, -1).clone()
    taps = list(itertools.product(range(conv.out_channels), range(ins), range(tall), range(wide)))
    for out, read, down, across in (tap for tap in taps if open_tap(*tap, conv=conv)):
        weight = float(conv.weight.detach()[out, read, down, across])
        for row, column in itertools.product(range(height), range(width)):
            at = row + down - (tall - 1), column + across - wide // 2
            if at[0] >= 0 and 0 <= at[1] < width:
                found[:, row, column, out] += weight * x[:, read, at[0], at[1]]
    return found.permute(0, 3, 1, 2)


@pytest.mark.parametrize("kind", ["A", "B", "rows"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_a_mask_opens_just_the_taps_that_the_rule_names(widths, kernel, kind):
    ins, outs, groups, parts = widths
    conv = MaskedConv2d(ins, outs, kernel, kind, groups, parts=parts)
    expected = torch.tensor(
        [
            float(open_tap(*tap, conv=conv))
            for tap in itertools.product(range(outs), range(ins), range(kernel[0]), range(kernel[1]))
        ]
    )
    assert torch.equal(conv.mask.flatten(), expected)
    assert torch.equal(conv.weight == 0, conv.mask == 0)  # fresh weights are stored masked


@pytest.mark.parametrize("width", range(1, 12))
@pytest.mark.parametrize("groups", [1, 3])
def test_groups_are_contiguous_and_differ_by_one_at_most(width, groups):
    edges = bounds(width, groups)
    sizes = [high - low for low, high in itertools.pairwise(edges)]
    assert edges[0] == 0 and edges[-1] == width and len(sizes) == groups
    assert max(sizes) - min(sizes) <= 1
    expected = [group(feature, width, groups) for feature in range(width)]
    assert group_of(width, groups).tolist() == expected
    assert group_of(width, groups, parts=3).tolist() == 3 * expected


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_the_rows_of_all_groups_are_each_output_once(widths):
    ins, outs, groups, parts = widths
    conv, width = MaskedConv2d(ins, outs, (1, 1), "B", groups, parts=parts), outs // parts
    for some in (None, *range(1, parts + 1)):
        rows = [torch.arange(outs)[conv.rows(g, some)].tolist() for g in range(groups)]
        assert sorted(itertools.chain(*rows)) == list(range((some or parts) * width))
        for g, found in enumerate(rows):
            assert found == sorted(found) and {group(row % width, width, groups) for row in found} == {g}


# one case for each way that `forward` takes: products, unfolded images, one row, and cut rows
@pytest.mark.parametrize(
    ("widths", "kernel"),
    [
        ((7, 6, 3, 1), (1, 1)),
        ((3, 4, 3, 1), (4, 7)),
        ((3, 6, 3, 2), (1, 7)),
        ((1, 2, 1, 1), (2, 3)),
        ((5, 8, 1, 4), (1, 3)),
        ((6, 6, 3, 1), (2, 3)),
        ((5, 4, 1, 2), (4, 7)),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["A", "B", "rows"])
def test_a_masked_convolution_is_a_sum_over_open_taps(widths, kernel, kind):
    ins, outs, groups, parts = widths
    conv = masked_conv(ins, outs, kernel, kind, groups, parts)
    for size in ((3, 4), (1, 5), (4, 1), (1, 1)):
        x = numbers(2, ins, *size)
        torch.testing.assert_close(conv(x), summed(conv, x))


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (2, 3)], ids=str)
@pytest.mark.parametrize("ins", [3, 6])
def test_gradients_of_a_masked_convolution_are_right(kernel, ins):
    conv = masked_conv(ins, 6, kernel, "B", 3, 2)

    def called(x, weight, bias):
        return torch.func.functional_call(conv, {"weight": weight, "bias": bias}, (x,))

    inputs = [part.detach().requires_grad_() for part in (numbers(2, ins, 2, 3), conv.weight, conv.bias)]
    assert torch.autograd.gradcheck(called, inputs)
    (slope,) = torch.autograd.grad(called(*inputs).sum(), inputs[1])
    assert not slope[conv.mask == 0].any() and slope[conv.mask != 0].all()


@pytest.mark.parametrize("kind", ["A", "B"])
def test_what_a_pixel_depends_on_is_what_the_mask_says(kind):
    """Of a 2×3 kernel in the middle of 3×4: three pixels above, one to the left, and channels of its own."""
    conv = masked_conv(3, 6, (2, 3), kind, 3, 1)
    slopes = torch.autograd.functional.jacobian(conv, numbers(1, 3, 3, 4))[0, :, 1, 2, 0]  # (outs, 3, 3, 4)
    whole = {(0, 1), (0, 2), (0, 3), (1, 1)}
    for out, read, row, column in itertools.product(range(6), range(3), range(3), range(4)):
        within = read < out // 2 if kind == "A" else read <= out // 2
        expected = (row, column) in whole or ((row, column) == (1, 2) and within)
        assert bool(slopes[out, read, row, column] != 0) == expected


def test_a_convolution_without_bias_adds_none():
    conv = masked_conv(5, 4, (2, 3), "B", 1, 1, bias=False)
    assert conv.bias is None and not conv(torch.zeros(1, 5, 2, 2, dtype=torch.float64)).any()


def test_a_product_is_the_convolution_and_follows_its_weight():
    conv, x = masked_conv(5, 6, (1, 1), "B", 3, 1), numbers(4, 5)
    for change in (0, 1):
        conv.weight.data.add_(change)
        weight, bias = conv.product
        torch.testing.assert_close(x @ weight + bias, conv(x[:, :, None, None])[:, :, 0, 0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_a_masked_weight_keeps_its_precision(dtype):
    conv = MaskedConv2d(4, 4, (2, 3), "B", 1).to(dtype)
    assert conv.masked.dtype == dtype and conv.mask.dtype == torch.float32


def test_a_mask_first_asked_for_while_drawing_can_learn_later():
    arguments = {"groups": 3, "parts": 1, "kind": "A", "device": CPU}
    with torch.inference_mode():
        made = conv_mask(23, 11, (1, 1), **arguments)  # a shape that no other test asks for
    assert made is conv_mask(23, 11, (1, 1), **arguments) and not made.is_inference()
    weight = torch.ones(23, 11, 1, 1, requires_grad=True)
    (weight * made).sum().backward()
    assert torch.equal(weight.grad, made)


def test_pruned_and_normed_weights_are_masked_as_they_are_now():
    conv = masked_conv(5, 4, (2, 3), "B", 1, 1)
    parametrizations.weight_norm(conv)
    conv.parametrizations.weight.original0.data.fill_(2.0)  # every output's norm, before the mask
    length = conv.masked.flatten(1).norm(dim=1)
    assert (length < 2).all() and (length > 0).all()
    torch.nn.utils.parametrize.remove_parametrizations(conv, "weight")
    prune.random_unstructured(conv, "weight", 0.5)
    conv.weight_mask.fill_(0.0)
    assert not conv.masked.any()  # the stored product of weight and pruning mask is older than this
    conv.weight_mask.fill_(1.0)
    torch.testing.assert_close(conv.masked, conv.weight_orig * conv.mask)


def test_the_weight_of_a_plain_product_is_the_present_one():
    link = torch.nn.Conv2d(3, 2, 1, bias=False)
    prune.identity(link, "weight")
    link.weight_orig.data.fill_(5.0)
    assert torch.equal(pointwise_weight(link), torch.full((2, 3), 5.0))


@pytest.mark.parametrize("height", [1, 2, 5])
def test_a_map_is_shifted_down_by_one_row(height):
    x = numbers(2, 3, height, 4)
    found = shift_down(x)
    assert found.shape == x.shape and not found[:, :, 0].any()
    for row in range(1, height):
        assert torch.equal(found[:, :, row], x[:, :, row - 1])
