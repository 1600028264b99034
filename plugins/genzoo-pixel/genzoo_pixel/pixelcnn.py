"""PixelCNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks",
arXiv:1601.06759, sections 3.4 to 3.6).

A 7×7 convolution with mask A, residual blocks with mask B, two 1×1 layers. Masked square kernels cannot see
everything above a pixel: to its right a wedge stays hidden, the blind spot that the Gated PixelCNN removes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from genzoo.layers import is_hooked
from genzoo_pixel import layers
from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.masks import MaskedConv2d, bounds
from genzoo_pixel.sampler import CachedConv, Machine, Tail, pointwise

STEM = (4, 7)  # the rows of a 7×7 kernel that a mask leaves


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(PixelConfig):
    """What a PixelCNN is built from: nothing beyond the common keys. CIFAR-10 in the paper: layers=15,
    width=128.
    """


class Block(nn.Module):
    """Figure 5, left: x + 1×1(ReLU(3×3(ReLU(1×1(ReLU x))))), 2h → h → h → 2h."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.down = MaskedConv2d(2 * width, width, (1, 1), "B", groups)
        self.mix = MaskedConv2d(width, width, (2, 3), "B", groups)
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, 2h) to the same shape; see `layers.block`."""
        if any(is_hooked(part) for part in self.children()):  # such parts must be called
            inner: Tensor = self.down(x.permute(0, 3, 1, 2).relu())
            grown: Tensor = self.up(self.mix(inner.relu()).relu())
            return x + grown.permute(0, 2, 3, 1)
        return layers.block(
            x, self.down.product, (self.mix.masked, cast(Tensor, self.mix.bias)), self.up.product
        )


class PixelCNN(PixelModel):
    """Exact p(x) with masked convolutions; the context has the blind spot."""

    Config = PixelCNNConfig
    parts = (MaskedConv2d, Block)

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        self.config = config
        channels, width = check_config(config), config.width
        self.stem = MaskedConv2d(channels, 2 * width, STEM, "A", channels)
        self.blocks = nn.ModuleList([Block(width, channels) for _ in range(config.layers)])
        self.tail = tail(self, 2 * width, 2 * width)

    def _network(self, x: Tensor) -> Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)  # (N, H, W, 2h)
        for layer in self.blocks:
            x = layer(x)
        told: Tensor = self.tail[1](self.tail[0](x.permute(0, 3, 1, 2).relu()).relu())
        return told

    def _machine(self, n: int) -> Machine:
        return PixelCNNMachine(self, n)


class PixelCNNMachine(Machine):
    """The network above, pixel by pixel.

    What the 3×3 convolutions of all blocks read of the row above is one batched product per tap and row, what
    they read to the left one batched product per pixel. Everything is written into buffers made once; a
    column of ones carries the biases.
    """

    def __init__(self, model: PixelCNN, n: int) -> None:
        channels, height, wide = model.image_shape
        blocks, width = [cast(Block, block) for block in model.blocks], model.config.width
        depth, like = len(blocks), model.stem.weight.detach()
        self.wide, self.groups = wide, channels
        self.stem = CachedConv(model.stem, n, (height, wide))
        # (2, 3, L, h, h)
        kernels = torch.stack([block.mix.masked.detach() for block in blocks]).permute(3, 4, 0, 2, 1)
        self.over, self.left, here = kernels[0].contiguous(), kernels[1, 0].contiguous(), kernels[1, 1]
        # (L, 1, h)
        self.bias = torch.stack([cast(Tensor, block.mix.bias).detach() for block in blocks])[:, None]
        # what these convolutions read, one row each
        self.above, self.line = like.new_zeros(2, depth, wide + 2, n, width)
        self.base = like.new_zeros(depth, wide, n, width)
        self.mixed, self.inner = like.new_zeros(2, depth, n, width)
        self.stream = like.new_zeros(n, 2 * width)
        # after a ReLU, with a one
        self.opened = like.new_ones(depth, n, 1 + 2 * width)
        self.shown = like.new_ones(depth, n, 1 + width)
        edges, broad = bounds(width, channels), bounds(2 * width, channels)
        self.parts = [self.stream[:, broad[group] : broad[group + 1]] for group in range(channels)]
        self.plan = [
            [
                self._prepare(index, block, here[index], group, edges, broad)
                for index, block in enumerate(blocks)
            ]
            for group in range(channels)
        ]
        self.tail = Tail([cast(MaskedConv2d, conv) for conv in model.tail], n)

    def _prepare(
        self, index: int, block: Block, here: Tensor, group: int, edges: list[int], broad: list[int]
    ) -> tuple[Tensor, ...]:
        """Return the views and weights of a group's step through a block."""
        low, high = edges[group], edges[group + 1]
        opened, shown, inner = self.opened[index], self.shown[index], self.inner[index]
        down = (
            opened[:, 1 + broad[group] : 1 + broad[group + 1]],
            opened[:, : 1 + broad[group + 1]],
            pointwise(block.down, group),
        )
        mix = (
            inner[:, low:high],
            self.mixed[index, :, low:high],
            inner[:, :high],
            here[:high, low:high].contiguous(),
        )
        return *down, *mix, shown[:, 1 + low : 1 + high], shown[:, : 1 + high], pointwise(block.up, group)

    def begin(self, row: int) -> None:
        """Prepare what each convolution needs of the rows above."""
        self.stem.above(row)
        self.above, self.line = self.line, self.above
        base = self.base.flatten(1, 2).copy_(self.bias)
        for side, tap in enumerate(self.over if row else ()):
            base.baddbmm_(self.above[:, side : side + self.wide].flatten(1, 2), tap)

    def step(self, column: int, group: int) -> Tensor:
        """Return the parameters (n, P) of one channel of one pixel."""
        if group == 0 and column:
            torch.baddbmm(self.base[:, column], self.inner, self.left, out=self.mixed)
        elif group == 0:
            self.mixed.copy_(self.base[:, 0])
        stream = self.parts[group]
        stream.copy_(self.stem.at(column, group))
        for opened, seen, down, inner, mixed, read, here, shown, told, up in self.plan[group]:
            torch.clamp(stream, min=0, out=opened)
            torch.mm(seen, down, out=inner).clamp_(min=0)
            torch.clamp(mixed.addmm_(read, here), min=0, out=shown)
            stream.addmm_(told, up)
        if group + 1 == self.groups:
            self.line[:, column + 1] = self.inner
        return self.tail.step(stream, group)

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Tell the value of a channel to the stem, the only one that reads the image."""
        self.stem.put(column, group, value[:, None])
