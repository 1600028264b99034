"""PixelRNNs computed pixel by pixel: only the states of a row are kept, and each pixel costs one cell per
layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from genzoo_pixel.equations import cell
from genzoo_pixel.fast.sampler import CachedConv, Machine
from genzoo_pixel.masks import MaskedConv2d, bounds, pointwise_weight

if TYPE_CHECKING:
    from genzoo_pixel.pixelrnn import DiagonalBiLSTM, PixelRNN, RowLSTM


class RowCache:
    """A Row LSTM: the states of the row above, and the gates they contribute to the whole current row."""

    def __init__(self, layer: RowLSTM, n: int, size: tuple[int, int]) -> None:
        inputs, up, states, start = layer.inputs, layer.up, layer.states, layer.start
        self.inputs, self.up = CachedConv(inputs, n, size), CachedConv(up, n, size)
        self.weight = states.detach()[:, 0].flatten(0, 1)  # (3h, 4h)
        self.start, self.n, self.wide = start.detach(), n, size[1]
        self.edges = bounds(start.shape[1], inputs.channel_groups)
        self.rows = [inputs.rows(g) for g in range(inputs.channel_groups)]
        # of the current row, (n, W, h)
        self.h, self.c = self.start[:, None, None].expand(2, n, size[1], -1).clone()
        self.above, self.memory = self.h, self.c

    def begin(self, row: int, line: Tensor) -> None:
        """Turn the current row into the row above; `line` (n, W, C), the image above, is not read."""
        self.inputs.above(row)
        self.up.above(row)
        self.memory = self.c
        around = self.h.new_zeros(self.n, self.wide + 2, self.h.shape[2])
        around[:, 1:-1] = self.h
        windows = torch.cat([around[:, :-2], around[:, 1:-1], around[:, 2:]], 2)  # (n, W, 3h)
        self.above = windows @ self.weight
        self.h, self.c = torch.zeros_like(self.h), torch.zeros_like(self.c)

    def step(self, column: int, group: int, x: Tensor) -> Tensor:
        """Return a group of the layer's output (n, features) of the same group of its input `x`."""
        low, high = self.edges[group], self.edges[group + 1]
        self.inputs.put(column, group, x)
        gates = self.inputs.at(column, group) + self.above[:, column, self.rows[group]]
        h, c = cell(gates, self.memory[:, column, low:high])
        self.h[:, column, low:high], self.c[:, column, low:high] = h, c
        self.up.put(column, group, h)
        return x + self.up.at(column, group)


class DiagonalCache:
    """A Diagonal BiLSTM: the right-going states of the row above and of the pixel to the left, and the
    left-going states of the row above.

    The left-going direction is read one row later, so that a whole row of it is computed when the next row
    begins.
    """

    def __init__(self, layer: DiagonalBiLSTM, n: int, size: tuple[int, int]) -> None:
        inputs, up, states, start = layer.inputs, layer.up, layer.states, layer.start
        self.image = pointwise_weight(layer.image).detach().t() if layer.image is not None else None
        # the right-going gates
        self.inputs = CachedConv(inputs, n, size, parts=4)
        self.up = CachedConv(up, n, size)
        self.beside, self.over = states.detach().unbind(0)  # (D, h, 4h) each
        self.start, self.n, self.wide = start.detach(), n, size[1]
        width = start.shape[2]
        self.edges = bounds(width, inputs.channel_groups)
        self.rows = [inputs.rows(group, 4) for group in range(inputs.channel_groups)]
        weight = inputs.masked.detach()[4 * width :, :, 0, 0]
        self.left_weight, self.left_bias = weight.t(), self.inputs.bias[4 * width :]
        self.h = self.start[0, 2].expand(n, size[1], -1).clone()  # right-going, current row
        self.c = torch.zeros_like(self.h)
        self.left = self.start[1, 2].expand(n, size[1], -1).clone()  # left-going, the row above
        self.above, self.shown = self.h, torch.zeros_like(self.h)

    def begin(self, row: int, line: Tensor) -> None:
        """Run the left-going direction over the row above, `line` of the image, and compute the gates that
        the right-going states contribute to this row.
        """
        if row:
            self.left = self.shown = self._leftwards(row - 1, line)
        self.inputs.above(row)
        self.up.above(row)
        self.above = self.h @ self.over[0]  # (n, W, 4h)
        self.h = torch.zeros_like(self.h)

    def _leftwards(self, row: int, line: Tensor) -> Tensor:
        """Return the left-going states (n, W, h) of the complete `row`."""
        # (n, W, 4h)
        gates = self.inputs.map[:, row] @ self.left_weight + self.left_bias + self.left @ self.over[1]
        if self.image is not None:
            gates = gates + line @ self.image
        h, c = self.start[1, 0].expand(self.n, -1), self.start[1, 1].expand(self.n, -1)
        states = torch.empty_like(self.left)
        for column in reversed(range(self.wide)):
            h, c = cell(torch.addmm(gates[:, column], h, self.beside[1]), c)
            states[:, column] = h
        return states

    def step(self, column: int, group: int, x: Tensor) -> Tensor:
        """Return a group of the layer's output (n, features) of the same group of its input `x`."""
        low, high = self.edges[group], self.edges[group + 1]
        self.inputs.put(column, group, x)
        rows = self.rows[group]
        before = self.h[:, column - 1] if column else self.start[0, 0].expand(self.n, -1)
        memory = self.c[:, column - 1] if column else self.start[0, 1].expand(self.n, -1)
        gates = torch.addmm(
            self.inputs.at(column, group) + self.above[:, column, rows], before, self.beside[0][:, rows]
        )
        h, c = cell(gates, memory[:, low:high])
        self.h[:, column, low:high], self.c[:, column, low:high] = h, c
        self.up.put(column, group, h + self.shown[:, column, low:high])
        return x + self.up.at(column, group)


class RecurrentMachine(Machine):
    """A PixelRNN: stem, recurrent layers, two 1×1 layers."""

    def __init__(self, model: PixelRNN, n: int, cache: type[RowCache] | type[DiagonalCache]) -> None:
        size = model.image_shape[1:]
        self.stem = CachedConv(model.stem, n, size)
        self.layers = [cache(cast(Any, layer), n, size) for layer in model.recurrent]
        self.tail = [CachedConv(cast(MaskedConv2d, conv), n, size) for conv in model.tail]

    def begin(self, row: int) -> None:
        """Compute what each layer reads from the rows above."""
        self.stem.above(row)
        line = self.stem.line(row - 1)
        for layer in self.layers:
            layer.begin(row, line)
        for conv in self.tail:
            conv.above(row)

    def step(self, column: int, group: int) -> Tensor:
        """Return the parameters (n, P) of one channel of one pixel."""
        x = self.stem.at(column, group)
        for layer in self.layers:
            x = layer.step(column, group, x)
        for conv in self.tail:
            conv.put(column, group, x.relu())
            x = conv.at(column, group)
        return x

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Pass the value of a channel to the stem, the only layer that reads the image."""
        self.stem.put(column, group, value[:, None])
