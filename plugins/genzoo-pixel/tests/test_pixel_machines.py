"""What draws pixel by pixel: each part against the whole-image one, each machine against its net, and images
against a loop that knows only the net and torch.distributions."""

import itertools

import pytest
import torch
from genzoo_pixel.fast import sampler
from genzoo_pixel.fast.gated import Vertical
from genzoo_pixel.fast.sampler import CachedConv, Tail, pointwise
from genzoo_pixel.gated import GatedLayer
from genzoo_pixel.masks import MaskedConv2d, shift_down
from torch import distributions

from genzoo.rng import Rng

LEVELS = {"bernoulli": None, "softmax": 3, "logistic": 4}
# more rows than a kernel is high, one row, one column, one pixel
SIZES = [(9, 4), (1, 7), (8, 1), (1, 1)]
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def filled(module):
    """Return `module` in float64 with weights of noise, also where a mask hides them."""
    for parameter in module.double().parameters():
        parameter.data.copy_(numbers(*parameter.shape))
    return module


def unrolled(machine, x):
    """Return what a machine gives of images x (N, C, H, W), each value told after it was asked for."""
    channels, height, width = x.shape[1:]
    found = [[[None] * width for _ in range(height)] for _ in range(channels)]
    for row in range(height):
        machine.begin(row)
        for column, channel in itertools.product(range(width), range(channels)):
            found[channel][row][column] = machine.step(column, channel).detach().clone()
            machine.put(column, channel, x[:, channel, row, column])
    return torch.stack([torch.stack([torch.stack(line, 2) for line in map_], 2) for map_ in found], 1)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_machine_is_the_plain_net(make, kind, channels, size, layers):
    """(N, C, P, H, W) of both, with groups of unequal sizes where there are three."""
    model = make(kind, image_shape=(channels, *size), layers=layers, width=7, levels=3).double()
    x = numbers(3, channels, *size)
    with torch.no_grad():
        whole = model._network(x).unflatten(1, (channels, -1))
        torch.testing.assert_close(unrolled(model._machine(3), x), whole, **EXACT)


def test_a_machine_knows_a_hidden_width_that_is_no_multiple(make, channels):
    model = make("gated-pixelcnn", image_shape=(channels, 3, 3), width=5, hidden=7, levels=3).double()
    x = numbers(2, channels, 3, 3)
    with torch.no_grad():
        whole = model._network(x).unflatten(1, (channels, -1))
        torch.testing.assert_close(unrolled(model._machine(2), x), whole, **EXACT)


def test_images_in_a_machine_do_not_meet(make, kind, channels):
    """A machine of four is four machines of one, and a second one remembers nothing of the first."""
    model, x = make(kind, image_shape=(channels, 5, 3), levels=3).double(), numbers(4, channels, 5, 3)
    together = unrolled(model._machine(4), x)
    for i in (3, 0):
        torch.testing.assert_close(unrolled(model._machine(1), x[i : i + 1])[0], together[i], **EXACT)


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (2, 3), (4, 7)], ids=str)
@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize(("groups", "parts"), [(1, 1), (3, 1), (1, 4), (3, 4)])
def test_a_cached_convolution_is_the_convolution(kernel, kind, groups, parts):
    conv = filled(MaskedConv2d(5, 7 * parts, kernel, kind, groups, parts=parts))
    x, n = numbers(2, 5, 5, 4), 2
    whole = conv(x)
    for some in {None, 1, parts}:
        cached = CachedConv(conv, n, (5, 4), some)
        for row in range(5):
            cached.above(row)
            for column, group in itertools.product(range(4), range(groups)):
                low, high = cached.edges[group], cached.edges[group + 1]
                if kind == "B":  # reads its own group, which is told first
                    cached.put(column, group, x[:, low:high, row, column])
                expected = whole[:, conv.rows(group, some), row, column]
                torch.testing.assert_close(cached.at(column, group), expected, **EXACT)
                cached.put(column, group, x[:, low:high, row, column])
            assert torch.equal(cached.line(row), x[:, :, row].transpose(1, 2))
    assert not CachedConv(conv, n, (5, 4)).map.any()


@pytest.mark.parametrize("groups", [1, 3])
def test_the_tail_of_a_pixel_is_two_products_after_relus(groups):
    convs = [filled(MaskedConv2d(*widths, (1, 1), "B", groups)) for widths in ((7, 5), (5, 6))]
    x, edges = numbers(4, 7), [g * 7 // groups for g in range(groups + 1)]
    whole = convs[1](convs[0](x[:, :, None, None].relu()).relu())[:, :, 0, 0]
    tail = Tail(convs, 4)
    for _ in range(2):  # its buffers hold the last pixel's features the second time
        found = [tail.step(x[:, edges[g] : edges[g + 1]], g) for g in range(groups)]
        torch.testing.assert_close(torch.cat(found, 1), whole, **EXACT)
    weight = pointwise(convs[0], groups - 1)  # the last group reads everything, the bias first
    ones = torch.cat([torch.ones(4, 1), x], 1)
    expected = convs[0](x[:, :, None, None])[:, convs[0].rows(groups - 1), 0, 0]
    torch.testing.assert_close(ones @ weight, expected, **EXACT)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("groups", [1, 3])
def test_the_vertical_stack_of_a_row_is_that_of_the_layer(first, groups):
    """What it tells the row, and the row above it gives the next layer, over more rows than it keeps."""
    ins, width, wide, rows = (groups if first else 4), 4, 5, 9
    layer, v = filled(GatedLayer(ins, width, groups, first)), numbers(2, ins, rows, wide)
    gates = layer.vertical(v)
    stack = gates[:, :width].tanh() * gates[:, width:].sigmoid()
    link = shift_down(layer.link(gates)) + layer.horizontal.bias[:, None, None]
    link[:, :width] *= -2
    order = torch.cat([torch.arange(2 * width)[layer.horizontal.rows(g)] for g in range(groups)])
    vertical, base = Vertical(layer, 2, wide), torch.full((wide, 2, 2 * width), torch.nan).double()
    with torch.no_grad():
        for row in range(rows):
            line = None if first or row == 0 else v[:, :, row - 1].permute(2, 0, 1)
            above = vertical.begin(row, line, base)
            torch.testing.assert_close(base, link[:, order, row].permute(2, 0, 1), **EXACT)
            assert (above is None) == (row == 0)
            if above is not None:
                torch.testing.assert_close(above, stack[:, :, row - 1].permute(2, 0, 1), **EXACT)
            for column, group in itertools.product(range(wide if first else 0), range(groups)):
                vertical.put(column, group, v[:, group, row, column])


def looped(model, seed, image, kept=None, mask=None):
    """Return one image (C, H, W) of levels, drawn by the net and the cumulated masses alone."""
    channels, height, width = model.image_shape
    x = torch.zeros(1, channels, height, width, dtype=torch.float64)
    uniforms = Rng(seed, image, 1).uniform(height, width, channels)[0]
    found = torch.zeros(channels, height, width, dtype=torch.int64)
    for row, column, channel in itertools.product(range(height), range(width), range(channels)):
        params = model._network(2 * x - 1).unflatten(1, (channels, -1))[0, channel, :, row, column]
        if model.config.head == "bernoulli":
            white = float(distributions.Bernoulli(logits=params).probs)
            masses = [1 - white, white]
        else:
            masses = distributions.Categorical(logits=params).probs.tolist()
        level, total = 0, masses[0]
        while level + 1 < model.levels and total <= float(uniforms[row, column, channel]):
            level, total = level + 1, total + masses[level + 1]
        if mask is not None and mask[channel, row, column]:
            level = int(kept[channel, row, column])
        found[channel, row, column] = level
        x[0, channel, row, column] = level / (model.levels - 1)
    return found


@pytest.mark.parametrize("head", ["bernoulli", "softmax"])
def test_samples_are_those_of_a_loop_over_pixels(make, kind, head, channels):
    """Image i of a batch, of a batch in other chunks, and alone."""
    model = make(kind, head=head, levels=LEVELS[head], image_shape=(channels, 3, 3))
    images = model.sample(5, seed=7)
    model.decode_chunk = 2
    assert torch.equal(model.sample(5, seed=7), images) and torch.equal(model.sample(3, seed=7), images[:3])
    levels = (images * (model.levels - 1)).round().long()
    exact = model.double()
    with torch.no_grad():
        for i in (0, 4):
            assert torch.equal(levels[i], looped(exact, 7, i))


@pytest.mark.parametrize("head", ["bernoulli", "softmax"])
def test_completions_are_those_of_a_loop_that_keeps_pixels(make, kind, head, channels):
    """Each image has a mask of its own, with holes, and completion j of image i the stream i · n + j."""
    model = make(kind, head=head, levels=LEVELS[head], image_shape=(channels, 3, 3))
    noise = torch.Generator().manual_seed(3)
    levels = torch.randint(0, model.levels, (3, channels, 3, 3), generator=noise)
    mask = torch.rand(3, channels, 3, 3, generator=noise) < 0.4
    found = (model.complete(levels / (model.levels - 1), mask, n=2, seed=5) * (model.levels - 1)).round()
    assert torch.equal(
        found[mask[:, None].expand_as(found)],
        levels[:, None].expand_as(found)[mask[:, None].expand_as(found)].float(),
    )
    exact = model.double()
    with torch.no_grad():
        for i, j in ((0, 1), (2, 0)):
            expected = looped(exact, 5, 2 * i + j, levels[i], mask[i])
            assert torch.equal(found[i, j].long(), expected)


def test_other_seeds_and_other_numbers_are_other_images(make, kind):
    model = make(kind, image_shape=(1, 4, 4), levels=5)
    images = torch.cat([model.sample(4, seed=0), model.sample(4, seed=1)])
    assert len(images.unique(dim=0)) == 8


def test_the_driver_counts_pixels_not_channels(make, kind, channels):
    model, told = make(kind, image_shape=(channels, 2, 3), levels=3), []
    nothing = torch.zeros(2, channels, 2, 3)
    draws = Rng(0, 0, 2, watch=lambda *given: told.append(given))
    with torch.inference_mode():
        model._complete(nothing, nothing.bool(), draws)
    assert told == [(done, 6) for done in range(1, 7)]


class Constant(sampler.Machine):
    """Gives its parameters whatever it is told, and keeps that."""

    def __init__(self, n):
        self.n, self.told = n, {}

    def begin(self, row):
        self.row = row

    def step(self, column, group):
        assert (group, self.row, column) not in self.told
        return torch.zeros(self.n, 1)

    def put(self, column, group, value):
        self.told[group, self.row, column] = value.clone()


def test_the_driver_tells_what_it_keeps_and_what_it_draws_scaled():
    """Values in [0, 1] are told in [-1, 1]; what lies outside the mask is not looked at."""
    noise = torch.Generator().manual_seed(0)
    x, uniforms = torch.randint(0, 5, (3, 3, 2, 4), generator=noise) / 4, torch.rand(3, 2, 4, 3)
    mask = torch.rand(3, 3, 2, 4, generator=noise) < 0.5
    machine = Constant(3)
    found = sampler.draw(
        machine, lambda _, u: (5 * u).long(), torch.where(mask, x, torch.nan), mask, uniforms, levels=5
    )
    expected = torch.where(mask, x, (5 * uniforms.permute(0, 3, 1, 2)).floor() / 4).double()
    assert found.dtype == torch.float64 and torch.equal(found, expected)
    for (channel, row, column), value in machine.told.items():
        assert torch.equal(value, 2 * found[:, channel, row, column] - 1)
    assert len(machine.told) == 24
