"""The recurrence: a plain loop over cells as the oracle, for values and for gradients; courses; turns of
maps."""

import itertools

import pytest
import torch
from genzoo_pixel.equations import cell
from genzoo_pixel.fast import rnn
from genzoo_pixel.fast.scan import by_diagonals, by_rows, scan
from genzoo_pixel.fast.turns import moved, turns
from genzoo_pixel.pixelrnn import DiagonalBiLSTM, RowLSTM

SIZES = [(3, 4), (4, 3), (1, 4), (4, 1), (1, 1), (3, 3)]
COURSES = {"rows": by_rows, "diagonals": by_diagonals}
# (row, column) of each neighbour, from a cell
READ = {"rows": ((-1, -1), (-1, 0), (-1, 1)), "diagonals": ((0, -1), (-1, 0))}
CONTINUED = {"rows": (-1, 0), "diagonals": (0, -1)}


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def problem(kind, height, wide, directions=2, n=2, width=2):
    """Return z, weights, start and memory of a scan, all of which learn."""
    neighbours = len(READ[kind])
    z = numbers(directions, 4 * width, height * wide * n)
    weights = numbers(neighbours, directions, width, 4 * width)
    return [
        part.requires_grad_()
        for part in (z, weights, numbers(directions, neighbours, width), numbers(directions, width))
    ]


def looped(kind, size, z, weights, start, memory):
    """Return the states by a loop over cells: (direction, features, cells in the course's order, images)."""
    (height, wide), found = size, []
    place = {at: j for j, at in enumerate(COURSES[kind](*size).order)}
    begun = (
        (lambda row, column: row < 0 <= column < wide)
        if kind == "rows"
        else (lambda row, column: row < 0 or column < 0)
    )
    for direction, gates in enumerate(z.unflatten(2, (height * wide, -1))):
        h, c = {}, {}
        for row in range(height):
            for column in range(wide):
                told = gates[:, place[row * wide + column]].t()  # (n, 4h)
                for k, (up, side) in enumerate(READ[kind]):
                    at = (row + up, column + side)
                    if at in h:
                        told = told + h[at] @ weights[k, direction]
                    elif begun(*at):
                        told = told + start[direction, k] @ weights[k, direction]
                before = c.get(
                    (row + CONTINUED[kind][0], column + CONTINUED[kind][1]),
                    memory[direction].expand(len(told), -1),
                )
                h[row, column], c[row, column] = cell(told, before)
        order = sorted(h, key=lambda at: place[at[0] * wide + at[1]])
        found.append(torch.stack([h[at] for at in order]).permute(2, 0, 1))
    return torch.stack(found)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", COURSES)
def test_a_scan_is_a_loop_over_cells(kind, size):
    """States, and all gradients under a random slope, which autograd takes through the plain loop."""
    inputs = problem(kind, *size)
    fast, plain = scan(*inputs, COURSES[kind](*size), 2), looped(kind, size, *inputs).flatten(2)
    torch.testing.assert_close(fast, plain)
    slope = numbers(*fast.shape)
    for ours, theirs in zip(
        torch.autograd.grad(fast, inputs, slope), torch.autograd.grad(plain, inputs, slope), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kind", COURSES)
def test_gradients_of_a_scan_are_right(kind):
    assert torch.autograd.gradcheck(lambda *given: scan(*given, COURSES[kind](2, 3), 2), problem(kind, 2, 3))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", COURSES)
def test_a_course_visits_each_cell_once_and_none_before_what_it_reads(kind, size):
    course = COURSES[kind](*size)
    assert sorted(course.order) == list(range(size[0] * size[1])) and course.edges[-1] == len(course.order)
    step = {
        at: number
        for number, edges in enumerate(itertools.pairwise(course.edges))
        for at in course.order[slice(*edges)]
    }
    for at, number in step.items():
        for up, side in READ[kind]:
            row, column = at // size[1] + up, at % size[1] + side
            if row >= 0 and 0 <= column < size[1]:
                assert step[row * size[1] + column] == number - 1


def test_gates_are_sigmoids_and_the_new_content_a_tanh():
    gates = torch.tensor([[100.0, -100, 100, -0.5]])  # show all, forget all, take all
    h, c = cell(gates, torch.tensor([[7.0]]))
    torch.testing.assert_close(c, torch.tensor([[-0.5]]).tanh())
    torch.testing.assert_close(h, c.tanh())


def test_turns_mirror_a_map_and_lower_its_mirror_image():
    height, wide = 3, 4
    order = torch.tensor(by_diagonals(height, wide).order)
    mirror, lower = turns(height, wide)
    x = numbers(2, height, wide, 3)
    laid = x.flatten(1, 2)[:, order]
    assert torch.equal(moved(laid, mirror), x.flip(2).flatten(1, 2)[:, order])
    shifted = torch.cat([torch.zeros(2, 1, wide, 3), x[:, :-1]], 1)
    assert torch.equal(moved(moved(laid, mirror), lower), shifted.flatten(1, 2)[:, order])


def test_gradients_of_turns_are_right():
    for turn in turns(3, 2):
        assert torch.autograd.gradcheck(
            lambda x, turn=turn: moved(x, turn), (numbers(2, 6, 2).requires_grad_(),)
        )


@pytest.mark.parametrize(("layer", "way"), [(RowLSTM, rnn.row), (DiagonalBiLSTM, rnn.diagonal)])
def test_layers_learn_everything_they_have(layer, way):
    """No weight is cut off: each gets a gradient, but for what a mask hides."""
    torch.manual_seed(0)
    made = layer(3, 1, True).double()
    torch.nn.init.normal_(made.start)
    way(made, numbers(6, 6, 2), numbers(1, 6, 2), (2, 3)).square().sum().backward()
    for name, parameter in made.named_parameters():
        seen = (
            made.inputs.mask != 0 if name == "inputs.weight" else torch.ones_like(parameter, dtype=torch.bool)
        )
        assert (parameter.grad[seen] != 0).all() and (parameter.grad[~seen] == 0).all(), name
