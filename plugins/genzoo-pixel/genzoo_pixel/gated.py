"""Gated PixelCNN (van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders",
arXiv:1606.05328, section 2).

Two stacks: the vertical one sees all rows down to its own, the horizontal one its own row to the left. The
vertical stack itself is *not* shifted. Its output to the horizontal stack is shifted by one row, in every
layer, so that no pixel above stays unseen. The link comes before the vertical gate, and the horizontal stack
never feeds the vertical one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from genzoo.schema import limits
from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.equations import gate
from genzoo_pixel.fast import gated as fast
from genzoo_pixel.fast.gated import FIRST
from genzoo_pixel.fast.sampler import Machine
from genzoo_pixel.fast.swap import faster
from genzoo_pixel.masks import MaskedConv2d, shift_down

LATER = 3  # side of all kernels but the first layer's


@dataclass(frozen=True, kw_only=True)
class GatedPixelCNNConfig(PixelConfig):
    """Config of a Gated PixelCNN: the common keys and `hidden`.

    Attributes:
        layers: number of gated layers; the first has a 7×7 context.
        width: p of figure 2, features of each stack.
        hidden: features of the last 1×1 layer; None = 2 · width.
    """

    layers: int = field(default=8, metadata=limits(1, 100))
    width: int = field(default=32, metadata=limits(3, 1024))
    hidden: int | None = field(default=None, metadata=limits(3, 4096))


class GatedLayer(nn.Module):
    """A layer as in figure 2. The first one reads the image: kernel 7, mask A, and no residual connection,
    which would show a pixel its own value.
    """

    def __init__(self, ins: int, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.first = first
        side = FIRST if first else LATER
        self.vertical = MaskedConv2d(ins, 2 * width, (side // 2 + 1, side), "rows", groups, parts=2)
        # without a bias, it does not matter whether the shift comes before or after
        self.link = nn.Conv2d(2 * width, 2 * width, 1, bias=False)
        self.horizontal = MaskedConv2d(ins, 2 * width, (1, side), "A" if first else "B", groups, parts=2)
        self.out = MaskedConv2d(width, width, (1, 1), "B", groups)

    @faster(fast.layer)
    def forward(self, v: Tensor, h: Tensor, *condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map both stacks (N, p, H, W) to stacks of the same shape; the first layer gets the image twice."""
        vertical, horizontal = self.gates(v, h, *condition)
        out: Tensor = self.out(gate(horizontal))
        return gate(vertical), out if self.first else h + out

    def gates(self, v: Tensor, h: Tensor, *condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return the arguments of tanh and σ in the two stacks, (N, 2p, H, W) each."""
        gates = self.vertical(v)
        return gates, self.horizontal(h) + shift_down(self.link(gates))

    def offsets(self, *condition: Tensor) -> tuple[Tensor, ...]:
        """Return what the condition of each image adds to the gates of the two stacks, (N, 2p) each; () in a
        layer without one.
        """
        return ()


class GatedPixelCNN(PixelModel):
    """Exact p(x); the context is complete if there are enough layers."""

    Config = GatedPixelCNNConfig
    parts: ClassVar[tuple[type[nn.Module], ...]] = (MaskedConv2d, nn.Conv2d, GatedLayer)

    def __init__(self, config: GatedPixelCNNConfig) -> None:
        super().__init__()
        self.config: GatedPixelCNNConfig = config
        channels, width = check_config(config), config.width
        inputs = [channels] + [width] * (config.layers - 1)
        self.gated = nn.ModuleList(
            [self._layer(ins, width, channels, not index) for index, ins in enumerate(inputs)]
        )
        self.tail = tail(self, width, config.hidden or 2 * width)

    @property
    def full_context(self) -> bool:
        """Whether the layers reach every earlier pixel: the first reaches 3 pixels, each other one 1, and the
        shift one more row up.
        """
        _, height, width = self.image_shape
        reach = FIRST // 2 + (LATER // 2) * (int(self.config.layers) - 1)
        return reach >= width - 1 and reach + 1 >= height - 1

    @faster(fast.network)
    def _network(self, x: Tensor, *condition: Tensor) -> Tensor:
        v = h = x
        for layer in self.gated:
            v, h = layer(v, h, *condition)
        return self.outputs_of(h)

    def _machine(self, n: int, *condition: Tensor) -> Machine:
        return fast.GatedMachine(self, n, *condition)

    def _layer(self, ins: int, width: int, groups: int, first: bool) -> GatedLayer:
        return GatedLayer(ins, width, groups, first)
