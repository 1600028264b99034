"""The pixel models as they are usually written, from scratch, to be compared with: float32, NCHW, square
kernels with masks, plain loops.

Same layers and widths as genzoo-pixel's, Bernoulli head, one channel. Nothing is left out and nothing is made
slow on purpose: these are the lines that tutorials and the best-known repositories have.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedConv(nn.Conv2d):
    """A square kernel; its mask leaves the rows above and the pixels to the left ("A"), also the middle
    ("B"), or all of the row."""

    def __init__(self, ins: int, outs: int, side: tuple[int, int], kind: str) -> None:
        super().__init__(ins, outs, side, padding=(side[0] // 2, side[1] // 2))
        middle, column = side[0] // 2, side[1] // 2
        mask = torch.ones(side)
        mask[middle + 1 :] = 0
        if kind != "rows":
            mask[middle, column + (kind == "B") :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data *= self.mask
        return super().forward(x)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        middle = [nn.Conv2d(2 * width, width, 1), nn.ReLU(), MaskedConv(width, width, (3, 3), "B"), nn.ReLU()]
        self.net = nn.Sequential(nn.ReLU(), *middle, nn.Conv2d(width, 2 * width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


def _tail(ins: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(ins, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, 1, 1))


def pixelcnn(layers: int, width: int) -> nn.Module:
    """Return a PixelCNN of residual blocks."""
    return nn.Sequential(
        MaskedConv(1, 2 * width, (7, 7), "A"),
        *[Block(width) for _ in range(layers)],
        _tail(2 * width, 2 * width),
    )


class GatedLayer(nn.Module):
    def __init__(self, ins: int, width: int, first: bool) -> None:
        super().__init__()
        side, self.first = 7 if first else 3, first
        self.vertical = MaskedConv(ins, 2 * width, (side, side), "rows")
        self.horizontal = MaskedConv(ins, 2 * width, (1, side), "A" if first else "B")
        self.link, self.out = nn.Conv2d(2 * width, 2 * width, 1, bias=False), nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        told = self.vertical(v)
        a, b = (self.horizontal(h) + F.pad(self.link(told), (0, 0, 1, 0))[:, :, :-1]).chunk(2, 1)
        out = self.out(torch.tanh(a) * torch.sigmoid(b))
        a, b = told.chunk(2, 1)
        return torch.tanh(a) * torch.sigmoid(b), out if self.first else h + out


class Gated(nn.Module):
    """A Gated PixelCNN of two stacks."""

    def __init__(self, layers: int, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [GatedLayer(width if index else 1, width, not index) for index in range(layers)]
        )
        self.tail = _tail(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.tail(h)


def _cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    o, f, i, g = gates.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


class RowLSTM(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.inputs = MaskedConv(2 * width, 4 * width, (1, 3), "B")
        self.states = nn.Conv1d(width, 4 * width, 3, padding=1, bias=False)
        self.up = nn.Conv2d(width, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.inputs(x)
        h = c = x.new_zeros(len(x), self.width, x.shape[3])
        rows = []
        for row in range(x.shape[2]):
            h, c = _cell(z[:, :, row] + self.states(h), c)
            rows.append(h)
        return x + self.up(torch.stack(rows, 2))


class DiagonalLSTM(nn.Module):
    """One direction: rows are skewed, and the columns of the skewed map are visited in turn."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.inputs = nn.Conv2d(2 * width, 4 * width, 1)
        self.states = nn.Conv1d(width, 4 * width, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, wide = x.shape[2:]
        z = self.inputs(x)
        z = torch.stack([F.pad(z[:, :, row], (row, height - 1 - row)) for row in range(height)], 2)
        h = c = x.new_zeros(len(x), self.width, height)
        columns = []
        for column in range(wide + height - 1):
            h, c = _cell(z[..., column] + self.states(F.pad(h, (1, 0))), c)
            columns.append(h)
        skewed = torch.stack(columns, 3)
        return torch.stack([skewed[:, :, row, row : row + wide] for row in range(height)], 2)


class DiagonalBiLSTM(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.right = DiagonalLSTM(width)
        self.left = DiagonalLSTM(width)
        self.up = nn.Conv2d(width, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        left = self.left(x.flip(3)).flip(3)
        return x + self.up(self.right(x) + F.pad(left, (0, 0, 1, 0))[:, :, :-1])


def pixelrnn(layers: int, width: int, kind: type[nn.Module]) -> nn.Module:
    """Return a PixelRNN of recurrent layers of one kind."""
    return nn.Sequential(
        MaskedConv(1, 2 * width, (7, 7), "A"),
        *[kind(width) for _ in range(layers)],
        _tail(2 * width, 2 * width),
    )


def build(name: str, layers: int, width: int) -> nn.Module:
    """Return the plain net of the card `name`, in nn.Module's usual float32."""
    if name == "pixelcnn":
        return pixelcnn(layers, width)
    if name == "gated-pixelcnn":
        return Gated(layers, width, 2 * width)
    return pixelrnn(layers, width, {"pixelrnn-row": RowLSTM, "pixelrnn-diagonal": DiagonalBiLSTM}[name])
