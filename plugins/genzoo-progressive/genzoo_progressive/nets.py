"""Generator and discriminator of progressive growing (Karras et al. 2018, section 2 and table 2).

Stage 0 is the smallest map; each further stage doubles it. Both nets have all their layers from the start,
and a pass uses those of the stages that have been reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from genzoo_progressive.layers import (
    SLOPE,
    EqualConv2d,
    EqualLinear,
    GrowingConv2d,
    MinibatchDeviation,
    PixelNorm,
    ShrinkingConv2d,
)
from genzoo_progressive.options import place


class Generator(nn.Module):
    """G: z (N, latent_size) → images (N, C, h, w), nominally in [-1, 1], of the stage of `growth`.

    Args:
        latents: components of z.
        widths: channels of each stage, the smallest map first.
        base: height and width of the smallest map.
        colours: channels of an image.
    """

    def __init__(self, latents: int, widths: Sequence[int], base: tuple[int, int], colours: int) -> None:
        super().__init__()
        self.base, self.last = base, len(widths) - 1
        self.project = EqualLinear(latents, widths[0] * prod(base))
        self.norm = PixelNorm()  # of z
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(*_rectified(), *_convolved(widths[0], widths[0])),
                *(
                    nn.Sequential(GrowingConv2d(a, b), *_rectified(), *_convolved(b, b))
                    for a, b in pairwise(widths)
                ),
            ]
        )
        # No tanh: the critic sees what is outside [-1, 1] and objects.
        self.to_rgb = nn.ModuleList([EqualConv2d(wide, colours, (1, 1), gain=1.0) for wide in widths])

    def forward(self, z: Tensor, growth: float) -> Tensor:
        """Return the images of `z`: while a stage is faded in, α of its own and 1 - α of those of the stage
        before, doubled.
        """
        stage, alpha = place(growth, self.last)
        maps = self._maps(z, stage)
        return self._image(maps, stage, alpha)

    def stages(self, z: Tensor, growth: float) -> list[Tensor]:
        """Return the images of every stage up to that of `growth`, which is faded in as in `forward`."""
        stage, alpha = place(growth, self.last)
        maps = self._maps(z, stage)
        return [
            *(self._image(maps, earlier, 1.0) for earlier in range(stage)),
            self._image(maps, stage, alpha),
        ]

    def _maps(self, z: Tensor, stage: int) -> list[Tensor]:
        """Return the maps of the stages 0 … `stage`."""
        x = self.project(self.norm(z)).unflatten(1, (-1, *self.base))  # (N, widths[0], *base)
        maps = []
        for block in list(self.blocks)[: stage + 1]:
            x = block(x)  # (N, widths[s], h, w)
            maps.append(x)
        return maps

    def _image(self, maps: Sequence[Tensor], stage: int, alpha: float) -> Tensor:
        image: Tensor = self.to_rgb[stage](maps[stage])
        if alpha == 1:
            return image
        return torch.lerp(doubled(self.to_rgb[stage - 1](maps[stage - 1])), image, alpha)


class Discriminator(nn.Module):
    """D: images (N, C, h, w), nominally in [-1, 1], of the stage of `growth` → numbers (N,).

    Args:
        widths: channels of each stage, the smallest map first.
        base: height and width of the smallest map.
        colours: channels of an image.
        group: images that the minibatch standard deviation compares.
    """

    def __init__(self, widths: Sequence[int], base: tuple[int, int], colours: int, group: int) -> None:
        super().__init__()
        self.last = len(widths) - 1
        narrow = widths[0]
        self.judge = nn.Sequential(
            MinibatchDeviation(group),
            EqualConv2d(narrow + 1, narrow, (3, 3), padding=1),
            nn.LeakyReLU(SLOPE),
            EqualConv2d(narrow, narrow, base),  # (N, narrow, 1, 1)
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            EqualLinear(narrow, 1, gain=1.0),
        )
        self.from_rgb = nn.ModuleList(
            [nn.Sequential(EqualConv2d(colours, wide, (1, 1)), nn.LeakyReLU(SLOPE)) for wide in widths]
        )
        # the block of stage s leads from its map to that of stage s - 1
        self.blocks = nn.ModuleList(
            nn.Sequential(
                EqualConv2d(b, b, (3, 3), padding=1),
                nn.LeakyReLU(SLOPE),
                ShrinkingConv2d(b, a),
                nn.LeakyReLU(SLOPE),
            )
            for a, b in pairwise(widths)
        )

    def forward(self, x: Tensor, growth: float) -> Tensor:
        """Return one number for each of the images `x`, which have the size of the stage; while it is faded
        in, its layers count α and the halved images 1 - α.
        """
        stage, alpha = place(growth, self.last)
        y = self.from_rgb[stage](x)
        if stage:
            y = self.blocks[stage - 1](y)
        if alpha < 1:
            y = torch.lerp(self.from_rgb[stage - 1](halved(x)), y, alpha)
        for block in reversed(list(self.blocks)[: max(stage - 1, 0)]):
            y = block(y)
        numbers: Tensor = self.judge(y)  # (N, 1)
        return numbers.flatten()


def _rectified() -> list[nn.Module]:
    return [nn.LeakyReLU(SLOPE), PixelNorm()]


def _convolved(inputs: int, outputs: int) -> list[nn.Module]:
    return [EqualConv2d(inputs, outputs, (3, 3), padding=1), *_rectified()]


def doubled(x: Tensor) -> Tensor:
    """Return `x` (N, C, h, w) with each pixel repeated, (N, C, 2h, 2w)."""
    return interpolate(x, scale_factor=2, mode="nearest")


def halved(x: Tensor) -> Tensor:
    """Return `x` (N, C, h, w) with four pixels averaged, (N, C, h/2, w/2)."""
    return avg_pool2d(x, 2)


def faded(x: Tensor, alpha: float) -> Tensor:
    """Return real images `x` (N, C, h, w) as blurred as generated ones are at `alpha`: α of themselves and
    1 - α of the images halved and doubled.
    """
    return x if alpha == 1 else torch.lerp(doubled(halved(x)), x, alpha)
