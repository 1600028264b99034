"""Toy models whose images show their z, and a data set with attributes; their cards name them as
`latent_toys:Class`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from genzoo.data import Images
from genzoo.models import AdversarialModel, DensityModel, EncodingModel, Posterior
from genzoo.rng import Rng
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class StripesConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    latent_size: int = field(default=2, metadata=limits(1, 8))


class Codes(EncodingModel):
    """An autoencoder: stripe j of the image, from the top, is as light as the share of N(0, 1) below z_j;
    encoding is the way back."""

    Config = StripesConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.shift = nn.Parameter(torch.zeros(config.latent_size))

    def _decode(self, z):
        shares = torch.special.ndtr(z + self.shift)  # (N, D)
        channels, height, width = self.image_shape
        return shares.repeat_interleave(height // self.latent_size, 1)[:, None, :, None].expand(
            -1, channels, -1, width
        )

    def _encode(self, x):
        stripes = x.mean((1, 3)).unflatten(1, (self.latent_size, -1)).mean(2)  # (N, D)
        return torch.special.ndtri(stripes.double().clamp(0.001, 0.999)).float() - self.shift


class Stripes(DensityModel, Codes):
    """The same as a VAE: its encoder gives moments, and it can be sampled."""

    exact, levels = False, 256

    def _encode(self, x):
        mean = super()._encode(x)
        return Posterior(mean, torch.full_like(mean, -9.0))

    def _log_prob(self, x):
        return -(x - 0.5).square().flatten(1).sum(1)

    def _sample(self, rng: Rng):
        return self._decode(self._latents(rng))


def model(kind=Stripes, latent_size=2):
    return kind(kind.Config(latent_size=latent_size)).eval()


ATTRIBUTES = ("Smiling", "Male")


def people(split) -> Images:
    """Return 64 images (1, 8, 8) of two stripes: the upper is light where somebody smiles, the lower where it
    is a man; 4 are unsure."""
    numbers = np.random.default_rng({"train": 0, "test": 1}[split])
    shares = {name: np.where(numbers.random(64) < 0.5, 0.95, 0.05).astype(np.float32) for name in ATTRIBUTES}
    light = np.stack([np.where(shares[name] > 0.5, 200, 55) for name in ATTRIBUTES], 1)  # (64, 2)
    light = light + numbers.integers(-20, 20, (64, 2))
    for name, rows in zip(ATTRIBUTES, (slice(0, 2), slice(2, 4)), strict=True):
        shares[name][rows] = (0.5, np.nan)
    pixels = np.repeat(np.repeat(light.astype(np.uint8), 4, 1)[:, None, :, None], 8, 3)
    return Images(pixels=pixels, name="people", split=split, attributes=shares)


class Faces(AdversarialModel):
    """A GAN that draws stripes, as `Codes` does; its discriminator is as random weights have it."""

    Config = StripesConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        torch.manual_seed(0)
        self.generator = nn.Identity()
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, 12, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(12, 1, 4),
            nn.Flatten(0),
        )

    def _decode(self, z):
        shares = torch.special.ndtr(z)  # (N, D)
        return shares.repeat_interleave(8 // self.latent_size, 1)[:, None, :, None].expand(-1, 1, -1, 8)

    def _discriminate(self, x):
        return self.discriminator(x)
