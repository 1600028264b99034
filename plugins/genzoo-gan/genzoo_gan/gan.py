"""Generative adversarial nets (Goodfellow et al. 2014, arXiv:1406.2661) as the paper trained them on MNIST:
two perceptrons.

G has two hidden layers of rectified linear units and sigmoid pixels, D two hidden layers of maxout units and
dropout before every layer. Sizes, noise and initial weights are those of the paper's code (`mnist.yaml` of
github.com/goodfeli/adversarial). It trained with SGD, momentum and a bound on the norm of D's weights; the
recipes here use Adam and no bound.

Other modules may build on `GANConfig`, `Maxout`, `largest`, `initialise`, `SPREAD` and `KEPT`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from genzoo.models import AdversarialModel
from genzoo.schema import limits

SPREAD = math.sqrt(3)  # z ~ U(-√3, √3) has variance 1; the zoo's uniform prior is U(-1, 1)
KEPT = (0.8, 0.5, 0.5)  # shares that dropout keeps of D's input and of its hidden layers


@dataclass(frozen=True, kw_only=True)
class GANConfig:
    """Config of a GAN; the defaults are the paper's.

    Attributes:
        image_shape: (C, H, W), any.
        latent_size: number of components of z.
        width: units of each of the generator's two hidden layers.
        discriminator_width: maxout units of each of the discriminator's two hidden layers.
        pieces: linear pieces of a maxout unit.
        dropout: whether D drops inputs and units in training.
    """

    image_shape: tuple[int, int, int] = field(default=(1, 28, 28), metadata=limits(1, 1024))
    latent_size: int = field(default=100, metadata=limits(1, 4096))
    width: int = field(default=1200, metadata=limits(1, 8192))
    discriminator_width: int = field(default=240, metadata=limits(1, 8192))
    pieces: int = field(default=5, metadata=limits(1, 16))
    dropout: bool = True


class GAN(AdversarialModel):
    """G: z (N, latent_size) → images; D: images → logits. z is uniform."""

    Config = GANConfig
    prior: ClassVar[str] = "uniform"
    decode_chunk = 64
    recordable = True

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config = config
        pixels, units = math.prod(config.image_shape), config.discriminator_width
        self.generator = nn.Sequential(
            nn.Linear(config.latent_size, config.width),
            nn.ReLU(inplace=True),
            nn.Linear(config.width, config.width),
            nn.ReLU(inplace=True),
            nn.Linear(config.width, pixels),
            nn.Sigmoid(),
            nn.Unflatten(1, config.image_shape),
        )
        drops = [nn.Dropout(1 - kept) if config.dropout else nn.Identity() for kept in KEPT]
        self.discriminator = nn.Sequential(
            nn.Flatten(),
            drops[0],
            Maxout(pixels, units, config.pieces),
            drops[1],
            Maxout(units, units, config.pieces),
            drops[2],
            nn.Linear(units, 1),
            nn.Flatten(0),
        )
        initialise(self.generator, 0.05)
        initialise(self.discriminator, 0.005)

    def _decode(self, z: Tensor) -> Tensor:
        images: Tensor = self.generator(SPREAD * z)  # (N, C, H, W) in [0, 1]
        return images

    def _discriminate(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(x)  # (N,); the sigmoid lives in the losses
        return logits


class Maxout(nn.Module):
    """Units that return the largest of their linear pieces (Goodfellow et al. 2013, arXiv:1302.4389): (N,
    inputs) → (N, units).
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Return max over pieces k of (W_k x + b_k), (N, units), of `x` (N, inputs)."""
        return largest(self.linear(x), self.pieces)


def largest(values: Tensor, pieces: int) -> Tensor:
    """Return the largest of the `pieces` values of each unit, (N, units), of `values` (N, pieces * units),
    in which the first piece of every unit comes first, then the second.
    """
    return values.unflatten(1, (pieces, -1)).amax(1)  # type: ignore[no-any-return]


def initialise(net: nn.Module, spread: float) -> None:
    """Draw initial weights from U(-spread, spread) and set biases to 0, as the paper's code does."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -spread, spread)
            nn.init.zeros_(module.bias)
