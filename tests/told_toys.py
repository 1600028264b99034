"""Toy models that take a picture or a text, with games of their own; their cards name them as
`told_toys:Class`."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.functional import l1_loss, softplus
from toys import ToyConfig, ToyGAN

from genzoo import Card, Family, Picture, Recipe, Text
from genzoo.data import Images
from genzoo.models import TranslatingModel
from genzoo.rng import BatchRng
from genzoo.schema import limits
from genzoo.training import Player, players

WORDS = ("a", "blue", "daisy", "red", "rose", "yellow")
SENTENCES = ("a red rose", "a blue daisy", "yellow rose")
TEXT = Text(WORDS, 4, SENTENCES)
PAIRED = Picture((3, 8, 8), ("map", "photo"))
CYCLE = Picture((1, 8, 8), ("horse", "zebra"), both_ways=True, noisy=False)


@dataclass(frozen=True, kw_only=True)
class PairedConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 4096))
    source_shape: tuple[int, int, int] = field(default=(3, 8, 8), metadata=limits(1, 4096))
    domains: tuple[str, str] = ("map", "photo")
    dropout: float = field(default=0.5, metadata=limits(0, 1))

    @property
    def noisy(self):
        return self.dropout > 0


class Paired(TranslatingModel):
    """A pix2pix of two layers: colour to grey, with dropout that stays on."""

    Config = PairedConfig
    multiple = 2

    def __init__(self, config):
        super().__init__()
        self.config = config
        source, target = config.source_shape[0], config.image_shape[0]
        self.down = nn.Conv2d(source, 8, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, target, 4, stride=2, padding=1)
        self.judge = nn.Conv2d(source + target, 1, 3)

    def _translate(self, x, to, rng):
        hidden = self.down(2 * x - 1).relu()
        kept = rng.uniform(*hidden.shape[1:]) >= self.config.dropout
        return self.up(hidden * kept / (1 - self.config.dropout)).sigmoid()


@players.register
def paired_game(model: Paired, recipe: Recipe):
    def drawn(batch, noise):
        return model._translate(batch.condition, "photo", BatchRng(len(batch), noise))

    def judged(y, batch):
        return model.judge(torch.cat([batch.condition, y], 1))

    def critic(batch, noise):
        fake = judged(drawn(batch, noise).detach(), batch)
        return softplus(-judged(batch.images, batch)).mean() + softplus(fake).mean()

    def maker(batch, noise):
        fake = drawn(batch, noise)
        return softplus(-judged(fake, batch)).mean() + l1_loss(fake, batch.images)

    needs = frozenset({"condition"})
    return [
        Player(name="discriminator", module=model.judge, loss=critic, needs=needs),
        Player(name="generator", module=nn.ModuleList([model.down, model.up]), loss=maker, needs=needs),
    ]


@dataclass(frozen=True, kw_only=True)
class CycleConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 4096))
    source_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 4096))
    domains: tuple[str, str] = ("horse", "zebra")
    both_ways: ClassVar[bool] = True
    noisy: ClassVar[bool] = False


class Cycle(TranslatingModel):
    """A CycleGAN of one layer each way."""

    Config = CycleConfig
    multiple = 2

    def __init__(self, config):
        super().__init__()
        self.config = config
        first, second = config.source_shape[0], config.image_shape[0]
        self.there, self.back = nn.Conv2d(first, second, 3, padding=1), nn.Conv2d(second, first, 3, padding=1)

    def _translate(self, x, to, rng):
        return (self.there if to == self.config.domains[1] else self.back)(2 * x - 1).sigmoid()


@players.register
def cycle_game(model: Cycle, recipe: Recipe):
    first, second = model.config.domains

    def loss(batch, noise):
        rng = BatchRng(len(batch), noise)
        there = model._translate(batch.images, second, rng)
        back = model._translate(batch.get("other"), first, rng)
        cycle = l1_loss(model._translate(there, first, rng), batch.images)
        return cycle + l1_loss(model._translate(back, second, rng), batch.other)

    return [Player(name="generators", module=model, loss=loss, needs=frozenset({"other"}))]


@dataclass(frozen=True, kw_only=True)
class TextConfig(ToyConfig):
    vocabulary: tuple[str, ...] = WORDS
    text_length: int = field(default=4, metadata=limits(1, 1000))
    sentences: tuple[str, ...] = SENTENCES


class TextGAN(ToyGAN):
    """A bag of words enters G beside z; D judges by projection on a bag of its own."""

    Config = TextConfig
    condition_type = Text

    def __init__(self, config):
        super().__init__(config)
        words, size = len(config.vocabulary) + 1, config.latent_size
        pixels = torch.Size(config.image_shape).numel()
        self.generator = nn.ModuleList([nn.Embedding(words, size, padding_idx=0), self.generator])
        self.discriminator = nn.ModuleList([nn.Embedding(words, pixels, padding_idx=0), self.discriminator])

    def _decode(self, z, condition):
        embed, net = self.generator
        return net((z + embed(condition).sum(1))[:, :, None, None])

    def _discriminate(self, x, condition):
        embed, net = self.discriminator
        return net(2 * x - 1) + (embed(condition).sum(1) * x.flatten(1)).mean(1)


class MatchingGAN(TextGAN):
    """The same, with a matching-aware discriminator (Reed et al. 2016)."""


@players.register
def matching_game(model: MatchingGAN, recipe: Recipe, mixes_rows: bool = True):
    def drawn(batch, noise):
        return model._decode(model._latents(BatchRng(len(batch), noise)), batch.condition)

    def critic(batch, noise):
        real = model._discriminate(batch.images, batch.condition)
        wrong = model._discriminate(batch.images, batch.condition.roll(1, 0))
        fake = model._discriminate(drawn(batch, noise).detach(), batch.condition)
        return softplus(-real).mean() + (softplus(wrong).mean() + softplus(fake).mean()) / 2

    def maker(batch, noise):
        return softplus(-model._discriminate(drawn(batch, noise), batch.condition)).mean()

    return [
        Player(name="discriminator", module=model.discriminator, loss=critic, mixes_rows=mixes_rows),
        Player(name="generator", module=model.generator, loss=maker, fresh=False),
    ]


CONDITION = {Paired: PAIRED, Cycle: CYCLE, TextGAN: TEXT, MatchingGAN: TEXT}


def card(kind: type, name: str = "", **changes) -> Card:
    condition = next((told for base, told in CONDITION.items() if kind.__name__ == base.__name__), None)
    facts = {
        "name": name or kind.__name__.lower(),
        "family": Family.IMPLICIT,
        "model": f"told_toys:{kind.__name__}",
        "condition": condition,
        "summary": "a model of the tests",
        "recipe": Recipe(data="digits", steps=3, batch_size=6),
    }
    return Card(**{**facts, **changes})


class Columned(Images):
    """A set in memory with a source or captions for each image, or a second side."""

    def __init__(self, **fields):
        known = inspect.signature(Images).parameters
        super().__init__(**{key: value for key, value in fields.items() if key in known})
        for key, value in fields.items():
            if key not in known:
                object.__setattr__(self, key, value)


def noise_set(kind: type, n: int = 24, seed: int = 0) -> Images:
    """A set that a class above can be trained on."""
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        return rng.integers(0, 256, (n, *shape), dtype=np.uint8)

    if issubclass(kind, Paired):
        return Columned(pixels=drawn(1, 8, 8), source=drawn(3, 8, 8), name="pairs", split="train")
    if issubclass(kind, Cycle):
        other = Images(pixels=drawn(1, 8, 8)[:17], name="zebras", split="train")
        return Columned(pixels=drawn(1, 8, 8), other=other, name="two sides", split="train")
    captions = tuple((SENTENCES[i % 3], SENTENCES[(i + 1) % 3]) for i in range(n))
    return Columned(pixels=drawn(1, 8, 8), captions=captions, name="described", split="train")
