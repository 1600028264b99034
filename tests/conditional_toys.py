"""Toy models that take labels; their cards name them as `conditional_toys:Class`."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import logsigmoid
from toys import ToyConfig, ToyGAN

from genzoo import Card, Family, Labels, Recipe
from genzoo.models import AutoregressiveModel, DensityModel, EncodingModel
from genzoo.schema import limits

NAMES = ("cat", "dog", "horse")


@dataclass(frozen=True, kw_only=True)
class LabelConfig(ToyConfig):
    labels: tuple[str, ...] = field(default=NAMES, metadata=limits())


class LabelGAN(ToyGAN):
    """z and an embedded label enter G, D judges by projection on an embedding (Miyato & Koyama 2018)."""

    Config = LabelConfig
    condition_type = Labels

    def __init__(self, config):
        super().__init__(config)
        size = config.latent_size
        self.generator = nn.ModuleList([nn.Embedding(len(config.labels), size), self.generator])
        pixels = torch.Size(config.image_shape).numel()
        self.discriminator = nn.ModuleList([nn.Embedding(len(config.labels), pixels), self.discriminator])

    def _decode(self, z, condition):
        embed, net = self.generator
        return net((z + embed(condition))[:, :, None, None])

    def _discriminate(self, x, condition):
        embed, net = self.discriminator
        return net(2 * x - 1) + (embed(condition) * x.flatten(1)).mean(1)


class LabelBernoulli(DensityModel):
    """Independent black and white pixels for each label: p(x|c), exactly."""

    Config = LabelConfig
    exact, levels = True, 2
    condition_type = Labels

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.logits = nn.Parameter(torch.randn(len(config.labels), *config.image_shape))

    def _log_prob(self, x, condition):
        logits = self.logits[condition]
        return (x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)).sum((1, 2, 3))

    def _sample(self, rng, condition):
        return (rng.uniform(*self.image_shape) < self.logits[condition].sigmoid()).float()


class LabelCodes(EncodingModel):
    """An autoencoder that is given the label of an image on both sides."""

    Config = LabelConfig
    condition_type = Labels

    def __init__(self, config):
        super().__init__()
        self.config = config
        pixels = torch.Size(config.image_shape).numel()
        self.embed = nn.Embedding(len(config.labels), config.latent_size)
        self.down, self.up = nn.Linear(pixels, config.latent_size), nn.Linear(config.latent_size, pixels)

    def _encode(self, x, condition):
        return self.down(x.flatten(1)) - self.embed(condition)

    def _decode(self, z, condition):
        return self.up(z + self.embed(condition)).sigmoid().view(-1, *self.image_shape)


class LabelPixels(AutoregressiveModel):
    """Each pixel is light if the one to its left is, or not, as its label has it."""

    Config = LabelConfig
    levels = 2
    condition_type = Labels

    def __init__(self, config):
        super().__init__()
        self.config = config
        size = (len(config.labels), *config.image_shape)
        self.slope, self.bias = nn.Parameter(torch.randn(size)), nn.Parameter(torch.randn(size))

    def _predict(self, x, condition):
        left = nn.functional.pad(x, (1, 0))[..., :-1]
        return (self.bias[condition] + self.slope[condition] * (2 * left - 1))[:, None]

    def _log_mass(self, params, level):
        return logsigmoid(torch.where(level > 0, params[:, 0], -params[:, 0]))

    def _quantile(self, params, u):
        return (u >= (-params[:, 0]).sigmoid()).long()


def card(kind: type, name: str = "", **changes) -> Card:
    family = kind.family
    assert isinstance(family, Family)
    facts = {
        "name": name or kind.__name__.lower(),
        "family": family,
        "model": f"conditional_toys:{kind.__name__}",
        "condition": Labels(NAMES),
        "recipe": Recipe(data="digits", steps=3, batch_size=6),
    }
    return Card(**{**facts, **changes})
