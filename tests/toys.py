"""Toy models, small enough to be trained in a blink; their cards name them as `toys:Class`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from genzoo import Adversarial, Card, Family, Recipe
from genzoo.layers import SpectralConv2d
from genzoo.models import AdversarialModel, DensityModel, EncodingModel, ImportanceModel
from genzoo.rng import Rng, generator
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 4096))
    latent_size: int = field(default=4, metadata=limits(1, 64))
    width: int = field(default=4, metadata=limits(1, 64))
    norm: bool = True
    dropout: float = field(default=0.3, metadata=limits(0, 1))
    spectral: bool = False  # whether the discriminator's weights are normalised


class ToyGAN(AdversarialModel):
    """Everything that makes resuming hard: convolutions, batch norm in both nets, dropout in D."""

    Config = ToyConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        c, h, w = config.image_shape
        norm = nn.BatchNorm2d if config.norm else nn.Identity
        self.generator = nn.Sequential(
            nn.ConvTranspose2d(config.latent_size, config.width, (h // 2, w // 2)),
            norm(config.width),
            nn.ReLU(),
            nn.ConvTranspose2d(config.width, c, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )
        conv = SpectralConv2d if config.spectral else nn.Conv2d
        self.discriminator = nn.Sequential(
            conv(c, config.width, 4, stride=2, padding=1),
            norm(config.width),
            nn.LeakyReLU(0.2),
            nn.Dropout(config.dropout),
            conv(config.width, 1, (h // 2, w // 2)),
            nn.Flatten(0),
        )

    def _decode(self, z):
        return self.generator(z[:, :, None, None])

    def _discriminate(self, x):
        return self.discriminator(2 * x - 1)


class SadGAN(ToyGAN):
    """Its discriminator's logits become NaN at the fourth time that it is shown something."""

    shown = 0

    def _discriminate(self, x):
        self.shown += 1
        return super()._discriminate(x) * (float("nan") if self.shown > 9 else 1.0)


class UniformGAN(ToyGAN):
    prior = "uniform"


class Bernoulli(DensityModel):
    """Independent black and white pixels: the likelihood game can reach the entropy of its data exactly."""

    Config = ToyConfig
    exact, levels = True, 2

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.logits = nn.Parameter(torch.zeros(config.image_shape))

    def _log_prob(self, x: Tensor) -> Tensor:
        return (x * logsigmoid(self.logits) + (1 - x) * logsigmoid(-self.logits)).sum((1, 2, 3))

    def _sample(self, rng: Rng) -> Tensor:
        return (rng.uniform(*self.image_shape) < self.logits.sigmoid()).float()


class Coins(ImportanceModel):
    """Black and white pixels that share one bias, z ~ N(0, 1); q(z|x) is the prior, so that w = p(x|z)."""

    Config = ToyConfig
    levels, sizes = 2, (3, 4, 100)  # of the blocks of weights, over and over

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.slope = nn.Parameter(torch.tensor([1.5]))
        self.dropout = nn.Dropout(config.dropout)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x|z), (K, N), of x (N, C, H, W) and z (K, N)."""
        return logsigmoid((2 * x.flatten(1) - 1) * (self.slope * self.dropout(z[..., None]) + 0.3)).sum(-1)

    def _log_weights(self, x: Tensor, k: int, seed: int) -> Iterator[Tensor]:
        streams = [generator(seed, *map(int, image.flatten())) for image in x]
        for size in itertools.cycle(self.sizes):
            z = torch.stack([torch.randn(100, generator=stream)[:size] for stream in streams], 1)
            yield self.log_likelihood(x, z)[:k]
            k -= size
            if k <= 0:
                return

    def _log_prob(self, x: Tensor) -> Tensor:
        z = torch.stack([torch.randn(16, generator=generator(*map(int, image.flatten()))) for image in x], 1)
        return self.log_likelihood(x, z).mean(0)

    def _sample(self, rng: Rng) -> Tensor:
        bias = (self.slope * rng.normal(1, 1, 1) + 0.3).sigmoid()
        return (rng.uniform(*self.image_shape) < bias).float()


class Coder(EncodingModel):
    """An autoencoder: codes, no samples."""

    Config = ToyConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        pixels = config.image_shape[0] * config.image_shape[1] * config.image_shape[2]
        self.down, self.up = nn.Linear(pixels, config.latent_size), nn.Linear(config.latent_size, pixels)

    def _encode(self, x):
        return self.down(x.flatten(1))

    def _decode(self, z):
        return self.up(z).sigmoid().view(-1, *self.image_shape)


def recipe_of(base=None, **keys) -> Recipe:
    """Return `base` with these keys, of the recipe and of the adversarial game alike."""
    base = base or Recipe()
    of_game = {f.name for f in dataclasses.fields(Adversarial)} & set(keys)
    game = {key: keys.pop(key) for key in of_game}
    if game:
        keys["game"] = dataclasses.replace(base.game or Adversarial(), **game)
    return base.replace(**keys)


RECIPE = Recipe(data="digits", steps=6, batch_size=16, precision="fp32", lr={"all": 2e-3}, betas=(0.5, 0.9))
CARDS = {
    "toy-gan": Card(
        name="toy-gan", family=Family.IMPLICIT, model="toys:ToyGAN", recipe=RECIPE, summary="A toy"
    ),
    "sad-gan": Card(name="sad-gan", family=Family.IMPLICIT, model="toys:SadGAN", recipe=RECIPE),
    "coin": Card(name="coin", family=Family.TRACTABLE, model="toys:Bernoulli", recipe=RECIPE),
    "coins": Card(
        name="coins",
        family=Family.APPROXIMATE,
        model="toys:Coins",
        recipe=RECIPE.replace(data="binarized-digits"),
    ),
    "coder": Card(name="coder", family=Family.AUTOENCODER, model="toys:Coder"),
}


def gan(**config) -> ToyGAN:
    """Return a toy GAN whose weights are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ToyGAN(ToyConfig(**config))
        for module in model.modules():  # statistics as after some training
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        return model
