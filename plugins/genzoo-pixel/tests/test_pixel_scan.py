"""The recurrence: gradients, frozen cells, and a plain loop over cells as the oracle."""

import torch
from genzoo_pixel.pixelrnn import DiagonalBiLSTM, skew, unskew
from genzoo_pixel.scan import FusedCell, cell, frozen, scan


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def test_the_fused_cell_is_the_cell():
    gates, memory = numbers(5, 12), numbers(5, 3)
    for fused, plain in zip(FusedCell.apply(gates, memory), cell(gates, memory), strict=True):
        assert torch.equal(fused, plain)


def test_gradients_of_the_fused_cell_are_right():
    assert torch.autograd.gradcheck(FusedCell.apply, (numbers(4, 8).requires_grad_(), numbers(4, 2).requires_grad_()))


def test_gates_are_sigmoids_and_the_new_content_a_tanh():
    gates = torch.tensor([[100.0, -100, 100, -0.5]])  # show all, forget all, take all
    h, c = cell(gates, torch.tensor([[7.0]]))
    torch.testing.assert_close(c, torch.tensor([[-0.5]]).tanh())
    torch.testing.assert_close(h, c.tanh())


def test_a_frozen_cell_keeps_its_memory_and_shows_nothing():
    memory = numbers(6, 3)
    h, c = FusedCell.apply(frozen(3, memory).expand(6, -1) + numbers(6, 12), memory)
    assert (h == 0).all() and torch.equal(c, memory)


def test_gradients_of_a_scan_are_right():
    z, weights = numbers(3, 2, 4, 8).requires_grad_(), numbers(2, 2, 2, 8).requires_grad_()
    h, c = numbers(2, 4, 2).requires_grad_(), numbers(2, 4, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda *given: scan(given[0], given[1], (0, 1), given[2], given[3]), (z, weights, h, c))


def test_skewing_moves_each_row_one_further_and_comes_back():
    z = numbers(2, 3, 4, 5, 8)
    skewed = skew(z)
    assert skewed.shape == (4 + 5 - 1, 2, 3 * (4 + 1), 8)
    assert torch.equal(skewed[6, 1, 2 * 5 + 1 + 3], z[1, 2, 3, 3]) and torch.equal(skewed[0, 0, 2], frozen(2, z))
    assert torch.equal(unskew(skewed, 3, 4, 5), z)


def test_the_diagonal_lstm_is_a_loop_over_cells():
    """Each direction: a cell reads the one beside it and the one above it, learned states where there is none."""
    torch.manual_seed(0)
    layer = DiagonalBiLSTM(2, 1, first=False).double()
    torch.nn.init.normal_(layer.start)
    z = numbers(1, 16, 3, 4)
    right, left = layer._both(z)
    for direction, found in enumerate((right, left.flip(3))):
        gates = z[0, 8 * direction : 8 * direction + 8].permute(1, 2, 0)
        gates = gates.flip(1) if direction else gates
        beside_start, memory_start, above_start = layer.start[direction]
        h = {}
        for row in range(3):
            c = memory_start[None]
            for column in range(4):
                beside = h.get((row, column - 1), beside_start[None])
                above = h.get((row - 1, column), above_start[None])
                told = gates[row, column] + beside @ layer.states[0, direction] + above @ layer.states[1, direction]
                h[row, column], c = cell(told, c)
                torch.testing.assert_close(found[0, :, row, column], h[row, column][0])
