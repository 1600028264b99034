"""PixelCNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks",
arXiv:1601.06759, sections 3.4 to 3.6).

A 7×7 convolution with mask A, residual blocks with mask B, two 1×1 layers. Masked square kernels miss a
wedge above a pixel, to its right: the blind spot, which the Gated PixelCNN removes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.fast import cnn
from genzoo_pixel.fast.sampler import Machine
from genzoo_pixel.fast.swap import faster
from genzoo_pixel.masks import MaskedConv2d

STEM = (4, 7)  # rows of a 7×7 kernel that the mask keeps


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(PixelConfig):
    """Config of a PixelCNN: the common keys. The paper's CIFAR-10 model: layers=15, width=128."""


class Block(nn.Module):
    """Figure 5, left: x + 1×1(ReLU(3×3(ReLU(1×1(ReLU x))))), 2h → h → h → 2h."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.down = MaskedConv2d(2 * width, width, (1, 1), "B", groups)
        self.mix = MaskedConv2d(width, width, (2, 3), "B", groups)
        self.up = MaskedConv2d(width, 2 * width, (1, 1), "B", groups)

    @faster(cnn.block)
    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 2h, H, W) to the same shape."""
        inner: Tensor = self.mix(self.down(x.relu()).relu())
        grown: Tensor = self.up(inner.relu())
        return x + grown


class PixelCNN(PixelModel):
    """Exact p(x) with masked convolutions; the context has a blind spot."""

    Config = PixelCNNConfig
    parts = (MaskedConv2d, Block)

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        self.config = config
        channels, width = check_config(config), config.width
        self.stem = MaskedConv2d(channels, 2 * width, STEM, "A", channels)
        self.blocks = nn.ModuleList([Block(width, channels) for _ in range(config.layers)])
        self.tail = tail(self, 2 * width, 2 * width)

    @faster(cnn.network)
    def _network(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # (N, 2h, H, W)
        for block in self.blocks:
            x = block(x)
        return self.outputs_of(x)

    def _machine(self, n: int) -> Machine:
        return cnn.PixelCNNMachine(self, n)
