"""The generator of pix2pix: a U-Net (Ronneberger et al. 2015; Isola et al. 2017, section 3.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.rng import Rng
from genzoo_translate.layers import SLOPE, norm

DROPPED = 3  # decoder layers with dropout, the first ones
DEEPEST, SHALLOWEST = 8, 2  # halvings; 8 bring the 256×256 pixels of the paper to one


class UNet(nn.Module):
    """Source (N, C, H, W) → target (N, C', H, W), both in [-1, 1]; layer i of the encoder is joined to layer
    n - i of the decoder.

    Its noise is dropout in the first three layers of the decoder, in training and afterwards.

    Args:
        source: C.
        target: C'.
        widths: channels of each layer of the encoder; every layer halves the sides.
        dropout: probability with which a value is dropped.
    """

    def __init__(self, source: int, target: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.dropped = min(DROPPED, len(widths) - 1) if dropout else 0
        inner = len(widths) - 1
        self.down = nn.ModuleList([nn.Conv2d(source, widths[0], 4, 2, 1)])
        for i, (a, b) in enumerate(pairwise(widths), 1):
            # the innermost layer has one pixel at the size of the config, which its norm would set to 0
            convolution = nn.Conv2d(a, b, 4, 2, 1, bias=i == inner)
            self.down.append(
                nn.Sequential(nn.LeakyReLU(SLOPE), convolution, *([] if i == inner else [norm(b)]))
            )
        self.up = nn.ModuleList()
        for i, (a, b) in enumerate(pairwise(reversed(widths))):
            convolution_ = nn.ConvTranspose2d(a if not i else 2 * a, b, 4, 2, 1, bias=False)
            self.up.append(nn.Sequential(nn.ReLU(), convolution_, norm(b)))
        self.last = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * widths[0], target, 4, 2, 1), nn.Tanh())

    def forward(self, x: Tensor, rng: Rng) -> Tensor:
        """Return the translations (N, C', H, W) in [-1, 1] of `x` in [-1, 1], whose sides halve as often as
        the net has layers; what is dropped comes from `rng`, one stream per picture.
        """
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
        kept.pop()
        for i, up in enumerate(self.up):
            x = up(x)
            if i < self.dropped:
                x = x * (rng.uniform(*x.shape[1:]) >= self.dropout) / (1 - self.dropout)
            x = torch.cat([x, kept.pop()], 1)
        image: Tensor = self.last(x)
        return image


def halvings(sides: Sequence[int], depth: int) -> int:
    """Return how many layers the encoder has: `depth`, or for 0 as many as both sides halve, at most 8.

    Raises:
        ArgumentError: sides that do not halve so often; the message says which do.
    """
    often = 0
    while often < (depth or DEEPEST) and all(side % 2 ** (often + 1) == 0 for side in sides):
        often += 1
    wanted = depth or SHALLOWEST
    if often < wanted:
        step = 2**wanted
        near = "x".join(str(max(1, (2 * side + step) // (2 * step)) * step) for side in sides)
        raise ArgumentError(
            f"a U-Net of depth {wanted} needs sides that are multiples of {step}, not {sides[0]}x{sides[1]}",
            f"image_size={near}" + (f", or depth={often}" if often >= SHALLOWEST else ""),
        )
    return often
