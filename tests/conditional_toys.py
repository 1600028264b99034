"""Toy models that take labels; their cards name them as `conditional_toys:Class`."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import logsigmoid
from toys import ToyConfig, ToyGAN

from genzoo import Card, Family, Labels, Recipe
from genzoo.models import DensityModel
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
