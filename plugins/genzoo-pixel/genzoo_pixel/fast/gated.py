"""A fast Gated PixelCNN: maps with features last, and a machine that samples pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from genzoo_pixel.fast import layers
from genzoo_pixel.fast.sampler import Machine, Tail, pointwise
from genzoo_pixel.fast.swap import way_of
from genzoo_pixel.masks import MaskedConv2d, bounds, pointwise_weight

if TYPE_CHECKING:
    from genzoo_pixel.gated import GatedLayer, GatedPixelCNN

FIRST = 7  # side of the first layer's kernels


def network(model: GatedPixelCNN, x: Tensor, *condition: Tensor) -> Tensor:
    """Return `GatedPixelCNN._network(x)` for images (N, C, H, W) in [-1, 1]."""
    first, *later = model.gated
    v, h = _last(*first(x, x, *condition))
    for layer in later:
        way = way_of(layer)
        if way:
            v, h = way(layer, v, h, *condition)
        else:
            v, h = _last(*layer(v[:, 1:].permute(0, 3, 1, 2), h.permute(0, 3, 1, 2), *condition))
    return model.outputs_of(h.permute(0, 3, 1, 2))


def _last(v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return both stacks, (N, p, H, W), with features last; the vertical one has a row of zeros on top."""
    return F.pad(v.permute(0, 2, 3, 1), (0, 0, 0, 0, 1, 0)), h.permute(0, 2, 3, 1)


def layer(part: GatedLayer, v: Tensor, h: Tensor, *condition: Tensor) -> tuple[Tensor, Tensor]:
    """Return `GatedLayer.forward` of any layer but the first, on stacks in the layout of `_last`."""
    left, here = part.horizontal.masked[:, :, 0, :2].permute(2, 1, 0)
    joint = torch.cat([left, here, pointwise_weight(part.link).t()])
    vertical = part.vertical.masked
    vbias, jbias = cast(Tensor, part.vertical.bias), cast(Tensor, part.horizontal.bias)
    offsets = part.offsets(*condition)
    return layers.gated(v, h, (vertical, vbias), (joint, jbias), part.out.product, offsets=offsets)


class Step(NamedTuple):
    """The views and weights of one channel group's step through a layer."""

    read: Tensor  # h of the pixel to the left, and of this pixel up to the group
    weight: Tensor
    gates: Tensor  # gates of the group: a, then b
    a: Tensor
    b: Tensor
    place: Tensor  # buffer for tanh(a) · σ(b)
    mixed: Tensor  # a one for the bias, then the same of the groups up to this
    out: Tensor
    before: Tensor  # h of the group, before the layer and after it
    after: Tensor


class GatedMachine(Machine):
    """The Gated PixelCNN computed pixel by pixel: one update of the vertical stack per row, one step of the
    horizontal stack per pixel.

    tanh(a) · σ(b) = σ(b) - 2 σ(-2a) σ(b), so the weights of a are scaled by -2 once, and one sigmoid call
    computes all gates of a layer. Gates are stored group after group, a before b. All buffers are allocated
    once.
    """

    def __init__(self, model: GatedPixelCNN, n: int, *condition: Tensor) -> None:
        (channels, _, wide), width, depth = model.image_shape, model.config.width, model.config.layers
        layers = [cast("GatedLayer", layer) for layer in model.gated]
        like = layers[0].link.weight.detach()
        self.wide, self.width, self.edges = wide, width, bounds(width, channels)
        self.vertical = [Vertical(layer, n, wide, *condition) for layer in layers]
        # (4, 1, C, 2p): what a value adds to its own column and the three after it
        self.near = _taps(layers[0]).flip(0)[:, None]
        # gates of the row's pixels, without the input from their own row
        self.base = like.new_zeros(depth, wide + FIRST // 2, n, 2 * width)
        self.gates = like.new_zeros(depth, n, 2 * width)  # gates of the current pixel
        # h before each layer and after the last, of the pixel to the left and this
        self.streams = like.new_zeros(depth + 1, n, 2 * width)
        self.mixed = like.new_ones(depth, n, 1 + width)  # with a one for the bias
        self.plan = [
            [self._prepare(index, layer, group) for index, layer in enumerate(layers)]
            for group in range(channels)
        ]
        self.tail = Tail([cast(MaskedConv2d, conv) for conv in model.tail], n)

    def _prepare(self, index: int, layer: GatedLayer, group: int) -> Step:
        low, high = self.edges[group], self.edges[group + 1]
        gates, mixed, middle = self.gates[index, :, 2 * low : 2 * high], self.mixed[index], high - low
        seen = self.width + high
        return Step(
            read=self.streams[index, :, :seen],
            weight=_taps(layer)[-2:].flatten(0, 1)[:seen, 2 * low : 2 * high].contiguous(),
            gates=gates,
            a=gates[:, :middle],
            b=gates[:, middle:],
            place=mixed[:, 1 + low : 1 + high],
            mixed=mixed[:, : 1 + high],
            out=pointwise(layer.out, group),
            before=self.streams[index, :, self.width + low : seen],
            after=self.streams[index + 1, :, self.width + low : seen],
        )

    def begin(self, row: int) -> None:
        """Advance the vertical stack over the row above, which is now complete."""
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
        for index, step in enumerate(self.plan[group]):
            if index:
                step.gates.addmm_(step.read, step.weight)
            else:
                # `put` has added the earlier channels
                step.gates.copy_(self._first(column, group))
            step.gates.sigmoid_()
            torch.addcmul(step.b, step.a, step.b, value=-2, out=step.place)
            if index:
                torch.addmm(step.before, step.mixed, step.out, out=step.after)
            else:
                torch.mm(step.mixed, step.out, out=step.after)
        return self.tail.step(self.plan[group][-1].after, group)

    def _first(self, column: int, group: int) -> Tensor:
        """Return the first layer's gates of `group` for a pixel of the current row."""
        return self.base[0, column, :, 2 * self.edges[group] : 2 * self.edges[group + 1]]

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Pass the value of a channel to the first layer: to its vertical stack, and to the gates that see it
        in this row.
        """
        self.vertical[0].put(column, group, value)
        reach = self.base[0, column : column + len(self.near)]
        reach.addcmul_(value[:, None], self.near[:, :, group])


class Vertical:
    """A layer's vertical stack and its link to the horizontal one. It stores the input rows within reach of
    its kernel.
    """

    def __init__(self, layer: GatedLayer, n: int, wide: int, *condition: Tensor) -> None:
        conv = layer.vertical
        self.tall, self.span, self.wide = conv.kernel_size[0], conv.kernel_size[1], wide
        scale, order = _scale(conv), _order(conv)
        weight = conv.masked.detach() * scale[:, None, None, None]
        self.taps = weight.permute(2, 3, 1, 0).contiguous()  # (kh, kw, ins, 2p)
        self.bias = cast(Tensor, conv.bias).detach() * scale
        link = pointwise_weight(layer.link).detach() * scale[:, None] / scale
        self.link = link[order].t().contiguous()
        # of a conditional layer, (W · n, 2p) each: what is added to the vertical gates after the link, and to
        # the horizontal ones
        offsets = [(rows.detach() * scale).repeat(wide, 1) for rows in layer.offsets(*condition)]
        self.offsets = offsets[:1]
        constant = (cast(Tensor, layer.horizontal.bias).detach() * scale).repeat(wide * n, 1)
        self.constant = sum(offsets[1:], constant)[:, order].contiguous()
        # row r is stored at r % kh, padded on both sides
        self.lines = weight.new_zeros(self.tall, wide + self.span - 1, n, conv.in_channels)
        self.gates = weight.new_zeros(wide * n, conv.out_channels)
        self.half, self.row = conv.out_channels // 2, 0

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Write a value of the image, the first layer's input, into the current row."""
        self.lines[self.row % self.tall, column + self.span // 2, :, group] = value

    def begin(self, row: int, line: Tensor | None, base: Tensor) -> Tensor | None:
        """Take the row above of the vertical input (W, n, ins), None in the first layer. Return the same row
        of the vertical output.

        The link's output to the horizontal stack, bias included, is written into `base` (W, n, 2p).
        """
        self.row = row
        if row == 0:
            base.flatten(0, 1).copy_(self.constant)  # no row above: the link is zero
            return None
        if line is not None:
            self.lines[(row - 1) % self.tall, self.span // 2 : self.span // 2 + self.wide] = line
        self.gates.copy_(self.bias)
        for up, taps in enumerate(self.taps):
            read = self.lines[(row + up) % self.tall]
            for side, tap in enumerate(taps):
                self.gates.addmm_(read[side : side + self.wide].flatten(0, 1), tap)
        torch.addmm(self.constant, self.gates, self.link, out=base.flatten(0, 1))
        for offset in self.offsets:
            self.gates += offset
        a, b = self.gates.sigmoid_().chunk(2, 1)
        return torch.addcmul(b, a, b, value=-2).view(self.wide, -1, self.half)


def _scale(conv: MaskedConv2d) -> Tensor:
    """Return the scale of the outputs (a, b) of `conv`: tanh(a) = 1 - 2 σ(-2a)."""
    return conv.weight.new_tensor([-2.0, 1.0]).repeat_interleave(conv.out_channels // 2)


def _order(conv: MaskedConv2d) -> Tensor:
    """Return the order of the outputs (a, b) of `conv`, group after group."""
    return torch.cat(
        [
            torch.arange(conv.out_channels, device=conv.weight.device)[conv.rows(group)]
            for group in range(conv.channel_groups)
        ]
    )


def _taps(layer: GatedLayer) -> Tensor:
    """Return the open taps of the horizontal kernel, scaled: (taps, ins, 2p), the pixel's own tap last,
    outputs group after group.
    """
    conv = layer.horizontal
    weight = (conv.masked.detach() * _scale(conv)[:, None, None, None])[
        _order(conv), :, 0, : conv.kernel_size[1] // 2 + 1
    ]
    return weight.permute(2, 1, 0).contiguous()
