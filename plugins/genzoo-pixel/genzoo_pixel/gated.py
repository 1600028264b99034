"""Gated PixelCNN (van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", arXiv:1606.05328, section 2).

Two stacks: the vertical one sees every row down to its own, the horizontal one sees its own row to the left. The vertical stack itself is
*not* shifted; what it tells the horizontal stack is, by one row, in every layer, so that nothing above a pixel stays unseen. The link
is taken before the vertical gate, and the horizontal stack never feeds the vertical one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.schema import limits
from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.layers import gate, gated
from genzoo_pixel.masks import MaskedConv2d, shift_down
from genzoo_pixel.sampler import CachedConv, Machine

FIRST, LATER = 7, 3  # sides of the kernels


@dataclass(frozen=True, kw_only=True)
class GatedPixelCNNConfig(PixelConfig):
    """What a Gated PixelCNN is built from, beyond the common keys.

    Attributes:
        layers: gated layers, the first with a 7×7 context.
        width: p of figure 2, features of each stack.
        hidden: features of the last 1×1 layer; None = 2 · width.
    """

    layers: int = field(default=8, metadata=limits(1, 100))
    width: int = field(default=32, metadata=limits(3, 1024))
    hidden: int | None = field(default=None, metadata=limits(3, 4096))


class GatedLayer(nn.Module):
    """Figure 2. The first layer reads the image: kernel 7, mask A, no residual connection, which would show a pixel itself."""

    def __init__(self, ins: int, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.first = first
        side = FIRST if first else LATER
        self.vertical = MaskedConv2d(ins, 2 * width, (side // 2 + 1, side), "rows", groups, parts=2)
        self.link = nn.Conv2d(2 * width, 2 * width, 1, bias=False)  # without a bias, shifting before or after it is the same
        self.horizontal = MaskedConv2d(ins, 2 * width, (1, side), "A" if first else "B", groups, parts=2)
        self.out = MaskedConv2d(width, width, (1, 1), "B", groups)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Map both stacks (N, H, W, p), the vertical one with a row of zeros on top, to the same shapes; see `gated`."""
        left, here = self.horizontal.masked[:, :, 0, :2].permute(2, 1, 0)
        joint = torch.cat([left, here, self.link.weight[:, :, 0, 0].t()])
        vbias, jbias = cast(Tensor, self.vertical.bias), cast(Tensor, self.horizontal.bias)
        return gated(v, h, (self.vertical.masked, vbias), (joint, jbias), self.out.product)

    def begin(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) to the two stacks, the first layer's way."""
        told = self.vertical(x)  # (N, 2p, H, W)
        h: Tensor = self.out(gate(self.horizontal(x) + shift_down(self.link(told))))
        return F.pad(gate(told).permute(0, 2, 3, 1), (0, 0, 0, 0, 1, 0)), h.permute(0, 2, 3, 1)


class GatedPixelCNN(PixelModel):
    """Exact p(x); with enough layers the context is complete."""

    Config = GatedPixelCNNConfig

    def __init__(self, config: GatedPixelCNNConfig) -> None:
        super().__init__()
        self.config: GatedPixelCNNConfig = config
        channels, width = check_config(config), config.width
        inputs = [channels] + [width] * (config.layers - 1)
        self.gated = nn.ModuleList([GatedLayer(ins, width, channels, not index) for index, ins in enumerate(inputs)])
        self.tail = tail(self, width, config.hidden or 2 * width)

    @property
    def full_context(self) -> bool:
        """Whether the layers reach every earlier pixel: 3 pixels the first, 1 each other, and the shift one more row up."""
        _, height, width = self.image_shape
        reach = FIRST // 2 + (LATER // 2) * (int(self.config.layers) - 1)
        return reach >= width - 1 and reach + 1 >= height - 1

    def _network(self, x: Tensor) -> Tensor:
        first, *later = (cast(GatedLayer, layer) for layer in self.gated)
        v, h = first.begin(x)
        for layer in later:
            v, h = layer(v, h)
        told: Tensor = self.tail[1](self.tail[0](h.permute(0, 3, 1, 2).relu()).relu())
        return told

    def _machine(self, n: int) -> Machine:
        return GatedMachine(self, n)


class GatedMachine(Machine):
    """The network above: one update of the vertical stack per row, one step of the horizontal stack per pixel."""

    def __init__(self, model: GatedPixelCNN, n: int) -> None:
        size = model.image_shape[1:]
        self.layers = [GatedCache(cast(GatedLayer, layer), n, size) for layer in model.gated]
        self.tail = [CachedConv(cast(MaskedConv2d, conv), n, size) for conv in model.tail]

    def begin(self, row: int) -> None:
        """Bring the vertical stack to the row above, now complete."""
        line: Tensor | None = None
        for layer in self.layers:
            line = layer.begin(row, line)
        for conv in self.tail:
            conv.above(row)

    def step(self, column: int, group: int) -> Tensor:
        """Return the parameters (n, P) of one channel of one pixel."""
        x: Tensor | None = None
        for layer in self.layers:
            x = layer.step(column, group, x)
        for conv in self.tail:
            conv.put(column, group, cast(Tensor, x).relu())
            x = conv.at(column, group)
        return cast(Tensor, x)

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Tell the value of a channel to the first layer's stacks."""
        self.layers[0].put(column, group, value[:, None])


class GatedCache:
    """One layer: the rows of its vertical input, the row of its horizontal input, and the link for the current row."""

    def __init__(self, layer: GatedLayer, n: int, size: tuple[int, int]) -> None:
        conv = layer.vertical
        self.first, self.tall, self.wide = layer.first, conv.kernel_size[0], conv.kernel_size[1]
        self.n, self.width, self.row = n, size[1], 0
        self.weight = conv.masked.detach().permute(2, 3, 1, 0).flatten(0, 2)  # (kh · kw · ins, 2p)
        self.bias = cast(Tensor, conv.bias).detach()
        self.link = layer.link.weight.detach()[:, :, 0, 0].t()
        self.rows = [layer.horizontal.rows(group) for group in range(layer.horizontal.channel_groups)]
        self.map = self.weight.new_zeros(n, size[0] + self.tall - 1, size[1] + self.wide - 1, conv.in_channels)
        self.linked = self.weight.new_zeros(n, size[1], conv.out_channels)
        self.horizontal, self.out = CachedConv(layer.horizontal, n, size), CachedConv(layer.out, n, size)

    def begin(self, row: int, line: Tensor | None) -> Tensor | None:
        """Take the row above of the vertical input (n, W, ins), None in the first layer; return that row of the vertical output."""
        self.row = row
        self.horizontal.above(row)
        self.out.above(row)
        if row == 0:
            return None  # nothing is above: the link is zero
        if line is not None:
            side = self.wide // 2
            self.map[:, row - 1 + self.tall - 1, side : side + self.width] = line
        window = self.map[:, row - 1 : row - 1 + self.tall].unfold(2, self.wide, 1)  # (n, kh, W, ins, kw)
        patches = window.permute(0, 2, 1, 4, 3).reshape(self.n * self.width, -1)
        told = (patches @ self.weight).add_(self.bias)  # (n · W, 2p)
        self.linked = (told @ self.link).view(self.n, self.width, -1)
        return gate(told).view(self.n, self.width, -1)

    def step(self, column: int, group: int, x: Tensor | None) -> Tensor:
        """Return a group of the horizontal output, of the same group of the input `x` (None: the image, told by `put`)."""
        if x is not None:
            self.horizontal.put(column, group, x)
        mixed = gate(self.horizontal.at(column, group) + self.linked[:, column, self.rows[group]])
        self.out.put(column, group, mixed)
        out = self.out.at(column, group)
        return out if x is None else x + out

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Write a value of the image into both stacks' inputs."""
        self.map[:, self.row + self.tall - 1, column + self.wide // 2, group] = value[:, 0]
        self.horizontal.put(column, group, value)
