"""The generators of CycleGAN: residual nets (Johnson et al. 2016; Zhu et al. 2017, section 7.1)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.layers import BalancedConvTranspose2d
from genzoo_translate.layers import norm

UPSAMPLING = {"plain": nn.ConvTranspose2d, "balanced": BalancedConvTranspose2d}

# Two layers halve the sides and two double them; the blocks between mirror a pixel at each edge of their
# maps, which must have two.
STEP = 8


class ResidualBlock(nn.Module):
    """x + f(x), with two convolutions whose edges are mirrored, (N, C, h, w) → the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(*_convolved(channels, channels), nn.ReLU(), *_convolved(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + f(x)."""
        found: Tensor = x + self.net(x)
        return found


class ResNet(nn.Module):
    """Pictures (N, C, H, W) → pictures (N, C', H, W), both in [-1, 1], of any height and width that are
    multiples of 8.

    Args:
        source: C.
        target: C'.
        width: channels at full size; there are twice as many at each halving.
        blocks: number of residual blocks, at a quarter of the size.
        upsample: how the last layers double the sides, a key of UPSAMPLING.
    """

    def __init__(self, source: int, target: int, width: int, blocks: int, upsample: str = "plain") -> None:
        super().__init__()
        a, b, c = width, 2 * width, 4 * width
        up = UPSAMPLING[upsample]
        self.net = nn.Sequential(
            *_convolved(source, a, 7),
            nn.ReLU(),
            *(nn.Conv2d(a, b, 3, 2, 1, bias=False), norm(b), nn.ReLU()),
            *(nn.Conv2d(b, c, 3, 2, 1, bias=False), norm(c), nn.ReLU()),
            *(ResidualBlock(c) for _ in range(blocks)),
            *(up(c, b, 3, 2, 1, output_padding=1, bias=False), norm(b), nn.ReLU()),
            *(up(b, a, 3, 2, 1, output_padding=1, bias=False), norm(a), nn.ReLU()),
            nn.ReflectionPad2d(3),
            nn.Conv2d(a, target, 7),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the translations of `x`."""
        images: Tensor = self.net(x)
        return images


class Generators(nn.Module):
    """G, from the first domain to the second, and F, back: one player's module.

    Args:
        first: channels of the first domain.
        second: channels of the second domain.
        width: see `ResNet`.
        blocks: see `ResNet`.
        upsample: see `ResNet`.
    """

    def __init__(self, first: int, second: int, width: int, blocks: int, upsample: str = "plain") -> None:
        super().__init__()
        self.there = ResNet(first, second, width, blocks, upsample)
        self.back = ResNet(second, first, width, blocks, upsample)


def _convolved(inputs: int, outputs: int, size: int = 3) -> list[nn.Module]:
    return [nn.ReflectionPad2d(size // 2), nn.Conv2d(inputs, outputs, size, bias=False), norm(outputs)]


def check_sides(sides: Sequence[int]) -> None:
    """Check that pictures with these `sides` can be translated.

    Raises:
        ArgumentError: they cannot; the message gives the nearest size that can.
    """
    if any(side % STEP for side in sides):
        near = "x".join(str(max(1, (2 * side + STEP) // (2 * STEP)) * STEP) for side in sides)
        raise ArgumentError(
            f"a CycleGAN needs sides that are multiples of {STEP}, not {sides[0]}x{sides[1]}",
            f"image_size={near}",
        )
