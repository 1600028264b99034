"""A DCGAN that takes labels: G has an embedding of the label beside z, D judges by projection.

G's input is z with an embedding of the label appended (Radford et al.'s nets, Mirza & Osindero's idea). D's
output is that of projection (Miyato & Koyama 2018, arXiv:1802.05637, equation 4)

    logit(x, y) = ψ(φ(x)) + ⟨e_y, Σ φ(x)⟩

where φ are the layers up to the last hidden one, the sum runs over the positions of its map, ψ is the last
layer of the DCGAN, and e_y is D's embedding of the label.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from genzoo import Labels
from genzoo.errors import ArgumentError
from genzoo.layers import SpectralEmbedding, decoded
from genzoo.models import AdversarialModel
from genzoo.schema import limits
from genzoo_dcgan.dcgan import SPECTRAL, DCGANConfig, channels, discriminator, generator, stages, start

ROOMS = ("bedroom", "dining room", "kitchen", "living room")


@dataclass(frozen=True, kw_only=True)
class ConditionalDCGANConfig(DCGANConfig):
    """Config of a DCGAN that takes labels.

    Attributes:
        labels: the names of the labels.
        label_size: components of the embedding of a label that G gets beside z.
    """

    labels: tuple[str, ...] = field(default=ROOMS, metadata=limits())
    label_size: int = field(default=32, metadata=limits(1, 4096))


class ConditionalDCGAN(AdversarialModel):
    """G: z (N, latent_size) and labels (N,) → images; D: images and labels → logits. z is Gaussian."""

    Config = ConditionalDCGANConfig
    condition_type = Labels
    decode_chunk = 64
    recordable = True

    def __init__(self, config: ConditionalDCGANConfig) -> None:
        super().__init__()
        if config.dropout:
            raise ArgumentError(
                "dropout must be 0 in a DCGAN that takes labels: its noise is decided by z alone",
                "leave dropout out, or use dcgan",
            )
        self.config = config
        self.generator = LabelledGenerator(config)
        self.discriminator = ProjectionDiscriminator(config)
        start(self, config)

    def _decode(self, z: Tensor, condition: Tensor) -> Tensor:
        images: Tensor = self.generator(z, condition)  # (N, C, H, W) in [-1, 1]
        return images.add(1).div(2)

    def _discriminate(self, x: Tensor, condition: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(2 * x - 1, condition)
        return logits  # (N,)


class LabelledGenerator(nn.Module):
    """The generator of a DCGAN, whose input is z with an embedding of the label appended."""

    def __init__(self, config: ConditionalDCGANConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(config.labels), config.label_size)  # N(0, 1), like z
        self.net = generator(dataclasses.replace(config, latent_size=config.latent_size + config.label_size))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] of `z` (N, latent_size) and `labels` (N,)."""
        return decoded(self.net, torch.cat([z, self.embed(labels)], 1)[:, :, None, None])


class ProjectionDiscriminator(nn.Module):
    """The discriminator of a DCGAN, plus the projection of its last hidden map on an embedding of the label.

    `features` is φ, `head` is ψ, `embed` has a row e_y for each label y.
    """

    def __init__(self, config: ConditionalDCGANConfig) -> None:
        super().__init__()
        layers = list(discriminator(config))
        cut = -3 if config.minibatch else -1  # where the head begins
        count, _ = stages(config.image_shape)
        width = channels(config.discriminator_width or config.width, count)[-1]
        spectral = (config.discriminator_norm or config.norm) == SPECTRAL
        self.embed = (SpectralEmbedding if spectral else nn.Embedding)(len(config.labels), width)
        self.features, self.head = nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])
        nn.init.normal_(self.embed.weight, 0.0, 0.02)  # as every other weight of D

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return logits (N,) of images `x` (N, C, H, W) in [-1, 1] and `labels` (N,)."""
        h = self.features(x)
        logits: Tensor = self.head(h).flatten() + (self.embed(labels) * h.sum((2, 3))).sum(1)
        return logits
