"""Recurrent layers against torch's LSTM and against loops written from the equations; the plain layers of all
nets on paper; fast layers in single and half precision."""

import itertools

import pytest
import torch
from genzoo_pixel.equations import cell, gate
from genzoo_pixel.fast.activations import tanh_
from genzoo_pixel.fast.scan import by_diagonals, by_rows, scan
from genzoo_pixel.fast.swap import run
from genzoo_pixel.fast.turns import moved, turns
from genzoo_pixel.gated import GatedLayer
from genzoo_pixel.masks import shift_down
from genzoo_pixel.pixelcnn import Block
from genzoo_pixel.pixelrnn import DiagonalBiLSTM, RowLSTM
from torch import nn
from torch.nn import functional as F

SIZES = [(3, 5), (5, 2), (1, 6), (6, 1), (1, 1)]
COURSES = {"rows": by_rows, "diagonals": by_diagonals}
WIDTH = 3


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def filled(module):
    """Return `module` in float64 with weights of noise, also where a mask hides them."""
    for parameter in module.double().parameters():
        parameter.data.copy_(numbers(*parameter.shape))
    return module


def ours(gates):
    """Return the rows of a torch LSTM's weights (i, f, g, o) in the order o, f, i, g."""
    i, f, g, o = gates.chunk(4, 0)
    return torch.cat([o, f, i, g])


def stepped(told, memory):
    """Return h and c by the equations of the paper, the gates in the order o, f, i, g."""
    o, f, i, g = told.chunk(4, 1)
    memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(memory), memory


def test_a_cell_is_torchs_with_its_gates_in_another_order():
    theirs, x = filled(nn.LSTMCell(4, WIDTH)), numbers(5, 4)
    h, c = numbers(5, WIDTH), numbers(5, WIDTH) + 1
    told = x @ ours(theirs.weight_ih).T + h @ ours(theirs.weight_hh).T
    told = told + ours(theirs.bias_ih) + ours(theirs.bias_hh)
    for found, expected in zip(cell(told, c), theirs(x, (h, c)), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dim", [1, 3])
def test_a_gate_is_a_gated_linear_unit_of_a_tanh(dim):
    x = numbers(2, 6, 3, 4)
    a, b = x.chunk(2, dim)
    torch.testing.assert_close(gate(x, dim), F.glu(torch.cat([a.tanh(), b], dim), dim))


@pytest.mark.parametrize(("kind", "size"), [("rows", (6, 1)), ("diagonals", (1, 6)), ("diagonals", (6, 1))])
def test_the_scan_of_a_line_is_torchs_lstm(kind, size):
    """A column row by row and a row along the diagonals: one chain of cells, values and gradients. A column
    along the diagonals begins each cell's memory anew, so it is six cells of torch's instead."""
    theirs, n = filled(nn.LSTM(4, WIDTH)), 3
    x, h, c = (part.requires_grad_() for part in (numbers(6, n, 4), numbers(WIDTH), numbers(WIDTH)))
    bias = ours(theirs.bias_ih_l0) + ours(theirs.bias_hh_l0)
    z = (x @ ours(theirs.weight_ih_l0).T + bias).permute(2, 0, 1).flatten(1)[None]
    course = COURSES[kind](*size)
    chained = 0 if size == (1, 6) else 1  # beside or above; of three above, the one straight up
    weights = torch.zeros(course.neighbours, 1, WIDTH, 4 * WIDTH, dtype=torch.float64)
    weights[chained, 0] = ours(theirs.weight_hh_l0).T.detach()
    found = scan(z, weights, h.expand(1, course.neighbours, -1), c[None], course, n)[0]
    if chained == course.memory:
        begun = (part.expand(1, n, -1).contiguous() for part in (h, c))
        expected = theirs(x, tuple(begun))[0]
    else:
        states = [h.expand(1, n, -1).contiguous()]
        for one in x:
            states.append(theirs(one[None], (states[-1], c.expand(1, n, -1).contiguous()))[0])
        expected = torch.cat(states[1:])
    expected = expected.permute(2, 0, 1).flatten(1)
    torch.testing.assert_close(found, expected)
    slopes = [
        torch.autograd.grad((part * numbers(*part.shape)).sum(), (x, h, c)) for part in (found, expected)
    ]
    for mine, other in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("kind", COURSES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_images_and_directions_of_a_scan_do_not_meet(kind, size):
    course, cells = COURSES[kind](*size), size[0] * size[1]
    k = course.neighbours
    z, weights = numbers(2, 4 * WIDTH, cells, 3), numbers(k, 2, WIDTH, 4 * WIDTH)
    start, memory = numbers(2, k, WIDTH), numbers(2, WIDTH)
    whole = scan(z.flatten(2), weights, start, memory, course, 3).unflatten(2, (cells, 3))
    for direction, image in itertools.product(range(2), range(3)):
        own = slice(direction, direction + 1)
        one = scan(z[own, :, :, image].contiguous(), weights[:, own], start[own], memory[own], course, 1)
        torch.testing.assert_close(one[0], whole[direction, :, :, image])


def test_a_scan_of_half_precision_gates_keeps_its_states_in_single():
    course = by_diagonals(3, 4)
    z, weights = numbers(2, 8, 24).to(torch.bfloat16), numbers(2, 2, 2, 8).float()
    z.requires_grad_()
    start, memory = numbers(2, 2, 2).float(), numbers(2, 2).float()
    found = scan(z, weights, start, memory, course, 2)
    exact = scan(z.double(), weights.double(), start.double(), memory.double(), course, 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-5)
    (slope,) = torch.autograd.grad(found.sum(), z)
    assert slope.dtype == torch.bfloat16 and slope.all()


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_row_lstm_is_a_loop_over_its_cells(groups, size):
    layer, (height, wide) = filled(RowLSTM(WIDTH, groups, True)), size
    x = numbers(2, 2 * WIDTH, height, wide)
    weight, states = layer.inputs.weight * layer.inputs.mask, layer.states[:, 0]
    found, memory = {}, {}
    for row, column in itertools.product(range(height), range(wide)):
        told = layer.inputs.bias + x[:, :, row, column] @ weight[:, :, 0, 1].T
        if column:
            told = told + x[:, :, row, column - 1] @ weight[:, :, 0, 0].T
        for k in range(3):
            if 0 <= column + k - 1 < wide:  # beyond the edge is nothing, above the first row what is learned
                above = found.get((row - 1, column + k - 1), layer.start[0].expand(2, -1))
                told = told + above @ states[k]
        before = memory.get((row - 1, column), layer.start[1].expand(2, -1))
        found[row, column], memory[row, column] = stepped(told, before)
    up = layer.up.weight[:, :, 0, 0] * layer.up.mask[:, :, 0, 0]
    plain = layer(x, x)
    for (row, column), h in found.items():
        expected = x[:, :, row, column] + h @ up.T + layer.up.bias
        torch.testing.assert_close(plain[:, :, row, column], expected)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_diagonal_lstm_is_two_loops_over_its_cells(first, size):
    """The left-going one from the right, read in the row below, and in the first layer with the image."""
    (height, wide), channels = size, 3
    layer = filled(DiagonalBiLSTM(WIDTH, channels, first))
    x, image = numbers(2, 2 * WIDTH, height, wide), numbers(2, channels, height, wide)
    weight = (layer.inputs.weight * layer.inputs.mask)[:, :, 0, 0]
    found = [{}, {}]
    for direction, side in enumerate((-1, 1)):
        own, (h0, c0, top), memory = slice(12 * direction, 12 * direction + 12), layer.start[direction], {}
        for row, column in itertools.product(range(height), range(wide)[::-side]):
            told = layer.inputs.bias[own] + x[:, :, row, column] @ weight[own].T
            if direction and first:
                told = told + image[:, :, row, column] @ layer.image.weight[:, :, 0, 0].T
            beside = found[direction].get((row, column + side), h0.expand(2, -1))
            above = found[direction].get((row - 1, column), top.expand(2, -1))
            told = told + beside @ layer.states[0, direction] + above @ layer.states[1, direction]
            before = memory.get((row, column + side), c0.expand(2, -1))
            found[direction][row, column], memory[row, column] = stepped(told, before)
    up = layer.up.weight[:, :, 0, 0] * layer.up.mask[:, :, 0, 0]
    plain = layer(x, image)
    for (row, column), h in found[0].items():
        both = h + found[1].get((row - 1, column), 0)
        expected = x[:, :, row, column] + both @ up.T + layer.up.bias
        torch.testing.assert_close(plain[:, :, row, column], expected)


@pytest.mark.parametrize("first", [True, False])
def test_a_gated_layer_is_figure_2(first):
    ins, width = (1, 4) if first else (4, 4)
    layer, v, h = filled(GatedLayer(ins, width, 1, first)), numbers(2, ins, 4, 5), numbers(3, ins, 4, 5)[:2]
    told = layer.vertical(v)
    both = layer.horizontal(h) + F.conv2d(F.pad(told, (0, 0, 1, 0)), layer.link.weight)[:, :, :-1]
    mixed = both[:, :width].tanh() * both[:, width:].sigmoid()
    out = F.conv2d(mixed, layer.out.weight * layer.out.mask, layer.out.bias)
    above, beside = layer(v, h)
    torch.testing.assert_close(above, told[:, :width].tanh() * told[:, width:].sigmoid())
    torch.testing.assert_close(beside, out if first else out + h)
    assert torch.equal(shift_down(told)[:, :, 1:], told[:, :, :-1])


def test_a_block_is_figure_5():
    block, x = filled(Block(4, 1)), numbers(2, 8, 4, 5)
    kernel = F.pad(block.mix.weight * block.mix.mask, (0, 0, 0, 1))  # the masked 3×3 of the paper
    inner = F.relu(F.conv2d(F.relu(x), block.down.weight, block.down.bias))
    inner = F.relu(F.conv2d(inner, kernel, block.mix.bias, padding=1))
    torch.testing.assert_close(block(x), x + F.conv2d(inner, block.up.weight, block.up.bias))


@pytest.mark.parametrize("size", [(2, 3), (1, 4), (4, 1), (1, 1)], ids=str)
def test_turns_are_found_cell_by_cell(size):
    height, wide = size
    order = by_diagonals(height, wide).order
    x = torch.arange(1.0, 1 + height * wide)
    mirrored, lowered = (moved(x[list(order)][None, :, None], turn)[0, :, 0] for turn in turns(height, wide))
    for j, at in enumerate(order):
        row, column = divmod(at, wide)
        across = row * wide + wide - 1 - column
        assert mirrored[j] == x[across] and lowered[j] == (x[across - wide] if row else 0)


def test_the_fast_tanh_is_close_and_in_place():
    x = torch.linspace(-30, 30, 4001)
    given = x.clone()
    assert tanh_(given) is given and (given.abs() <= 1).all()
    torch.testing.assert_close(given, x.tanh(), rtol=0, atol=2e-7)
    torch.testing.assert_close(tanh_(x.double()), x.double().tanh(), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("dtype", "values", "gradients"), [(torch.float32, 1e-5, 1e-5), (torch.bfloat16, 0.03, 0.25)], ids=str
)
def test_fast_nets_in_less_precision_are_close_to_the_plain_ones(
    make, kind, channels, dtype, values, gradients
):
    """Relative to the largest value and, tensor by tensor, to the longest gradient; half precision may open a
    ReLU that is closed, where its input is nearly 0."""
    model = make(kind, image_shape=(channels, 6, 5), layers=3, levels=4, scale=0.2)
    x = 2 * torch.rand(4, channels, 6, 5, generator=torch.Generator().manual_seed(0)) - 1
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        fast = run(model._network, x).float()
    slope = numbers(*fast.shape)
    found = torch.autograd.grad(fast, list(model.parameters()), slope.float())
    exact = model.double()
    plain = exact._network(x.double())
    expected = torch.autograd.grad(plain, list(exact.parameters()), slope)
    assert (fast - plain).abs().max() <= values * plain.abs().max()
    longest = max(float(part.norm()) for part in expected)
    for mine, other in zip(found, expected, strict=True):
        assert mine.dtype == torch.float32 and (mine - other).norm() <= gradients * longest
