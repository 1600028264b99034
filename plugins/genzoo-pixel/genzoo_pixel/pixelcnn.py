"""PixelCNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", arXiv:1601.06759, sections 3.4 to 3.6).

A 7×7 convolution with mask A, residual blocks with mask B, two 1×1 layers. Masked square kernels cannot see everything above a pixel:
to its right a wedge stays hidden, the blind spot that the Gated PixelCNN removes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from genzoo_pixel import layers
from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.masks import MaskedConv2d
from genzoo_pixel.sampler import CachedConv, Machine

STEM = (4, 7)  # the rows of a 7×7 kernel that a mask leaves


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(PixelConfig):
    """What a PixelCNN is built from: nothing beyond the common keys. CIFAR-10 in the paper: layers=15, width=128."""


class Block(nn.Module):
    """Figure 5, left: x + 1×1(ReLU(3×3(ReLU(1×1(ReLU x))))), 2h → h → h → 2h."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.down = MaskedConv2d(2 * width, width, (1, 1), "B", groups)
        self.mix = MaskedConv2d(width, width, (2, 3), "B", groups)
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, 2h) to the same shape; see `layers.block`."""
        return layers.block(x, self.down.product, (self.mix.masked, cast(Tensor, self.mix.bias)), self.up.product)


class PixelCNN(PixelModel):
    """Exact p(x) with masked convolutions; the context has the blind spot."""

    Config = PixelCNNConfig

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
    """The network above, pixel by pixel."""

    def __init__(self, model: PixelCNN, n: int) -> None:
        size = model.image_shape[1:]
        self.stem = CachedConv(model.stem, n, size)
        parts = [[block.down, block.mix, block.up] for block in model.blocks]
        self.blocks = [[CachedConv(conv, n, size) for conv in block] for block in parts]  # type: ignore[arg-type]
        self.tail = [CachedConv(conv, n, size) for conv in model.tail]  # type: ignore[arg-type]

    def begin(self, row: int) -> None:
        """Prepare what each convolution needs of the rows above."""
        for conv in (self.stem, *(conv for block in self.blocks for conv in block), *self.tail):
            conv.above(row)

    def step(self, column: int, group: int) -> Tensor:
        """Return the parameters (n, P) of one channel of one pixel."""
        x = self.stem.at(column, group)
        for block in self.blocks:
            inner = x
            for conv in block:
                conv.put(column, group, inner.relu())
                inner = conv.at(column, group)
            x = x + inner
        for conv in self.tail:
            conv.put(column, group, x.relu())
            x = conv.at(column, group)
        return x

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Tell the value of a channel to the stem, the only one that reads the image."""
        self.stem.put(column, group, value[:, None])
