"""Toy pixel models, honest by default; each keyword that is not in the config plants a bug that has been
published."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import pad

from genzoo.devices import widest
from genzoo.models import AutoregressiveModel
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class PixelConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    levels: int = field(default=2, metadata=limits(2, 256))
    width: int = field(default=3, metadata=limits(1, 64))


class PixelToy(AutoregressiveModel):
    """A softmax over the levels of each dimension; `_network` (N, C · levels, H, W) is the subclass's."""

    Config = PixelConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.build(config.image_shape[0], config.width, config.levels)

    @property
    def levels(self):
        return self.config.levels

    def _predict(self, x):
        return self._network(2 * x - 1).unflatten(1, (self.image_shape[0], self.levels)).transpose(1, 2)

    def _log_mass(self, params, level):
        return params.log_softmax(1).gather(1, level[:, None])[:, 0]

    def _quantile(self, params, u):
        return (params.to(widest(params.device)).softmax(1).cumsum(1)[:, :-1] < u[:, None]).sum(1)


def weights(*shape, size=0.6):
    return nn.Parameter(size * torch.randn(*shape))


def masked(weight, kind, groups):
    """Return a kernel (O, I, k, k) that sees nothing of what comes later: rows above, pixels to the left, and
    earlier colours."""
    outs, ins, size, _ = weight.shape
    mask, middle = torch.zeros_like(weight), size // 2
    mask[:, :, :middle] = 1
    mask[:, :, middle, :middle] = 1
    of, to = torch.arange(outs)[:, None] * groups // outs, torch.arange(ins)[None] * groups // ins
    mask[:, :, middle, middle] = {"A": to < of, "B": to <= of, "none": to < 0}[kind].float()
    return weight * mask


class ToyCNN(PixelToy):
    """Two masked convolutions: some earlier pixels are not seen, and it does not claim to see them."""

    first, second = "A", "B"

    def build(self, channels, width, levels):
        self.into = weights(channels * width, channels, 3, 3)
        self.out = weights(channels * levels, channels * width, 3, 3)

    def _network(self, x):
        channels = self.image_shape[0]
        hidden = torch.tanh(nn.functional.conv2d(x, masked(self.into, self.first, channels), padding=1))
        return nn.functional.conv2d(hidden, masked(self.out, self.second, channels), padding=1)


class LeakyCNN(ToyCNN):
    """Mask B in the first layer."""

    first = "B"


class ColourlessCNN(ToyCNN):
    """The colour order lost: green never sees red."""

    first = second = "none"


class ToyGated(PixelToy):
    """Two stacks: the vertical one sees rows ≤ r and only its link to the horizontal one is shifted, so every
    earlier pixel is seen."""

    full_context = True
    layers, shifted = 7, False

    def build(self, channels, width, levels):
        self.vertical = nn.ParameterList(
            [weights(width, width if i else channels, 2, 3) for i in range(self.layers)]
        )
        self.left, self.out = weights(width, channels, 1, 7), weights(levels * channels, width, 1, 1)

    def _network(self, x):
        v, link = x, 0
        for weight in self.vertical:
            rows = pad(v, (1, 1, 2, 0))[:, :, :-1] if self.shifted else pad(v, (1, 1, 1, 0))
            v = torch.tanh(nn.functional.conv2d(rows, weight))
            link = link + (v if self.shifted else pad(v, (0, 0, 1, 0))[:, :, :-1])
        h = torch.tanh(nn.functional.conv2d(pad(x, (7, 0))[..., :-1], self.left) + link)
        return nn.functional.conv2d(h, self.out)


class BlindGated(ToyGated):
    """The vertical stack itself shifted: of the rows just above only the nearest pixels are seen."""

    shifted = True


class ToyDiagonal(PixelToy):
    """A recurrent net along both diagonals, as in PixelRNN but for the gates."""

    full_context = True
    down, padding = True, (1, 0)

    def build(self, channels, width, levels):
        self.into = weights(2, width, channels)
        self.state = weights(2, width, width, 2)
        self.out = weights(levels * channels, width)

    def scan(self, x, into, state):
        """Return states (N, F, H, W): column by column of the skewed map, each row one step behind the row
        above it."""
        height, width = x.shape[2:]
        # (N, C, H, W + H - 1)
        skewed = torch.stack([pad(x[:, :, row], (row, height - 1 - row)) for row in range(height)], 2)
        before, columns = x.new_zeros(len(x), len(into), height), []
        for t in range(width + height - 1):
            around = nn.functional.conv1d(pad(before, self.padding), state)
            before = torch.tanh(torch.einsum("fc,nch->nfh", into, skewed[..., t]) + around)
            columns.append(before)
        states = torch.stack(columns, 3)
        return torch.stack([states[:, :, row, row : row + width] for row in range(height)], 2)

    def _network(self, x):
        left = self.scan(pad(x, (1, 0))[..., :-1], self.into[0], self.state[0])
        right = self.scan(x.flip(3), self.into[1], self.state[1]).flip(3)
        right = pad(right, (0, 0, 1, 0))[:, :, :-1] if self.down else right
        return torch.einsum("of,nfhw->nohw", self.out, left + right)


class UnshiftedDiagonal(ToyDiagonal):
    """The states from right to left not shifted down one row."""

    down = False


class SameDiagonal(ToyDiagonal):
    """The kernel of two rows padded at the bottom, as "same" does for even kernels."""

    padding = (0, 1)
