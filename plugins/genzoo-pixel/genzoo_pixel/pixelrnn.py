"""PixelRNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks",
arXiv:1601.06759, sections 3.1 and 3.2).

Row LSTM: a row at a time, each cell reads three cells of the row above; its context is a triangle. Diagonal
BiLSTM: a diagonal at a time, from both upper corners; its context is complete. Initial states are learned.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.layers import is_hooked
from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.masks import MaskedConv2d, pointwise_weight
from genzoo_pixel.pixelcnn import STEM
from genzoo_pixel.recurrent import DiagonalCache, RecurrentMachine, RowCache
from genzoo_pixel.sampler import Machine
from genzoo_pixel.scan import Course, by_diagonals, by_rows, scan


@dataclass(frozen=True, kw_only=True)
class PixelRNNConfig(PixelConfig):
    """What a PixelRNN is built from: nothing beyond the common keys. CIFAR-10 in the paper: layers=12,
    width=128.
    """


class RowLSTM(nn.Module):
    """x + 1×1(Row LSTM(x)), 2h → h → 2h (figure 5, right)."""

    def __init__(self, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.inputs = MaskedConv2d(2 * width, 4 * width, (1, 3), "B", groups, parts=4)
        # from the cell to the left, straight, to the right above
        self.states = nn.Parameter(torch.empty(3, 1, width, 4 * width))
        self.start = nn.Parameter(torch.zeros(2, width))  # h and c of the row above the first
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)
        initialise(self.states, 3 * width)

    @staticmethod
    def course(height: int, wide: int) -> Course:
        """Return the order of the cells: row by row."""
        return by_rows(height, wide)

    def forward(self, x: Tensor, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (2h, H · W, N), cells in the order of the course, to the same shape; the image is not read."""
        width, (_, cells, n) = self.start.shape[1], x.shape
        left = F.pad(x.unflatten(1, size), (0, 0, 1, -1)).flatten(1, 2)  # what lies to the left of each cell
        if is_hooked(self.inputs):  # it must be called
            z = laid(self.inputs(x.unflatten(1, size).permute(3, 0, 1, 2)))[None]
        else:
            # (4h, 2 · 2h): from the left, from here
            weight = self.inputs.masked[:, :, 0, :2].transpose(1, 2).flatten(1)
            z = products(self.inputs.bias, weight[None], torch.cat([left, x])[None])  # (1, 4h, cells · N)
        first = self.start[0].expand(1, 3, width)
        h = scan(z, self.states, first, self.start[1:], self.course(*size), n)
        return residual(x, self.up, h[0].view(width, cells, n))


class DiagonalBiLSTM(nn.Module):
    """x + 1×1(Diagonal BiLSTM(x)), 2h → h → 2h (figure 5, right). Direction 0 goes right from the upper left
    corner, 1 goes left.

    Mask A hides each pixel from its own features, so the last pixel of a row would reach nobody to its left
    in the row below (83 of 84 earlier pixels at the middle of 13×13). The left-going direction of the first
    layer, which is read one row later, therefore reads the image as well.
    """

    def __init__(self, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.image = nn.Conv2d(groups, 4 * width, 1, bias=False) if first else None
        self.inputs = MaskedConv2d(2 * width, 8 * width, (1, 1), "B", groups, parts=8)
        self.states = nn.Parameter(torch.empty(2, 2, width, 4 * width))  # (beside or above, direction, h, 4h)
        # per direction: h and c beside the first column, h above the first row
        self.start = nn.Parameter(torch.zeros(2, 3, width))
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)
        initialise(self.states, 2 * width)

    @staticmethod
    def course(height: int, wide: int) -> Course:
        """Return the order of the cells: diagonal by diagonal from the upper left corner."""
        return by_diagonals(height, wide)

    def forward(self, x: Tensor, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (2h, H · W, N), cells in the order of the course, to the same shape; `image` (C, H · W, N) is
        what the network began with.
        """
        mirrored, lowered = turns(*size)
        if is_hooked(self.inputs):  # it must be called
            ways = [laid(self.inputs(upright(part))) for part in (x, moved(x, mirrored))]
            z = torch.stack([ways[0].chunk(2)[0], ways[1].chunk(2)[1]])
        else:
            weight = self.inputs.masked[:, :, 0, 0].unflatten(0, (2, -1))  # (direction, 4h, 2h)
            # (direction, 4h, cells · N)
            z = products(self.inputs.bias, weight, torch.stack([x, moved(x, mirrored)]))
        if self.image is not None:
            part = moved(image, mirrored)
            seen = (
                laid(self.image(upright(part)))
                if is_hooked(self.image)
                else pointwise_weight(self.image) @ part.flatten(1)
            )
            z = torch.stack([z[0], z[1] + seen])
        width, (_, cells, n) = self.start.shape[2], x.shape
        h = scan(z, self.states, self.start[:, [0, 2]], self.start[:, 1], self.course(*size), n)
        right, left = h.view(2, width, cells, n)
        # A pixel may not see what lies to its right in its own row: the left-going map is read one row later.
        return residual(x, self.up, right + moved(left, lowered))


def products(bias: Tensor | None, weight: Tensor, x: Tensor) -> Tensor:
    """Return bias + weight · x, (D, outs, cells · N), for D directions: bias (D · outs), weight (D, outs,
    ins), x (D, ins, cells, N).
    """
    return torch.baddbmm(cast(Tensor, bias).view(len(weight), -1, 1), weight, x.flatten(2))


def residual(x: Tensor, up: MaskedConv2d, h: Tensor) -> Tensor:
    """Return x + up(h) for x (2h, cells, N) and h (h, cells, N)."""
    if is_hooked(up):  # it must be called
        return x + laid(up(upright(h))).view_as(x)
    weight = up.masked[:, :, 0, 0]
    return x + torch.addmm(cast(Tensor, up.bias)[:, None], weight, h.flatten(1)).view_as(x)


def upright(x: Tensor) -> Tensor:
    """Return `x` (features, cells, N) as a map (N, features, cells, 1)."""
    return x.permute(2, 0, 1)[..., None]


def laid(maps: Tensor) -> Tensor:
    """Return maps (N, features, ·, ·) as (features, cells · N)."""
    return maps.flatten(2).permute(1, 2, 0).flatten(1)


@dataclass(frozen=True)
class Turn:
    """A rearrangement of cells: place j is taken from `there[j]` (-1: zero), and what was at i goes to
    `back[i]` (-1: nowhere).
    """

    there: Tensor
    back: Tensor


@functools.lru_cache(maxsize=64)
def turns(height: int, wide: int) -> tuple[Turn, Turn]:
    """Return two turns of cells in the order of `by_diagonals`: a map to its mirror image, and a mirror image
    to the map, one row lower.
    """
    order = by_diagonals(height, wide).order
    place = {at: j for j, at in enumerate(order)}
    mirrored = [place[at - at % wide + wide - 1 - at % wide] for at in order]
    above = [mirrored[place[at - wide]] if at >= wide else -1 for at in order]
    below = [place[at + wide] if at + wide < height * wide else -1 for at in order]
    with torch.inference_mode(False):  # kept for later calls, which may learn
        there, lower, back = (
            torch.tensor(cells, device="cpu") for cells in (mirrored, above, [below[j] for j in mirrored])
        )
    return Turn(there, there), Turn(lower, back)


class Moved(torch.autograd.Function):
    """`moved`: its gradient is the turn back, a copy like itself, where autograd would add up cell by
    cell.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        """Return `x` (features, cells, N) rearranged."""
        ctx.save_for_backward(there, back)
        taken = x.index_select(1, there.clamp(min=0))
        if bool((there < 0).any()):
            taken[:, there < 0] = 0
        return taken

    @staticmethod
    def backward(ctx: Any, grown: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of `x`."""
        there, back = ctx.saved_tensors
        return Moved.apply(grown, back, there), None, None  # type: ignore[no-untyped-call]


def moved(x: Tensor, turn: Turn) -> Tensor:
    """Return `x` (features, cells, N) rearranged."""
    found: Tensor = Moved.apply(x, turn.there.to(x.device), turn.back.to(x.device))  # type: ignore[no-untyped-call]
    return found


def wide_floats(x: Tensor) -> Tensor:
    """Return `x` in float32 or better."""
    return x if x.dtype == torch.float64 else x.float()


def initialise(states: nn.Parameter, fan: int) -> None:
    """Draw state-to-state weights as torch's LSTM does, uniformly within 1/√fan."""
    nn.init.uniform_(states, -(fan**-0.5), fan**-0.5)


class PixelRNN(PixelModel):
    """A 7×7 convolution with mask A, recurrent layers with residual connections, two 1×1 layers."""

    parts = (MaskedConv2d, nn.Conv2d, RowLSTM, DiagonalBiLSTM)

    def _lay(self, config: PixelRNNConfig, layer: type[RowLSTM] | type[DiagonalBiLSTM]) -> None:
        channels, width = check_config(config), config.width
        self.stem = MaskedConv2d(channels, 2 * width, STEM, "A", channels)
        self.recurrent = nn.ModuleList([layer(width, channels, not index) for index in range(config.layers)])
        self.tail = tail(self, 2 * width, 2 * width)

    def _network(self, x: Tensor) -> Tensor:
        size = (x.shape[2], x.shape[3])
        image, features = wide_floats(x), wide_floats(self.stem(x))  # (N, C, H, W) and (N, 2h, H, W)
        order = torch.tensor(
            cast(RowLSTM | DiagonalBiLSTM, self.recurrent[0]).course(*size).order, device=x.device
        )
        laid, again = Turn(order, order.argsort()), Turn(order.argsort(), order)
        # (features, cells, N) in float32: what is added up over hundreds of steps is so in no half precision.
        # Products may be.
        inside, seen = (moved(part.flatten(2).permute(1, 2, 0), laid) for part in (features, image))
        for layer in self.recurrent:
            inside = layer(inside, seen, size)
        features = moved(inside, again).permute(2, 0, 1).unflatten(2, size)
        told: Tensor = self.tail[1](self.tail[0](features.relu()).relu())
        return told

    def _machine(self, n: int) -> Machine:
        layers = [self._cache(layer, n) for layer in self.recurrent]
        return RecurrentMachine(
            self.stem, layers, [cast(MaskedConv2d, conv) for conv in self.tail], n, self.image_shape
        )

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
        return DiagonalCache(
            found.inputs, found.image, found.states, found.start, found.up, n, self.image_shape[1:]
        )
