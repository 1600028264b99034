"""PixelRNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks",
arXiv:1601.06759, sections 3.1 and 3.2).

The Row LSTM runs row by row; each cell reads three cells of the row above, so the context is a triangle. The
Diagonal BiLSTM runs diagonal by diagonal from both upper corners; its context is complete. Initial states are
learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.equations import cell
from genzoo_pixel.fast import rnn
from genzoo_pixel.fast.recurrent import DiagonalCache, RecurrentMachine, RowCache
from genzoo_pixel.fast.sampler import Machine
from genzoo_pixel.fast.swap import faster
from genzoo_pixel.masks import MaskedConv2d, shift_down
from genzoo_pixel.pixelcnn import STEM


@dataclass(frozen=True, kw_only=True)
class PixelRNNConfig(PixelConfig):
    """Config of a PixelRNN: the common keys. The paper's CIFAR-10 model: layers=12, width=128."""


class RowLSTM(nn.Module):
    """x + 1×1(Row LSTM(x)), 2h → h → 2h (figure 5, right)."""

    recomputable = False  # the scan keeps little, and is left for a plain loop where a layer has hooks

    def __init__(self, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.inputs = MaskedConv2d(2 * width, 4 * width, (1, 3), "B", groups, parts=4)
        # from the cells above: left, middle, right
        self.states = nn.Parameter(torch.empty(3, 1, width, 4 * width))
        self.start = nn.Parameter(torch.zeros(2, width))  # h and c of the row above the first
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)
        initialise(self.states, 3 * width)

    @faster(rnn.row)
    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Map (N, 2h, H, W) to the same shape, row by row; the image is not read."""
        z = self.inputs(x).permute(2, 0, 3, 1)  # (H, N, W, 4h), input-to-state
        h, c = self.start[:, None, None].expand(2, *z.shape[1:3], -1)  # (N, W, h) each
        weight = self.states.flatten(0, 2)  # (3 · h, 4h)
        rows = []
        for gates in z:
            above = F.pad(h, (0, 0, 1, 1))  # (N, W + 2, h)
            seen = torch.cat([above[:, :-2], above[:, 1:-1], above[:, 2:]], 2)  # (N, W, 3 · h)
            h, c = cell(gates + seen @ weight, c)
            rows.append(h)
        return x + cast(Tensor, self.up(torch.stack(rows).permute(1, 3, 0, 2)))


class DiagonalBiLSTM(nn.Module):
    """x + 1×1(Diagonal BiLSTM(x)), 2h → h → 2h (figure 5, right). Direction 0 goes right from the upper left
    corner, 1 goes left.

    Mask A hides each pixel from its own features, so the last pixel of a row would not reach any pixel to its
    left in the row below (the middle of 13×13 would see 83 of 84 earlier pixels). Therefore the left-going
    direction of the first layer, which is read one row later, reads the image as well.
    """

    recomputable = False  # see `RowLSTM`

    def __init__(self, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.image = nn.Conv2d(groups, 4 * width, 1, bias=False) if first else None
        self.inputs = MaskedConv2d(2 * width, 8 * width, (1, 1), "B", groups, parts=8)
        self.states = nn.Parameter(torch.empty(2, 2, width, 4 * width))  # (beside or above, direction, h, 4h)
        # per direction: h and c beside the first column, h above the first row
        self.start = nn.Parameter(torch.zeros(2, 3, width))
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)
        initialise(self.states, 2 * width)

    @faster(rnn.diagonal)
    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Map (N, 2h, H, W) to the same shape; `image` (N, C, H, W) is the network's input."""
        right, left = self.inputs(x).chunk(2, 1)  # input-to-state, (N, 4h, H, W) each
        if self.image is not None:
            left = left + self.image(image)
        # A pixel must not see those to its right in its own row: the left-going map is shifted one row down.
        h = self._going(0, right) + shift_down(self._going(1, left.flip(3)).flip(3))
        return x + cast(Tensor, self.up(h))

    def _going(self, direction: int, z: Tensor) -> Tensor:
        """Return the states (N, h, H, W) of one direction from gates z (N, 4h, H, W), starting at the upper
        left corner: each cell reads the cell to its left and the cell above.
        """
        n, _, height, wide = z.shape
        first, memory, top = (part.expand(n, -1) for part in self.start[direction])  # (N, h) each
        states: list[list[Tensor]] = []
        for row in range(height):
            beside, c = first, memory
            states.append([])
            for column in range(wide):
                above = states[row - 1][column] if row else top
                read = beside @ self.states[0, direction] + above @ self.states[1, direction]
                beside, c = cell(z[:, :, row, column] + read, c)
                states[row].append(beside)
        return torch.stack([torch.stack(line, 2) for line in states], 2)


def initialise(states: nn.Parameter, fan: int) -> None:
    """Initialise state-to-state weights as torch's LSTM does, uniformly within ±1/√fan."""
    nn.init.uniform_(states, -(fan**-0.5), fan**-0.5)


class PixelRNN(PixelModel):
    """A 7×7 convolution with mask A, recurrent layers with residual connections, two 1×1 layers."""

    parts = (MaskedConv2d, nn.Conv2d, RowLSTM, DiagonalBiLSTM)
    goes: ClassVar[str]  # along "rows" or "diagonals"

    def _lay(self, config: PixelRNNConfig, layer: type[RowLSTM] | type[DiagonalBiLSTM]) -> None:
        channels, width = check_config(config), config.width
        self.stem = MaskedConv2d(channels, 2 * width, STEM, "A", channels)
        self.recurrent = nn.ModuleList([layer(width, channels, not index) for index in range(config.layers)])
        self.tail = tail(self, 2 * width, 2 * width)

    @faster(rnn.network)
    def _network(self, x: Tensor) -> Tensor:
        features = self.stem(x)  # (N, 2h, H, W)
        for layer in self.recurrent:
            features = layer(features, x)
        return self.outputs_of(features)

    def _machine(self, n: int) -> Machine:
        return RecurrentMachine(self, n, RowCache if self.goes == "rows" else DiagonalCache)


class PixelRNNRow(PixelRNN):
    """Exact p(x) by Row LSTMs; the context is a triangle above the pixel."""

    Config = PixelRNNConfig
    goes = "rows"

    def __init__(self, config: PixelRNNConfig) -> None:
        super().__init__()
        self.config = config
        self._lay(config, RowLSTM)


class PixelRNNDiagonal(PixelRNN):
    """Exact p(x) by Diagonal BiLSTMs; every pixel sees all earlier ones."""

    Config = PixelRNNConfig
    goes = "diagonals"

    def __init__(self, config: PixelRNNConfig) -> None:
        super().__init__()
        self.config = config
        self._lay(config, DiagonalBiLSTM)

    @property
    def full_context(self) -> bool:
        """True: the two directions together cover all pixels above, at any image size."""
        return True
