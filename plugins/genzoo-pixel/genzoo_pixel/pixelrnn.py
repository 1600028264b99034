"""PixelRNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", arXiv:1601.06759, sections 3.1 and 3.2).

Row LSTM: a row at a time, each cell reads three cells of the row above; its context is a triangle. Diagonal BiLSTM: a diagonal at a time,
from both upper corners; its context is complete. Initial states are learned.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.masks import MaskedConv2d, shift_down
from genzoo_pixel.pixelcnn import STEM
from genzoo_pixel.recurrent import DiagonalCache, RecurrentMachine, RowCache
from genzoo_pixel.sampler import Machine
from genzoo_pixel.scan import frozen, scan


@dataclass(frozen=True, kw_only=True)
class PixelRNNConfig(PixelConfig):
    """What a PixelRNN is built from: nothing beyond the common keys. CIFAR-10 in the paper: layers=12, width=128."""


class RowLSTM(nn.Module):
    """x + 1×1(Row LSTM(x)), 2h → h → 2h (figure 5, right)."""

    def __init__(self, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.inputs = MaskedConv2d(2 * width, 4 * width, (1, 3), "B", groups, parts=4)
        self.states = nn.Parameter(torch.empty(3, 1, width, 4 * width))  # from the cell to the left, straight, to the right above
        self.start = nn.Parameter(torch.zeros(2, width))  # h and c of the row above the first
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)
        initialise(self.states, 3 * width)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Map (N, 2h, H, W) to the same shape; the image is not read."""
        n, _, height, wide = x.shape
        z = wide_floats(self.inputs(x))  # (N, 4h, H, W)
        width = self.start.shape[1]
        gates = frozen(width, z).expand(height, n, wide + 1, -1).clone()  # one column of padding between images
        gates[:, :, :wide] = z.permute(2, 0, 3, 1)
        real = torch.ones(n, wide + 1, 1, dtype=z.dtype, device=z.device)
        real[:, wide] = 0
        first, memory = ((real * start.to(z.dtype)).view(1, -1, width) for start in self.start)
        with torch.autocast(z.device.type, enabled=False):
            h = scan(gates.view(height, 1, -1, 4 * width), self.states.to(z.dtype), (1, 0, -1), first, memory)  # (H, 1, M, h)
        h = h.view(height, n, wide + 1, width)[:, :, :wide].permute(1, 3, 0, 2)  # (N, h, H, W)
        up: Tensor = self.up(h)
        return x + up


class DiagonalBiLSTM(nn.Module):
    """x + 1×1(Diagonal BiLSTM(x)), 2h → h → 2h (figure 5, right). Direction 0 goes right from the upper left corner, 1 goes left.

    Mask A hides each pixel from its own features, so the last pixel of a row would reach nobody to its left in the row below (83 of
    84 earlier pixels at the middle of 13×13). The left-going direction of the first layer, which is read one row later, therefore
    reads the image as well.
    """

    def __init__(self, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.image = nn.Conv2d(groups, 4 * width, 1, bias=False) if first else None
        self.inputs = MaskedConv2d(2 * width, 8 * width, (1, 1), "B", groups, parts=8)
        self.states = nn.Parameter(torch.empty(2, 2, width, 4 * width))  # (beside or above, direction, h, 4h)
        self.start = nn.Parameter(torch.zeros(2, 3, width))  # per direction: h and c beside the first column, h above the first row
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)
        initialise(self.states, 2 * width)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Map (N, 2h, H, W) to the same shape; `image` (N, C, H, W) is what the network began with."""
        z = wide_floats(self.inputs(x))  # (N, 8h, H, W)
        if self.image is not None:
            z = z + F.pad(wide_floats(self.image(image)), (0, 0, 0, 0, z.shape[1] // 2, 0))  # the second half goes left
        with torch.autocast(z.device.type, enabled=False):
            right, left = self._both(z)
        # A pixel may not see what lies to its right in its own row: the left-going map is read one row later.
        up: Tensor = self.up(right + shift_down(left))
        return x + up

    def _both(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (N, h, H, W) of both directions, run as one batch, of the gates (N, 8h, H, W)."""
        n, _, height, wide = z.shape
        width, states, start = self.start.shape[2], self.states.to(z.dtype), self.start.to(z.dtype)
        both = z.unflatten(1, (2, -1)).permute(1, 0, 3, 4, 2)  # (D, N, H, W, 4h)
        both = torch.stack([both[0], both[1].flip(2)])
        # What the learned states give to the first column and the first row is constant: it joins the input once.
        edge = torch.einsum("dkh,kdhg->kdg", start[:, [0, 2]], states)[:, :, None, None]  # (beside or above, D, 1, 1, 4h)
        both[:, :, :, 0] += edge[0]
        both[:, :, 0] += edge[1]
        h = scan(skew(both), states, (0, 1), z.new_zeros(2, n * (height + 1), width), self._memory(start, n, height))
        right, left = unskew(h, n, height, wide).permute(0, 1, 4, 2, 3)  # (N, h, H, W) each
        return right, left.flip(3)

    @staticmethod
    def _memory(start: Tensor, n: int, height: int) -> Tensor:
        return start[:, None, 1].expand(2, n * (height + 1), -1)


def skew(z: Tensor) -> Tensor:
    """Return gates (D, N, H, W, 4h) as (H + W - 1, D, N · (H + 1), 4h): row r moved right by r, so that columns become diagonals.

    What a row has not reached or has left is frozen, and so is one row of padding on top of each image: the row above the
    first, whose state is zero. (Padding at the top, never "same" padding, which would read the row below: the future.)
    """
    d, n, height, wide, gates = z.shape
    steps = height + wide - 1
    out = frozen(gates // 4, z).expand(steps, d, n, height + 1, gates).clone()
    rows = torch.arange(height, device=z.device)[:, None].expand(height, wide)
    times = rows + torch.arange(wide, device=z.device)
    out[times, :, :, rows + 1] = z.permute(2, 3, 0, 1, 4)
    return out.view(steps, d, n * (height + 1), gates)


def unskew(h: Tensor, n: int, height: int, wide: int) -> Tensor:
    """Return states (H + W - 1, D, N · (H + 1), h) as (D, N, H, W, h): the inverse of `skew`, without the padding."""
    rows = torch.arange(height, device=h.device)[:, None].expand(height, wide)
    times = rows + torch.arange(wide, device=h.device)
    states = h.view(h.shape[0], h.shape[1], n, height + 1, -1)
    return states[times, :, :, rows + 1].permute(2, 3, 0, 1, 4)


def wide_floats(x: Tensor) -> Tensor:
    """Return `x` in float32 or better: a cell that adds up over hundreds of steps does so in no half precision."""
    return x if x.dtype == torch.float64 else x.float()


def initialise(states: nn.Parameter, fan: int) -> None:
    """Draw state-to-state weights as torch's LSTM does, uniformly within 1/√fan."""
    nn.init.uniform_(states, -(fan**-0.5), fan**-0.5)


class PixelRNN(PixelModel):
    """A 7×7 convolution with mask A, recurrent layers with residual connections, two 1×1 layers."""

    def _lay(self, config: PixelRNNConfig, layer: type[RowLSTM] | type[DiagonalBiLSTM]) -> None:
        channels, width = check_config(config), config.width
        self.stem = MaskedConv2d(channels, 2 * width, STEM, "A", channels)
        self.recurrent = nn.ModuleList([layer(width, channels, not index) for index in range(config.layers)])
        self.tail = tail(self, 2 * width, 2 * width)

    def _network(self, x: Tensor) -> Tensor:
        image, x = x, self.stem(x)  # (N, 2h, H, W)
        for layer in self.recurrent:
            x = layer(x, image)
        told: Tensor = self.tail[1](self.tail[0](x.relu()).relu())
        return told

    def _machine(self, n: int) -> Machine:
        layers = [self._cache(layer, n) for layer in self.recurrent]
        return RecurrentMachine(self.stem, layers, [cast(MaskedConv2d, conv) for conv in self.tail], n, self.image_shape)

    @abstractmethod
    def _cache(self, layer: nn.Module, n: int) -> RowCache | DiagonalCache:
        """Return the pixel by pixel form of a recurrent layer for `n` images."""


class PixelRNNRow(PixelRNN):
    """Exact p(x) by Row LSTMs; the context is a triangle above the pixel."""

    Config = PixelRNNConfig

    def __init__(self, config: PixelRNNConfig) -> None:
        super().__init__()
        self.config = config
        self._lay(config, RowLSTM)

    def _cache(self, layer: nn.Module, n: int) -> RowCache | DiagonalCache:
        found = cast(RowLSTM, layer)
        return RowCache(found.inputs, found.states, found.start, found.up, n, self.image_shape[1:])


class PixelRNNDiagonal(PixelRNN):
    """Exact p(x) by Diagonal BiLSTMs; every pixel sees all earlier ones."""

    Config = PixelRNNConfig

    def __init__(self, config: PixelRNNConfig) -> None:
        super().__init__()
        self.config = config
        self._lay(config, DiagonalBiLSTM)

    @property
    def full_context(self) -> bool:
        """True: the two directions cover both sides of everything above, whatever the size."""
        return True

    def _cache(self, layer: nn.Module, n: int) -> RowCache | DiagonalCache:
        found = cast(DiagonalBiLSTM, layer)
        return DiagonalCache(found.inputs, found.image, found.states, found.start, found.up, n, self.image_shape[1:])
