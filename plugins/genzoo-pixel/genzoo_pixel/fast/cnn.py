"""A fast PixelCNN: maps with features last, and a machine that samples pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor

from genzoo_pixel.fast import layers
from genzoo_pixel.fast.sampler import CachedConv, Machine, Tail, pointwise
from genzoo_pixel.fast.swap import way_of
from genzoo_pixel.masks import MaskedConv2d, bounds

if TYPE_CHECKING:
    from genzoo_pixel.pixelcnn import Block, PixelCNN


def network(model: PixelCNN, x: Tensor) -> Tensor:
    """Return `PixelCNN._network(x)` for images (N, C, H, W) in [-1, 1]."""
    x = model.stem(x).permute(0, 2, 3, 1)  # (N, H, W, 2h)
    for layer in model.blocks:
        way = way_of(layer)
        x = way(layer, x) if way else layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return model.outputs_of(x.permute(0, 3, 1, 2))


def block(layer: Block, x: Tensor) -> Tensor:
    """Return `Block.forward` on a map (N, H, W, 2h)."""
    mix = layer.mix.masked, cast(Tensor, layer.mix.bias)
    return layers.block(x, layer.down.product, mix, layer.up.product)


class Step(NamedTuple):
    """The views and weights of one channel group's step through a block."""

    opened: Tensor  # buffer for ReLU(x) of the group
    seen: Tensor  # a one for the bias, then ReLU(x) of the groups up to this
    down: Tensor
    inner: Tensor  # output of `down`
    mixed: Tensor  # the 3×3 convolution's sum over earlier pixels
    read: Tensor  # output of `down` for the groups up to this
    here: Tensor
    shown: Tensor  # ReLU of the 3×3 convolution
    read_up: Tensor
    up: Tensor


class PixelCNNMachine(Machine):
    """The PixelCNN computed pixel by pixel.

    The 3×3 convolutions of all blocks read the row above in one batched matrix product per tap and row, and
    the pixels to the left in one per pixel. All buffers are allocated once. A column of ones multiplies the
    biases.
    """

    def __init__(self, model: PixelCNN, n: int) -> None:
        channels, height, wide = model.image_shape
        blocks, width = [cast("Block", block) for block in model.blocks], model.config.width
        depth, like = len(blocks), model.stem.weight.detach()
        self.wide, self.groups = wide, channels
        self.stem = CachedConv(model.stem, n, (height, wide))
        # (2, 3, L, h, h)
        kernels = torch.stack([block.mix.masked.detach() for block in blocks]).permute(3, 4, 0, 2, 1)
        self.over, self.left, self.here = kernels[0].contiguous(), kernels[1, 0].contiguous(), kernels[1, 1]
        # (L, 1, h)
        self.bias = torch.stack([cast(Tensor, block.mix.bias).detach() for block in blocks])[:, None]
        # inputs of these convolutions, one row each
        self.above, self.line = like.new_zeros(2, depth, wide + 2, n, width)
        self.base = like.new_zeros(depth, wide, n, width)
        self.mixed, self.inner = like.new_zeros(2, depth, n, width)
        self.stream = like.new_zeros(n, 2 * width)
        # after a ReLU, with a one
        self.opened = like.new_ones(depth, n, 1 + 2 * width)
        self.shown = like.new_ones(depth, n, 1 + width)
        self.edges, self.broad = bounds(width, channels), bounds(2 * width, channels)
        self.parts = [self.stream[:, self.broad[g] : self.broad[g + 1]] for g in range(channels)]
        self.plan = [
            [self._prepare(index, block, group) for index, block in enumerate(blocks)]
            for group in range(channels)
        ]
        self.tail = Tail([cast(MaskedConv2d, conv) for conv in model.tail], n)

    def _prepare(self, index: int, block: Block, group: int) -> Step:
        low, high = self.edges[group], self.edges[group + 1]
        first, last = self.broad[group], self.broad[group + 1]
        opened, shown, inner = self.opened[index], self.shown[index], self.inner[index]
        return Step(
            opened=opened[:, 1 + first : 1 + last],
            seen=opened[:, : 1 + last],
            down=pointwise(block.down, group),
            inner=inner[:, low:high],
            mixed=self.mixed[index, :, low:high],
            read=inner[:, :high],
            here=self.here[index][:high, low:high].contiguous(),
            shown=shown[:, 1 + low : 1 + high],
            read_up=shown[:, : 1 + high],
            up=pointwise(block.up, group),
        )

    def begin(self, row: int) -> None:
        """Compute what each convolution reads from the rows above."""
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
        for step in self.plan[group]:
            torch.clamp(stream, min=0, out=step.opened)
            torch.mm(step.seen, step.down, out=step.inner).clamp_(min=0)
            torch.clamp(step.mixed.addmm_(step.read, step.here), min=0, out=step.shown)
            stream.addmm_(step.read_up, step.up)
        if group + 1 == self.groups:
            self.line[:, column + 1] = self.inner
        return self.tail.step(stream, group)

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Pass the value of a channel to the stem, the only layer that reads the image."""
        self.stem.put(column, group, value[:, None])
