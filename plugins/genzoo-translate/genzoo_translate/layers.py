"""What both models are made of: instance norm, initial weights, and the discriminator of patches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.layers import InstanceNorm2d

SLOPE = 0.2  # of LeakyReLU
DEVIATION = 0.02  # standard deviation of the initial weights, of both papers
FIELDS = {1: 16, 2: 34, 3: 70}  # strided layers of a PatchGAN → pixels of a side that one of its outputs sees


def norm(channels: int) -> nn.InstanceNorm2d:
    """Return instance norm with a scale and a shift per channel: batch norm of a batch of one, in training
    and afterwards, so that a translation never depends on the pictures beside it.
    """
    return InstanceNorm2d(channels, affine=True)


def initialise(module: nn.Module) -> None:
    """Set weights of convolutions to N(0, 0.02²), scales of norms to N(1, 0.02²) and every bias to 0; for
    `module.apply`.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.InstanceNorm2d):
        nn.init.normal_(module.weight, float(isinstance(module, nn.InstanceNorm2d)), DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017, section 3.2.2): pictures (N, C, H, W) in [-1, 1] → one number for each
    patch, (N, 1, h, w).

    With `layers` strided convolutions, a patch has a side of 16, 34 or 70 pixels.

    Args:
        channels: C; of a discriminator of pairs, that of source and target together.
        width: channels after the first layer; each further layer has twice as many, up to 8 · width.
        layers: number of strided convolutions.
    """

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        found: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for i in range(1, layers + 1):
            a, b = (width * min(2**k, 8) for k in (i - 1, i))
            stride = 2 if i < layers else 1
            found += [nn.Conv2d(a, b, 4, stride, 1, bias=False), norm(b), nn.LeakyReLU(SLOPE)]
        self.net = nn.Sequential(*found, nn.Conv2d(width * min(2**layers, 8), 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return one number per patch of each picture `x`, (N, 1, h, w); large where it looks real."""
        numbers: Tensor = self.net(x)
        return numbers


def check_patches(sides: Sequence[int], layers: int) -> None:
    """Check that pictures with these `sides` have at least one patch.

    Raises:
        ArgumentError: they are too small; the message says what fits.
    """
    smallest = 3 * 2**layers
    if min(sides) < smallest:
        fits = [n for n in FIELDS if 3 * 2**n <= min(sides)]
        raise ArgumentError(
            f"a discriminator with patch_layers={layers} needs sides of at least {smallest} pixels, not "
            f"{sides[0]}x{sides[1]}",
            f"patch_layers={fits[-1]}" if fits else f"image_size={smallest}x{smallest}",
        )
