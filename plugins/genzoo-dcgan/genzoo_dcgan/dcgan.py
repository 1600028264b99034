"""Deep convolutional generative adversarial nets (Radford, Metz & Chintala 2016, arXiv:1511.06434).

The paper's five guidelines for stable training are marked in the code, one comment each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from genzoo.errors import ArgumentError
from genzoo.models import ImplicitModel, StridedConv2d, StridedConvTranspose2d, compact
from genzoo.schema import limits

SMALLEST_BASE = 3  # the generator starts from a map of at least 3 × 3 positions
WIDEST = 8  # channels grow to 8 · width, as in the paper


@dataclass(frozen=True, kw_only=True)
class DCGANConfig:
    """What a DCGAN is built from.

    Attributes:
        image_shape: (C, H, W), C = 1 or 3; H and W even and at least 6. How often they halve decides the number of layers.
        latent_size: components of z; 100 in the paper.
        width: channels of the generator's last hidden layer; 128 in the paper for 64×64, 64 in most ports.
        discriminator_width: channels of the discriminator's first layer; None = width.
    """

    image_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    latent_size: int = field(default=100, metadata=limits(1, 4096))
    width: int = field(default=64, metadata=limits(1, 512))
    discriminator_width: int | None = field(default=None, metadata=limits(1, 512))


def stages(image_shape: tuple[int, int, int]) -> tuple[int, tuple[int, int]]:
    """Return how many times (H, W) is halved, and the size of the map that is left, at least 3 × 3.

    64×64 → 4 stages from 4×4; 24×40 → 3 stages from 3×5; 28×28 → 2 stages from 7×7.

    Raises:
        ArgumentError: a size that no stride-2 layer divides, with the nearest that works.
    """
    channels, height, width = image_shape
    if channels not in (1, 3):
        raise ArgumentError(f"image_shape must have 1 or 3 channels, not {channels}", "image_shape=(C, H, W)")
    count = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SMALLEST_BASE:
        height, width, count = height // 2, width // 2, count + 1
    if not count:
        near = tuple(max(6, 2 * round(side / 2)) for side in image_shape[1:])
        raise ArgumentError(
            f"image_shape {tuple(image_shape)} does not work: H and W must be even and at least 6, since each layer halves them",
            f"the nearest that works is {(channels, *near)}; multiples of 16 (32, 64, 96) give the deepest nets",
        )
    return count, (height, width)


def channels(width: int, count: int) -> list[int]:
    """Return the channels of the hidden layers from the image inwards: width, 2·width, … at most 8·width."""
    return [width * min(2**i, WIDEST) for i in range(count)]


class DCGAN(ImplicitModel):
    """G: z (N, latent_size) → images; D: images → logits. z is Gaussian, as in most ports (uniform in the paper)."""

    Config = DCGANConfig
    generator: nn.Sequential
    decode_chunk = 64  # the throughput of 16 is two thirds as high; more buys nothing

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.config = config
        count, base = stages(config.image_shape)
        self.generator = _generator(config, channels(config.width, count)[::-1], base)
        self.discriminator = _discriminator(config, channels(config.discriminator_width or config.width, count), base)
        self.apply(initialise)

    @property
    def latent_size(self) -> int:
        """The number of components of z."""
        return int(self.config.latent_size)

    def _decode(self, z: Tensor) -> Tensor:
        learning = self.generator.training or torch.is_grad_enabled()
        generator = self.generator if learning else compact(self.generator)
        images: Tensor = generator(z[:, :, None, None])  # (N, C, H, W) in [-1, 1]
        return (images if learning else images.contiguous()).add(1).div(2)

    def _discriminate(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(2 * x - 1)  # (N, 1, 1, 1)
        return logits.flatten()  # (N,)


def _generator(config: DCGANConfig, widths: list[int], base: tuple[int, int]) -> nn.Sequential:
    # Guideline 3: no fully connected hidden layers; z is projected and reshaped by one convolution on a 1 × 1 map.
    layers: list[nn.Module] = [StridedConvTranspose2d(config.latent_size, widths[0], base, bias=False)]  # (N, widths[0], *base)
    # Guideline 1: no pooling; fractionally strided convolutions grow the map, strided ones (in D) shrink it.
    for wide, narrow in pairwise(widths):
        # Guideline 2: batch norm in both nets, but not on the generator's output.
        # Guideline 4: ReLU in every layer of the generator but the last, which has tanh.
        layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
        layers.append(StridedConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False))
    layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
    layers += [StridedConvTranspose2d(widths[-1], config.image_shape[0], 4, stride=2, padding=1), nn.Tanh()]
    return nn.Sequential(*layers)


def _discriminator(config: DCGANConfig, widths: list[int], base: tuple[int, int]) -> nn.Sequential:
    # Guideline 2 again: no batch norm on the discriminator's input layer.
    # Guideline 5: LeakyReLU, slope 0.2, in every layer of the discriminator.
    layers: list[nn.Module] = [StridedConv2d(config.image_shape[0], widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
    for narrow, wide in pairwise(widths):
        layers.append(StridedConv2d(narrow, wide, 4, stride=2, padding=1, bias=False))
        layers += [nn.BatchNorm2d(wide), nn.LeakyReLU(0.2, inplace=True)]
    layers.append(StridedConv2d(widths[-1], 1, base))  # (N, 1, 1, 1): logits; the sigmoid lives in the losses
    return nn.Sequential(*layers)


def initialise(module: nn.Module) -> None:
    """Give fresh weights: N(0, 0.02) for convolutions (section 4 of the paper), N(1, 0.02) for batch norm's gain, as its code has it."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
