"""Gated PixelCNN (van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders",
arXiv:1606.05328, section 2).

Two stacks: the vertical one sees every row down to its own, the horizontal one sees its own row to the left.
The vertical stack itself is *not* shifted; what it tells the horizontal stack is, by one row, in every layer,
so that nothing above a pixel stays unseen. The link is taken before the vertical gate, and the horizontal
stack never feeds the vertical one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.layers import is_hooked
from genzoo.schema import limits
from genzoo_pixel.base import PixelConfig, PixelModel, check_config, tail
from genzoo_pixel.layers import gate, gated
from genzoo_pixel.masks import MaskedConv2d, bounds, pointwise_weight, shift_down
from genzoo_pixel.sampler import Machine, Tail, pointwise

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
    """Figure 2. The first layer reads the image: kernel 7, mask A, no residual connection, which would show a
    pixel itself.
    """

    def __init__(self, ins: int, width: int, groups: int, first: bool) -> None:
        super().__init__()
        self.first = first
        side = FIRST if first else LATER
        self.vertical = MaskedConv2d(ins, 2 * width, (side // 2 + 1, side), "rows", groups, parts=2)
        # without a bias, shifting before or after it is the same
        self.link = nn.Conv2d(2 * width, 2 * width, 1, bias=False)
        self.horizontal = MaskedConv2d(ins, 2 * width, (1, side), "A" if first else "B", groups, parts=2)
        self.out = MaskedConv2d(width, width, (1, 1), "B", groups)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Map both stacks (N, H, W, p), the vertical one with a row of zeros on top, to the same shapes; see
        `gated`.
        """
        if any(is_hooked(part) for part in self.children()):  # such parts must be called
            return self._called(v, h)
        left, here = self.horizontal.masked[:, :, 0, :2].permute(2, 1, 0)
        joint = torch.cat([left, here, pointwise_weight(self.link).t()])
        vertical = self.vertical.masked
        vbias, jbias = cast(Tensor, self.vertical.bias), cast(Tensor, self.horizontal.bias)
        return gated(v, h, (vertical, vbias), (joint, jbias), self.out.product)

    def _called(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        told = self.vertical(v[:, 1:].permute(0, 3, 1, 2))  # (N, 2p, H, W)
        gates = self.horizontal(h.permute(0, 3, 1, 2)) + shift_down(self.link(told))
        return F.pad(gate(told).permute(0, 2, 3, 1), (0, 0, 0, 0, 1, 0)), h + self.out(gate(gates)).permute(
            0, 2, 3, 1
        )

    def begin(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) to the two stacks, the first layer's way."""
        told = self.vertical(x)  # (N, 2p, H, W)
        h: Tensor = self.out(gate(self.horizontal(x) + shift_down(self.link(told))))
        return F.pad(gate(told).permute(0, 2, 3, 1), (0, 0, 0, 0, 1, 0)), h.permute(0, 2, 3, 1)


class GatedPixelCNN(PixelModel):
    """Exact p(x); with enough layers the context is complete."""

    Config = GatedPixelCNNConfig
    parts = (MaskedConv2d, nn.Conv2d, GatedLayer)

    def __init__(self, config: GatedPixelCNNConfig) -> None:
        super().__init__()
        self.config: GatedPixelCNNConfig = config
        channels, width = check_config(config), config.width
        inputs = [channels] + [width] * (config.layers - 1)
        self.gated = nn.ModuleList(
            [GatedLayer(ins, width, channels, not index) for index, ins in enumerate(inputs)]
        )
        self.tail = tail(self, width, config.hidden or 2 * width)

    @property
    def full_context(self) -> bool:
        """Whether the layers reach every earlier pixel: 3 pixels the first, 1 each other, and the shift one
        more row up.
        """
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
    """The network above: one update of the vertical stack per row, one step of the horizontal stack per
    pixel.

    tanh(a) · σ(b) = σ(b) - 2 σ(-2a) σ(b), so the weights that give a are scaled by -2 once, and one call
    opens all gates of a layer. Gates are laid out group after group, each with its a and its b. Everything is
    written into buffers made once.
    """

    def __init__(self, model: GatedPixelCNN, n: int) -> None:
        (channels, _, wide), width, depth = model.image_shape, model.config.width, model.config.layers
        layers = [cast(GatedLayer, layer) for layer in model.gated]
        like = layers[0].link.weight.detach()
        self.wide, self.width, self.edges = wide, width, bounds(width, channels)
        self.vertical = [Vertical(layer, n, wide) for layer in layers]
        # (4, 1, C, 2p): what a value gives to its own column and the three after it
        self.near = _taps(layers[0]).flip(0)[:, None]
        # gates of the row's pixels, without what their own row gives
        self.base = like.new_zeros(depth, wide + FIRST // 2, n, 2 * width)
        self.gates = like.new_zeros(depth, n, 2 * width)  # of the current pixel
        # h before each layer and after the last, of the pixel to the left and this
        self.streams = like.new_zeros(depth + 1, n, 2 * width)
        self.mixed = like.new_ones(depth, n, 1 + width)  # with a one for the bias
        self.plan = [
            [self._prepare(index, layer, group) for index, layer in enumerate(layers)]
            for group in range(channels)
        ]
        self.tail = Tail([cast(MaskedConv2d, conv) for conv in model.tail], n)

    def _prepare(self, index: int, layer: GatedLayer, group: int) -> tuple[Tensor, ...]:
        """Return the views and weights of a group's step through a layer."""
        low, high = self.edges[group], self.edges[group + 1]
        gates, middle = self.gates[index, :, 2 * low : 2 * high], high - low
        read = self.streams[index, :, : self.width + high]
        before = self.streams[index, :, self.width + low : self.width + high]
        after, mixed = self.streams[index + 1, :, self.width + low : self.width + high], self.mixed[index]
        weight = _taps(layer)[-2:].flatten(0, 1)[: self.width + high, 2 * low : 2 * high].contiguous()
        opened = (gates, gates[:, :middle], gates[:, middle:], mixed[:, 1 + low : 1 + high])
        return read, weight, *opened, mixed[:, : 1 + high], pointwise(layer.out, group), before, after

    def begin(self, row: int) -> None:
        """Bring the vertical stack to the row above, now complete."""
        line: Tensor | None = None
        for layer, base in zip(self.vertical, self.base, strict=True):
            line = layer.begin(row, line, base[: self.wide])

    def step(self, column: int, group: int) -> Tensor:
        """Return the parameters (n, P) of one channel of one pixel."""
        if group == 0:
            self.gates.copy_(self.base[:, column])
            if column:
                self.streams[..., : self.width] = self.streams[..., self.width :]
            else:
                self.streams[..., : self.width] = 0
        for index, (read, weight, gates, a, b, place, mixed, out, before, after) in enumerate(
            self.plan[group]
        ):
            if index:
                gates.addmm_(read, weight)
            else:
                # `put` told the channels before
                gates.copy_(self.base[0, column, :, 2 * self.edges[group] : 2 * self.edges[group + 1]])
            gates.sigmoid_()
            torch.addcmul(b, a, b, value=-2, out=place)
            if index:
                torch.addmm(before, mixed, out, out=after)
            else:
                torch.mm(mixed, out, out=after)
        return self.tail.step(after, group)

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Tell the value of a channel to the first layer: to its vertical stack, and to the gates that see it
        in this row.
        """
        self.vertical[0].put(column, group, value)
        reach = self.base[0, column : column + len(self.near)]
        reach.addcmul_(value[:, None], self.near[:, :, group])


class Vertical:
    """A layer's vertical stack, and what it tells the horizontal one: the rows of its input that its kernel
    reaches.
    """

    def __init__(self, layer: GatedLayer, n: int, wide: int) -> None:
        conv = layer.vertical
        self.tall, self.span, self.wide = conv.kernel_size[0], conv.kernel_size[1], wide
        scale, order = _scale(conv), _order(conv)
        weight = conv.masked.detach() * scale[:, None, None, None]
        self.taps = weight.permute(2, 3, 1, 0).contiguous()  # (kh, kw, ins, 2p)
        self.bias = cast(Tensor, conv.bias).detach() * scale
        link = pointwise_weight(layer.link).detach() * scale[:, None] / scale
        self.link = link[order].t().contiguous()
        self.constant = (cast(Tensor, layer.horizontal.bias).detach() * scale)[order]
        # row r is in place r % kh, padded at both sides
        self.lines = weight.new_zeros(self.tall, wide + self.span - 1, n, conv.in_channels)
        self.told = weight.new_zeros(wide * n, conv.out_channels)
        self.half, self.row = conv.out_channels // 2, 0

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Write a value of the image, the first layer's input, into the current row."""
        self.lines[self.row % self.tall, column + self.span // 2, :, group] = value

    def begin(self, row: int, line: Tensor | None, base: Tensor) -> Tensor | None:
        """Take the row above of the vertical input (W, n, ins), None in the first layer; return that row of
        the vertical output.

        What the horizontal stack is told, its bias added, is written into `base` (W, n, 2p).
        """
        self.row = row
        if row == 0:
            base.copy_(self.constant)  # nothing is above: the link is zero
            return None
        if line is not None:
            self.lines[(row - 1) % self.tall, self.span // 2 : self.span // 2 + self.wide] = line
        self.told.copy_(self.bias)
        for up, taps in enumerate(self.taps):
            read = self.lines[(row + up) % self.tall]
            for side, tap in enumerate(taps):
                self.told.addmm_(read[side : side + self.wide].flatten(0, 1), tap)
        torch.addmm(self.constant, self.told, self.link, out=base.flatten(0, 1))
        a, b = self.told.sigmoid_().chunk(2, 1)
        return torch.addcmul(b, a, b, value=-2).view(self.wide, -1, self.half)


def _scale(conv: MaskedConv2d) -> Tensor:
    """Return what the outputs (a, b) of `conv` are scaled by: tanh(a) = 1 - 2 σ(-2a)."""
    return conv.weight.new_tensor([-2.0, 1.0]).repeat_interleave(conv.out_channels // 2)


def _order(conv: MaskedConv2d) -> Tensor:
    """Return the outputs (a, b) of `conv` group after group."""
    return torch.cat(
        [
            torch.arange(conv.out_channels, device=conv.weight.device)[conv.rows(group)]
            for group in range(conv.channel_groups)
        ]
    )


def _taps(layer: GatedLayer) -> Tensor:
    """Return the open taps of the horizontal kernel, the pixel's own last: (taps, ins, 2p), scaled, outputs
    group after group.
    """
    conv = layer.horizontal
    weight = (conv.masked.detach() * _scale(conv)[:, None, None, None])[
        _order(conv), :, 0, : conv.kernel_size[1] // 2 + 1
    ]
    return weight.permute(2, 1, 0).contiguous()
