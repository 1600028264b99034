"""The networks of a BEGAN (Berthelot, Schumm & Metz 2017, section 3.5 and figure 1): an encoder and a decoder
of 3 × 3 convolutions.

ELU after every convolution but the last; no norm, no dropout, no transposed convolution. Between convolutions
and code there are fully connected layers without a non-linearity. Channels grow linearly in the encoder and
are constant in the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from genzoo.errors import ArgumentError
from genzoo.schema import limits

SMALLEST_BASE = 8  # maps are halved down to 8 × 8, as in the paper
LARGEST_BASE = 32  # a fully connected layer to a larger map would dwarf the convolutions


@dataclass(frozen=True, kw_only=True)
class BEGANConfig:
    """Config of a BEGAN.

    Attributes:
        image_shape: (C, H, W); sides are halved while both are even and at least 16, and what remains must be
            at most 32.
        latent_size: components of z and of D's code h; the paper uses 64 for both.
        width: n, channels of the decoders and of the encoder's first layer; the paper uses 64 and 128.
        depth: convolutions per size of map; 2 in the paper.
        skip: whether the decoders' first map, upsampled, is an input of every later size (section 3.5.1).
    """

    image_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    latent_size: int = field(default=64, metadata=limits(1, 4096))
    width: int = field(default=64, metadata=limits(1, 512))
    depth: int = field(default=2, metadata=limits(1, 8))
    skip: bool = True


def stages(image_shape: tuple[int, int, int]) -> tuple[int, tuple[int, int]]:
    """Return how many times (H, W) is halved, and the size of the remaining map.

    64×64 → 3 times to 8×8; 24×40 → once to 12×20; 28×28 → not 7×7, but once to 14×14.

    Raises:
        ArgumentError: the remaining map is too large for a fully connected layer.
    """
    _, height, width = image_shape
    count = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SMALLEST_BASE:
        height, width, count = height // 2, width // 2, count + 1
    if max(height, width) > LARGEST_BASE:
        raise ArgumentError(
            f"image_shape {tuple(image_shape)} does not work: halved {count} times, {height}×{width} remain, "
            f"and a fully connected layer takes at most {LARGEST_BASE}×{LARGEST_BASE}",
            "multiples of 16 with similar sides work, such as 32×32, 64×64 or 96×64",
        )
    return count, (height, width)


class Decoder(nn.Module):
    """Codes (N, latent_size) → images (N, C, H, W), trained towards [-1, 1] and not bounded to it."""

    def __init__(self, config: BEGANConfig) -> None:
        super().__init__()
        count, (height, width) = stages(config.image_shape)
        self.skip = config.skip
        self.project = nn.Linear(config.latent_size, config.width * height * width)
        self.unflatten = nn.Unflatten(1, (config.width, height, width))
        later = 2 * config.width if config.skip else config.width
        self.blocks = nn.ModuleList(
            _block(later if number else config.width, config.width, config.depth)
            for number in range(count + 1)
        )
        self.paint = nn.Conv2d(config.width, config.image_shape[0], 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Return the images of codes (N, latent_size)."""
        first = self.unflatten(self.project(h))  # (N, width, *base)
        x = first
        for number, block in enumerate(self.blocks):
            if number:
                x = _doubled(x, 2)
                if self.skip:
                    x = torch.cat([x, _doubled(first, 2**number)], dim=1)  # (N, 2 · width, ...)
            x = block(x)
        images: Tensor = self.paint(x)
        return images


class Encoder(nn.Sequential):
    """Images (N, C, H, W) in [-1, 1] → codes (N, latent_size)."""

    def __init__(self, config: BEGANConfig) -> None:
        count, (height, width) = stages(config.image_shape)
        layers: list[nn.Module] = [nn.Conv2d(config.image_shape[0], config.width, 3, padding=1), nn.ELU()]
        for number in range(1, count + 2):
            wide = number * config.width
            if number > 1:
                layers += [nn.Conv2d(wide - config.width, wide, 3, stride=2, padding=1), nn.ELU()]
            layers += [*_block(wide, wide, config.depth)]
        super().__init__(*layers, nn.Flatten(), nn.Linear(wide * height * width, config.latent_size))


class Autoencoder(nn.Module):
    """The discriminator: images (N, C, H, W) → their reconstructions, of the same shape."""

    def __init__(self, config: BEGANConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def forward(self, v: Tensor) -> Tensor:
        """Return D(v)."""
        rebuilt: Tensor = self.decoder(self.encoder(v))
        return rebuilt


def initialise(module: nn.Module) -> None:
    """Initialise weights as in Glorot & Bengio 2010, and biases to 0."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _block(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ELU()]
        inputs = outputs
    return nn.Sequential(*layers)


def _doubled(x: Tensor, times: int) -> Tensor:
    return interpolate(x, scale_factor=times, mode="nearest")
