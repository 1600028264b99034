"""Encoders and decoders of images of any (C, H, W): fully connected, convolutions that halve the map, or
convolutions on a map of latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from genzoo.layers import StridedConv2d, StridedConvTranspose2d
from genzoo.losses.likelihood import dimensions

Shape = tuple[int, int, int]
MOST_HALVINGS = 4
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
PATCH = 2  # halvings from an image to a map of latents: one position for each 4 × 4 pixels
SMALLEST_MAP = 4  # positions of the shorter side at which halving stops


def halvings(image_shape: Shape) -> int:
    """Return how often a convolutional VAE halves the map, 1 to 4: 28×28 → 2, to 7×7; 64×64 → 4, to 4×4."""
    side, count = min(image_shape[1:]), 0
    while count < MOST_HALVINGS and side // 2 >= SMALLEST_MAP:
        side, count = side // 2, count + 1
    return max(count, 1)


def base_of(image_shape: Shape, count: int) -> tuple[int, int]:
    """Return the size of the map after `count` halvings; a side that they do not divide is rounded up."""
    _, height, width = image_shape
    return -(-height >> count), -(-width >> count)


class Enlarge(nn.Module):
    """Scale pixels to [-1, 1] and add grey on the right and below, up to a size that `count` halvings
    divide.
    """

    def __init__(self, image_shape: Shape, count: int) -> None:
        super().__init__()
        (height, width), side = base_of(image_shape, count), 2**count
        self.margins = (0, width * side - image_shape[2], 0, height * side - image_shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H', W') in [-1, 1] of images (N, C, H, W) in [0, 1]."""
        return pad(2 * x - 1, self.margins)


class Crop(nn.Module):
    """Take away what `Enlarge` has added."""

    def __init__(self, image_shape: Shape) -> None:
        super().__init__()
        self.height, self.width = image_shape[1:]

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, channels, H, W) of maps (N, channels, H', W')."""
        return maps[..., : self.height, : self.width]


class Centre(nn.Module):
    """Scale pixels to [-1, 1] and lay them out in a row."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C·H·W) in [-1, 1] of images (N, C, H, W) in [0, 1]."""
        return 2 * x.flatten(1) - 1


class Residual(nn.Module):
    """x + two 3 × 3 convolutions of it: depth without a change of size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the shape of `x`, (N, channels, H, W)."""
        out: Tensor = x + self.net(x)
        return out


class Patches(nn.Module):
    """z → a map of features → pixels: neighbours see each other once, then each position draws its own square
    of the image.

    What draws a stroke is the same everywhere, so it has few weights and learns them from all positions
    (compare Shi et al. 2016, the sub-pixel convolution). Per image it takes two matrix products and one small
    convolution, which thousands of draws can pass.
    """

    def __init__(self, image_shape: Shape, units: int, width: int, inputs: int, outputs: int) -> None:
        super().__init__()
        count = halvings(image_shape)
        self.map = (*base_of(image_shape, count), width)  # (h, w, width), each position 2^count pixels wide
        self.lay = nn.Sequential(
            nn.Linear(inputs, units), nn.SiLU(), nn.Linear(units, dimensions(self.map)), nn.SiLU()
        )
        self.draw = nn.Sequential(
            nn.Conv2d(width, 3 * width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(3 * width, 4**count * outputs * image_shape[0], 1),
            nn.PixelShuffle(2**count),
            Crop(image_shape),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return maps (N, outputs · C, H, W) of z (N, inputs)."""
        # (N, width, h, w), in memory channels last
        features = self.lay(z).unflatten(1, self.map).permute(0, 3, 1, 2)
        maps: Tensor = self.draw(features)
        return maps


class LatentMap(nn.Module):
    """z → a map of latents (N, channels, h, w); what follows the latents in the row goes to every position.

    Args:
        image_shape: of the images that are decoded.
        latents: number of components of z, a multiple of h · w.
    """

    def __init__(self, image_shape: Shape, latents: int) -> None:
        super().__init__()
        height, width = base_of(image_shape, PATCH)
        self.map = (latents // (height * width), height, width)

    def forward(self, z: Tensor) -> Tensor:
        """Return (N, channels + rest, h, w) of z (N, latents + rest)."""
        latents = dimensions(self.map)
        rest = z[:, latents:, None, None].expand(-1, -1, *self.map[1:])
        return torch.cat([z[:, :latents].unflatten(1, self.map), rest], 1)


def map_encoder(image_shape: Shape, width: int, depth: int, latents: int) -> nn.Sequential:
    """Return images → (N, 2 · latents), mean and log σ² of a map of latents: squares of 4 × 4 pixels, then
    `depth` residual blocks of `width` channels.
    """
    side = 2**PATCH
    height, columns = base_of(image_shape, PATCH)
    return nn.Sequential(
        Enlarge(image_shape, PATCH),
        nn.Conv2d(image_shape[0], width, side, stride=side),
        *(Residual(width) for _ in range(depth)),
        nn.SiLU(),
        nn.Conv2d(width, 2 * latents // (height * columns), 1),
        nn.Flatten(),
    )


def map_decoder(
    image_shape: Shape, width: int, depth: int, latents: int, inputs: int, outputs: int
) -> nn.Sequential:
    """Return z (N, inputs), of which `latents` are a map → maps (N, outputs · C, H, W): `depth` residual
    blocks, then each position draws its own square, as in `Patches`.
    """
    laid = LatentMap(image_shape, latents)
    return nn.Sequential(
        laid,
        nn.Conv2d(laid.map[0] + inputs - latents, width, 3, padding=1),
        *(Residual(width) for _ in range(depth)),
        nn.SiLU(),
        nn.Conv2d(width, 3 * width, 1),
        nn.SiLU(),
        nn.Conv2d(3 * width, 4**PATCH * outputs * image_shape[0], 1),
        nn.PixelShuffle(2**PATCH),
        Crop(image_shape),
    )


def mlp_encoder(
    image_shape: Shape, width: int, depth: int, outputs: int, activation: str = "tanh"
) -> nn.Sequential:
    """Return images → (N, outputs) through `depth` hidden layers of `width` units, tanh as in the papers."""
    sizes = [dimensions(image_shape), *[width] * depth]
    return nn.Sequential(Centre(), *_hidden(sizes, activation), nn.Linear(width, outputs))


def mlp_decoder(
    image_shape: Shape, width: int, depth: int, inputs: int, outputs: int, activation: str = "tanh"
) -> nn.Sequential:
    """Return z (N, inputs) → maps (N, outputs · C, H, W)."""
    maps = (outputs * image_shape[0], *image_shape[1:])
    last = nn.Linear(width, dimensions(maps))
    return nn.Sequential(*_hidden([inputs, *[width] * depth], activation), last, nn.Unflatten(1, maps))


def conv_encoder(image_shape: Shape, width: int, depth: int, outputs: int, units: int = 0) -> nn.Sequential:
    """Return images → (N, outputs): each halving doubles the channels, up to 4 · `width`, with `depth`
    residual blocks behind it.

    With `units` the last map is narrowed to `width` channels, the map that `Patches` lays, and a hidden layer
    of so many units is put between it and the outputs.
    """
    count = halvings(image_shape)
    layers: list[nn.Module] = [Enlarge(image_shape, count)]
    widths = _widths(width, count)
    for narrow, wide in pairwise([image_shape[0], *widths]):
        layers += [
            StridedConv2d(narrow, wide, 4, stride=2, padding=1),
            *(Residual(wide) for _ in range(depth)),
            nn.SiLU(),
        ]
    base = base_of(image_shape, count)
    if not units:
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(dimensions((widths[-1], *base)), outputs))
    layers += [
        nn.Conv2d(widths[-1], width, 1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(dimensions((width, *base)), units),
        nn.SiLU(),
    ]
    return nn.Sequential(*layers, nn.Linear(units, outputs))


def conv_decoder(image_shape: Shape, width: int, depth: int, inputs: int, outputs: int) -> nn.Sequential:
    """Return z (N, inputs) → maps (N, outputs · C, H, W): the encoder, mirrored."""
    count = halvings(image_shape)
    widths, base = _widths(width, count)[::-1], base_of(image_shape, count)
    layers: list[nn.Module] = [
        nn.Linear(inputs, dimensions((widths[0], *base))),
        nn.Unflatten(1, (widths[0], *base)),
    ]
    for wide, narrow in pairwise([*widths, image_shape[0] * outputs]):
        layers += [
            *(Residual(wide) for _ in range(depth)),
            nn.SiLU(),
            StridedConvTranspose2d(wide, narrow, 4, stride=2, padding=1),
        ]
    return nn.Sequential(*layers, Crop(image_shape))


def _widths(width: int, count: int) -> list[int]:
    return [width * min(2**i, 4) for i in range(count)]


def _hidden(sizes: Sequence[int], activation: str) -> list[nn.Module]:
    kind = ACTIVATIONS[activation]
    return [layer for inputs, outputs in pairwise(sizes) for layer in (nn.Linear(inputs, outputs), kind())]
