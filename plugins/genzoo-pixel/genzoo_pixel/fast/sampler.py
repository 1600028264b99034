"""Cached sampling: computes each pixel once, from cached activations of earlier pixels, instead of running
the whole network for every pixel.

A `Machine` is a network unrolled over the raster scan. It caches the input map of every convolution. When a
row begins, the contribution of the rows above is computed for the whole row at once. The contribution of the
row itself is added pixel by pixel and channel group by channel group, so that G is drawn given R. No
activation is computed twice.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from genzoo.devices import widest
from genzoo_pixel.masks import MaskedConv2d, bounds


class CachedConv:
    """A masked convolution computed pixel by pixel, for `n` maps of `size` (H, W).

    `put` writes its input, `above` prepares a row from the finished rows above, and `at` returns one group of
    outputs. `parts` limits them to the first parts (None: all).
    """

    def __init__(self, conv: MaskedConv2d, n: int, size: tuple[int, int], parts: int | None = None) -> None:
        self.tall, self.wide = conv.kernel_size[0], conv.kernel_size[1]
        self.side = self.wide // 2
        weight = conv.masked.detach()  # (outs, ins, kh, kw)
        self.groups, self.edges = conv.channel_groups, bounds(conv.in_channels, conv.channel_groups)
        self.rows = [conv.rows(group, parts) for group in range(self.groups)]
        self.bias = conv.bias.detach() if conv.bias is not None else weight.new_zeros(conv.out_channels)
        self.over = weight[:, :, :-1].permute(2, 3, 1, 0).flatten(0, 2)  # (kh - 1 · kw · ins, outs)
        # (side + 1 · ins, outs): the pixels to the left, and this
        near = weight[:, :, -1, : self.side + 1].permute(2, 1, 0).flatten(0, 1)
        # later groups of this pixel have zero weights
        self.near = [near[:, rows].contiguous() for rows in self.rows]
        self.constant = [self.bias[rows] for rows in self.rows]
        # The zeros on top and on both sides are the convolution's padding.
        self.map = weight.new_zeros(n, size[0] + self.tall - 1, size[1] + 2 * self.side, conv.in_channels)
        self.n, self.width = n, size[1]
        self.current, self.base = self.map[:, self.tall - 1], self.map

    def above(self, row: int) -> None:
        """Begin `row`; all earlier rows must be complete."""
        self.current = self.map[:, row + self.tall - 1]  # (n, W + 2 · side, ins)
        if self.tall > 1:
            window = self.map[:, row : row + self.tall - 1].unfold(2, self.wide, 1)  # (n, kh - 1, W, ins, kw)
            patches = window.permute(0, 2, 1, 4, 3).reshape(self.n * self.width, -1)
            self.base = torch.addmm(self.bias, patches, self.over).view(self.n, self.width, -1)

    def put(self, column: int, group: int, value: Tensor) -> None:
        """Write group `group` of the input at `column` of the current row: (n, features of the group)."""
        self.current[:, column + self.side, self.edges[group] : self.edges[group + 1]] = value

    def line(self, row: int) -> Tensor:
        """Return the input at `row`, (n, W, ins); zeros above the first."""
        return self.map[:, row + self.tall - 1, self.side : self.side + self.width]

    def at(self, column: int, group: int) -> Tensor:
        """Return the outputs of `group`, in every part, at `column` of the current row: (n, outs of the
        group).
        """
        start = self.base[:, column, self.rows[group]] if self.tall > 1 else self.constant[group]
        return torch.addmm(
            start, self.current[:, column : column + self.side + 1].flatten(1), self.near[group]
        )


def pointwise(conv: MaskedConv2d, group: int) -> Tensor:
    """Return the bias and, below it, the weights of a 1×1 convolution for `group`: (1 + features of the
    groups up to it, outs of the group).
    """
    rows = conv.rows(group)
    weight = conv.masked.detach()[rows, : bounds(conv.in_channels, conv.channel_groups)[group + 1], 0, 0].t()
    return torch.cat([cast(Tensor, conv.bias).detach()[None, rows], weight])


class Tail:
    """1×1 convolutions, each after a ReLU, of one pixel of `n` images, channel group by channel group."""

    def __init__(self, convs: Sequence[MaskedConv2d], n: int) -> None:
        self.plan: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in range(convs[0].channel_groups)]
        for conv in convs:
            opened = conv.weight.new_ones(n, 1 + conv.in_channels).detach()
            edges = bounds(conv.in_channels, conv.channel_groups)
            for group, steps in enumerate(self.plan):
                low, high = 1 + edges[group], 1 + edges[group + 1]
                steps.append((opened[:, low:high], opened[:, :high], pointwise(conv, group)))

    def step(self, x: Tensor, group: int) -> Tensor:
        """Return the outputs (n, outs of the group) for the group's features `x` of the current pixel."""
        for place, opened, weight in self.plan[group]:
            torch.clamp(x, min=0, out=place)
            x = opened @ weight
        return x


class Machine(ABC):
    """A network unrolled over the scan."""

    @abstractmethod
    def begin(self, row: int) -> None:
        """Prepare `row`; all earlier rows of the image are complete."""

    @abstractmethod
    def step(self, column: int, group: int) -> Tensor:
        """Return the parameters (n, P) of channel `group` at `column` of the current row."""

    @abstractmethod
    def put(self, column: int, group: int, value: Tensor) -> None:
        """Store the value (n,) in [-1, 1] of channel `group` at `column` of the current row."""


Quantile = Callable[[Tensor, Tensor], Tensor]
Tell = Callable[[int, int], object]


def draw(
    machine: Machine,
    quantile: Quantile,
    x: Tensor,
    mask: Tensor,
    uniforms: Tensor,
    *,
    levels: int,
    tell: Tell | None = None,
) -> Tensor:
    """Return images (n, C, H, W), float64 where the device has it: `x` where `mask` is set, elsewhere the
    levels that `quantile` maps `uniforms` (n, H, W, C) to.

    `tell(done, total)` is called after every pixel.
    """
    kind = widest(x.device)
    images = torch.where(mask, x, 0).to(kind)
    kept, observed = images.clone(), mask.any(0).tolist()
    _, channels, height, width = images.shape
    numbers = uniforms.permute(1, 2, 3, 0).contiguous()  # (H, W, C, n)
    for row in range(height):
        machine.begin(row)
        for column, channel in itertools.product(range(width), range(channels)):
            params = machine.step(column, channel)
            value = quantile(params, numbers[row, column, channel]).to(kind) / (levels - 1)
            here = (slice(None), channel, row, column)
            if observed[channel][row][column]:
                value = torch.where(mask[here], kept[here], value)
            images[here] = value
            machine.put(column, channel, 2 * value - 1)
            if tell is not None and channel == channels - 1:
                tell(row * width + column + 1, height * width)
    return images
