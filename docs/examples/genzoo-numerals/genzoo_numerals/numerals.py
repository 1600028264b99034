"""A GAN of two small nets, given a label: a generator draws images, a discriminator judges them."""

from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn

from genzoo import Labels
from genzoo.models import AdversarialModel
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class NumeralsConfig:
    """What the model is built from; every key can be set: `genzoo train numerals --set width=64`."""

    labels: tuple[str, ...]  # from the card
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    latent_size: int = field(default=16, metadata=limits(1, 1024))
    width: int = field(default=128, metadata=limits(1, 4096))


class Generator(nn.Module):
    """Images of z and an embedded label."""

    def __init__(self, config: NumeralsConfig) -> None:
        super().__init__()
        latents, width = config.latent_size, config.width
        self.label = nn.Embedding(len(config.labels), latents)
        self.net = nn.Sequential(
            nn.Linear(2 * latents, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, prod(config.image_shape)),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """Return pixels (N, C · H · W) in [0, 1] of `z` (N, latent_size) and `label` (N,)."""
        pixels: Tensor = self.net(torch.cat([z, self.label(label)], 1))
        return pixels


class Discriminator(nn.Module):
    """How real an image looks, and how well its features fit the embedded label (Miyato & Koyama 2018)."""

    def __init__(self, config: NumeralsConfig) -> None:
        super().__init__()
        width = config.width
        self.label = nn.Embedding(len(config.labels), width)
        self.net = nn.Sequential(
            nn.Linear(prod(config.image_shape), width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
        )
        self.real = nn.Linear(width, 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Return logits (N,) of pixels `x` (N, C · H · W) in [-1, 1] and `label` (N,)."""
        features = self.net(x)  # (N, width)
        fit = (self.label(label) * features).sum(1) / features.shape[1] ** 0.5
        logits: Tensor = self.real(features)[:, 0] + fit
        return logits


class Numerals(AdversarialModel):
    """x = G(z, c) with z ~ N(0, I) and a label c: it can be sampled, and has no likelihood."""

    Config = NumeralsConfig
    condition_type = Labels
    recordable = True  # a turn branches on nothing, so a GPU may record it and play it back

    def __init__(self, config: NumeralsConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

    def _decode(self, z: Tensor, condition: Tensor) -> Tensor:  # (N, latent_size), (N,)
        images: Tensor = self.generator(z, condition).unflatten(1, self.config.image_shape)
        return images  # (N, C, H, W) in [0, 1]

    def _discriminate(self, x: Tensor, condition: Tensor) -> Tensor:  # (N, C, H, W), (N,)
        logits: Tensor = self.discriminator(2 * x.flatten(1) - 1, condition)
        return logits  # (N,)
