"""Residual networks for WGAN-GP (Gulrajani et al. 2017, appendix F: the 64×64 networks), for any size that
strides of 2 allow.

G projects z to a small map and doubles its size in each block; the critic halves it. A block is norm, ReLU,
3 × 3 convolution, norm, ReLU, 3 × 3 convolution, plus a shortcut. Upsampling repeats pixels; downsampling
averages four. Batch norm in G, layer norm in the critic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from genzoo_dcgan.dcgan import channels, stages
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from genzoo.layers import StridedConv2d, StridedConvTranspose2d
from genzoo.models import AdversarialModel
from genzoo.schema import limits

Norm = Callable[[int], nn.Module]


@dataclass(frozen=True, kw_only=True)
class ResNetWGANGPConfig:
    """Config of a residual WGAN-GP.

    Attributes:
        image_shape: (C, H, W), C = 1 or 3; H and W even and at least 6. The number of blocks follows from
            how often they can be halved.
        latent_size: components of z; 128 in the paper.
        width: channels at full image size; they double with each halving, up to 8 · width. 64 in the paper.
        discriminator_width: the same for the critic; None = width.
    """

    image_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    latent_size: int = field(default=128, metadata=limits(1, 4096))
    width: int = field(default=64, metadata=limits(1, 512))
    discriminator_width: int | None = field(default=None, metadata=limits(1, 512))


class ResNetWGANGP(AdversarialModel):
    """G: z (N, latent_size) → images; the critic: images → numbers. z is Gaussian."""

    Config = ResNetWGANGPConfig
    decode_chunk = 64
    recordable = True

    def __init__(self, config: ResNetWGANGPConfig) -> None:
        super().__init__()
        self.config = config
        count, base = stages(config.image_shape)
        colours = config.image_shape[0]
        # from the smallest map to the largest
        wide = [*channels(config.width, count), config.width * min(2**count, 8)][::-1]
        self.generator = nn.Sequential(
            # (N, wide[0], *base)
            StridedConvTranspose2d(config.latent_size, wide[0], base, bias=False),
            *(_Block(a, b, nn.BatchNorm2d, up=True) for a, b in pairwise(wide)),
            nn.BatchNorm2d(wide[-1]),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide[-1], colours, 3, padding=1),
            nn.Tanh(),
        )
        own = config.discriminator_width or config.width
        wide = [*channels(own, count), own * min(2**count, 8)]
        self.discriminator = nn.Sequential(
            nn.Conv2d(colours, wide[0], 3, padding=1),
            *(_Block(a, b, _layer_norm, up=False) for a, b in pairwise(wide)),
            StridedConv2d(wide[-1], 1, base),  # (N, 1, 1, 1)
        )
        self.apply(_initialise)

    def _decode(self, z: Tensor) -> Tensor:
        images: Tensor = self.generator(z[:, :, None, None])  # (N, C, H, W) in [-1, 1]
        return images.add(1).div(2)

    def _discriminate(self, x: Tensor) -> Tensor:
        values: Tensor = self.discriminator(2 * x - 1)  # (N, 1, 1, 1)
        return values.flatten()  # (N,)


class _Block(nn.Module):
    """A residual block that doubles the map (`up`) or halves it: (N, inputs, H, W) → (N, outputs, 2H, 2W) or
    (N, outputs, H/2, W/2).
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm, up: bool) -> None:
        super().__init__()
        self.up = up
        hidden = outputs if up else inputs
        self.norms = nn.ModuleList([norm(inputs), norm(hidden)])
        # In G a batch norm follows on every way to the image, and takes away what each channel has in common.
        # A bias before it would have no gradient but rounding errors, which Adam turns into whole steps.
        bias = not up
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(inputs, hidden, 3, padding=1, bias=False),
                nn.Conv2d(hidden, outputs, 3, padding=1, bias=bias),
            ]
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the shortcut of `x` plus the output of the two convolutions."""
        y = torch.relu(self.norms[0](x))
        y = self.convolutions[0](_double(y) if self.up else y)
        y = self.convolutions[1](torch.relu(self.norms[1](y)))
        if self.up:
            # repeating pixels commutes with a 1 × 1 convolution
            return torch.add(_double(self.shortcut(x)), y)
        return torch.add(self.shortcut(_halve(x)), _halve(y))


def _double(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2, mode="nearest")


def _halve(x: Tensor) -> Tensor:
    return avg_pool2d(x, 2)


def _layer_norm(width: int) -> nn.Module:
    return nn.GroupNorm(1, width)  # one group: normalises an image's whole map, with one gain per channel


def _initialise(module: nn.Module) -> None:
    """Initialise weights as in He et al. 2015 for layers before a ReLU, and biases to 0."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
