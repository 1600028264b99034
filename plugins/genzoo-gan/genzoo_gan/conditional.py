"""Conditional generative adversarial nets (Mirza & Osindero 2014, arXiv:1411.1784) with the paper's nets for
MNIST: G and D both take a label.

In both nets image (or noise) and label pass a layer of their own, and a joint layer follows. D has maxout
units and dropout. A label enters as a one-hot vector; its product with a matrix is a row of the matrix, so
the layer is an `nn.Embedding`.

The paper draws z from the unit hypercube and drops units of G as well. Here z is uniform with mean 0 and
variance 1, as in `GAN`, and G drops nothing: an image is a function of z and label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from genzoo import Labels
from genzoo.models import AdversarialModel
from genzoo.schema import limits
from genzoo_gan.gan import KEPT, SPREAD, GANConfig, Maxout, initialise, largest

DIGITS = tuple("0123456789")
# Fresh weights are U(-spread, spread). GAN has 0.05 in G and 0.005 in D. Here the weights of D's label and
# joint layer are larger, so that the label chooses which piece of a joint maxout unit is the largest: each
# label has a function of the image of its own. With 0.005 everywhere the pieces hardly differ, and D takes
# hundreds of rounds to notice that label and image belong together. In G such a loud label drowns z: the
# images of a label become one image.
SPREAD_G, SPREAD_IMAGE, SPREAD_JOINT, SPREAD_LABEL = 0.05, 0.005, 0.05, 0.5


@dataclass(frozen=True, kw_only=True)
class ConditionalGANConfig(GANConfig):
    """Config of a conditional GAN; the defaults are the paper's.

    Attributes:
        width: units of the generator's joint layer.
        discriminator_width: maxout units of the discriminator's layer of the image, and of its joint layer.
        pieces: linear pieces of a maxout unit of the layers before the joint one.
        labels: the names of the labels.
        noise_width: units of the generator's layer of z.
        label_width: units of the generator's layer of the label.
        discriminator_label_width: maxout units of the discriminator's layer of the label.
        joint_pieces: linear pieces of a maxout unit of the joint layer.
    """

    labels: tuple[str, ...] = field(default=DIGITS, metadata=limits())
    noise_width: int = field(default=200, metadata=limits(1, 8192))
    label_width: int = field(default=1000, metadata=limits(1, 8192))
    discriminator_label_width: int = field(default=50, metadata=limits(1, 8192))
    joint_pieces: int = field(default=4, metadata=limits(1, 16))


class ConditionalGAN(AdversarialModel):
    """G: z (N, latent_size) and labels (N,) → images; D: images and labels → logits. z is uniform."""

    Config = ConditionalGANConfig
    condition_type = Labels
    prior = "uniform"
    decode_chunk = 64
    recordable = True

    def __init__(self, config: ConditionalGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = LabelledGenerator(config)
        self.discriminator = LabelledDiscriminator(config)

    def _decode(self, z: Tensor, condition: Tensor) -> Tensor:
        images: Tensor = self.generator(SPREAD * z, condition)  # (N, C, H, W) in [0, 1]
        return images

    def _discriminate(self, x: Tensor, condition: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(x, condition)  # (N,); the sigmoid lives in the losses
        return logits


class LabelledGenerator(nn.Module):
    """G: layers of rectified linear units for z and for the label, a joint one, sigmoid pixels."""

    def __init__(self, config: ConditionalGANConfig) -> None:
        super().__init__()
        pixels = math.prod(config.image_shape)
        self.noise = nn.Sequential(nn.Linear(config.latent_size, config.noise_width), nn.ReLU(inplace=True))
        self.label = nn.Embedding(len(config.labels), config.label_width)
        self.joint = nn.Sequential(
            nn.Linear(config.noise_width + config.label_width, config.width),
            nn.ReLU(inplace=True),
            nn.Linear(config.width, pixels),
            nn.Sigmoid(),
            nn.Unflatten(1, config.image_shape),
        )
        initialise(self, SPREAD_G)
        nn.init.uniform_(self.label.weight, -SPREAD_G, SPREAD_G)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [0, 1] of `z` (N, latent_size) and `labels` (N,)."""
        images: Tensor = self.joint(torch.cat([self.noise(z), self.label(labels).relu()], 1))
        return images


class LabelledDiscriminator(nn.Module):
    """D: layers of maxout units for the image and for the label, a joint one, one logit.

    Dropout acts on the pixels and on all units, never on the label itself.
    """

    def __init__(self, config: ConditionalGANConfig) -> None:
        super().__init__()
        pixels, units, own = (
            math.prod(config.image_shape),
            config.discriminator_width,
            config.discriminator_label_width,
        )
        drops = [nn.Dropout(1 - kept) if config.dropout else nn.Identity() for kept in KEPT]
        self.pieces = config.pieces
        self.label = nn.Embedding(len(config.labels), own * config.pieces)
        self.image = nn.Sequential(nn.Flatten(), drops[0], Maxout(pixels, units, config.pieces))
        self.joint = nn.Sequential(
            drops[1],
            Maxout(units + own, units, config.joint_pieces),
            drops[2],
            nn.Linear(units, 1),
            nn.Flatten(0),
        )
        initialise(self.image, SPREAD_IMAGE)
        initialise(self.joint, SPREAD_JOINT)
        nn.init.uniform_(self.label.weight, -SPREAD_LABEL, SPREAD_LABEL)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return logits (N,) of images `x` (N, C, H, W) and `labels` (N,)."""
        seen = self.image(x)
        logits: Tensor = self.joint(torch.cat([seen, largest(self.label(labels), self.pieces)], 1))
        return logits
