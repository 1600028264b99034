"""Masked convolutions: a mask, multiplied with the weight on every use, decides which inputs an output sees.

The masks are functional, never `weight.data *= mask`, so that weight decay, weight averaging, safetensors and
compilation all see an ordinary tensor. Initial weights are masked once. Masked taps get no gradient and stay
zero under Adam; Muon mixes the entries of a matrix and may write to taps that separate the groups of a colour
model.

In every layer the features form groups, one per channel of the image: group i depends on channels up to i
alone.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.layers import renew

Kind = Literal["A", "B", "rows"]
FEW = 4  # most channels of an image


def bounds(width: int, groups: int) -> list[int]:
    """Return the start of each of `groups` contiguous groups of `width` features, and the end; their sizes
    are nearly equal.
    """
    return [index * width // groups for index in range(groups + 1)]


def group_of(width: int, groups: int, parts: int = 1) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the group of each of `parts` · `width` features: `parts` blocks (the gates of a cell), each
    split into groups.
    """
    edges = bounds(width, groups)
    return np.tile(np.repeat(np.arange(groups), np.diff(edges)), parts)


@functools.lru_cache(maxsize=256)
def conv_mask(
    outs: int, ins: int, kernel: tuple[int, int], *, groups: int, parts: int, kind: Kind, device: torch.device
) -> Tensor:
    """Return the 0-1 mask (outs, ins, kh, kw) of a convolution whose last row and middle column are the pixel
    itself.

    All taps above and to the left in the same row are earlier pixels, and open. At the pixel itself output
    group g sees input group i iff i < g (kind "A", on the image) or i ≤ g (kind "B", between features). Kind
    "rows" opens the whole last row, for a stack whose output is shifted down.
    """
    height, width = kernel
    mask = np.ones((outs, ins, height, width), np.float32)
    if kind != "rows":
        own, read = group_of(outs // parts, groups, parts)[:, None], group_of(ins, groups)[None, :]
        mask[:, :, -1, width // 2] = read < own if kind == "A" else read <= own
        mask[:, :, -1, width // 2 + 1 :] = 0
    with torch.inference_mode(False):  # cached for later calls, which may need gradients
        return torch.from_numpy(mask).to(device)


class MaskedConv2d(nn.Conv2d):
    """A convolution whose kernel (kh, kw), kw odd, covers the pixel's own row and kh - 1 rows above. Output
    and input maps have the same size.

    It has no taps below the pixel, which halves a square masked kernel. `parts` · width outputs are `parts`
    blocks of `width`, each split into `groups`.
    """

    def __init__(
        self,
        ins: int,
        outs: int,
        kernel: tuple[int, int],
        kind: Kind,
        groups: int,
        *,
        parts: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(ins, outs, kernel, bias=bias)
        self.kind, self.channel_groups, self.parts = kind, groups, parts
        with torch.no_grad():
            self.weight.mul_(self.mask)

    @property
    def mask(self) -> Tensor:
        """The 0-1 mask, (outs, ins, kh, kw), on the weight's device."""
        kernel = (self.kernel_size[0], self.kernel_size[1])
        return conv_mask(
            self.out_channels,
            self.in_channels,
            kernel,
            groups=self.channel_groups,
            parts=self.parts,
            kind=self.kind,
            device=self.weight.device,
        )

    @property
    def masked(self) -> Tensor:
        """The weight as it is used now, also under pruning or weight norm."""
        renew(self)
        return self.weight * self.mask.to(self.weight.dtype)

    @property
    def product(self) -> tuple[Tensor, Tensor]:
        """The weight (ins, outs) of a 1×1 convolution as it is used, and the bias, for x · weight + bias with
        x (M, ins).
        """
        weight = self.masked  # first: a hook may recompute the bias with it
        return weight[:, :, 0, 0].t(), cast(Tensor, self.bias)

    def rows(self, group: int, parts: int | None = None) -> slice | Tensor:
        """Return the indices of the outputs of `group` in the first `parts` parts (None: all), which one
        sub-step of a pixel computes.
        """
        width = self.out_channels // self.parts
        edges = bounds(width, self.channel_groups)
        low, high = edges[group], edges[group + 1]
        if self.channel_groups == 1 or self.parts == 1:
            return slice(low, high * (parts or self.parts))
        blocks = [
            torch.arange(part * width + low, part * width + high) for part in range(parts or self.parts)
        ]
        return torch.cat(blocks).to(self.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, ins, H, W) to (N, outs, H, W)."""
        (height, width), side = self.kernel_size, self.kernel_size[1] // 2
        rows = x.permute(0, 2, 3, 1)
        if height == width == 1:
            return F.linear(rows, self.masked[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)
        # an image: training a stock convolution with so few channels takes ten times as long
        if self.in_channels <= FEW:
            # (N, H, W, ins, kh, kw)
            seen = F.pad(rows, (0, 0, side, side, height - 1, 0)).unfold(1, height, 1).unfold(2, width, 1)
            return F.linear(seen.flatten(3), self.masked.flatten(1), self.bias).permute(0, 3, 1, 2)
        if height == 1:
            return F.conv2d(x, self.masked, self.bias, padding=(0, side))
        # Symmetric padding inside the kernel costs nothing. The rows that it adds below would see later
        # pixels and are cropped.
        # (N, outs, H + height - 1, W)
        full: Tensor = F.conv2d(x, self.masked, self.bias, padding=(height - 1, side))
        return full[:, :, : x.shape[2]]


def pointwise_weight(conv: nn.Conv2d) -> Tensor:
    """Return the weight (outs, ins) of a 1×1 convolution as it is now."""
    renew(conv)
    return conv.weight[:, :, 0, 0]


def shift_down(x: Tensor) -> Tensor:
    """Shift the map (N, ·, H, W) down by one row, zeros on top: row r then depends on the rows before r
    alone.
    """
    return F.pad(x, (0, 0, 1, -1))
