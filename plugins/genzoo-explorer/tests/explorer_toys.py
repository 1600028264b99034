"""Models small enough to be looked at in a test, one of each kind, and two that misbehave."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import nn

from genzoo import Card, Family, Labels, Picture, Recipe, Text
from genzoo.models import (
    AdversarialModel,
    AutoregressiveModel,
    DensityModel,
    EncodingModel,
    Posterior,
    TranslatingModel,
)
from genzoo.schema import limits

HOSTILE = '<img src=x onerror="document.title=1"> \u202e</script><script>document.title="taken"</script>'
NAMES = ("cat", '<b>dog</b> "7"', "horse")
WORDS, SENTENCES = ("a", "blue", "flower", "red"), ("a red flower", "a blue flower")


@dataclass(frozen=True, kw_only=True)
class Config:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    latent_size: int = field(default=3, metadata=limits(1, 64))


class Waves(AdversarialModel):
    """A GAN: each component of z moves a wave of colour."""

    Config = Config

    def __init__(self, config):
        super().__init__()
        self.config = config
        channels, height, width = config.image_shape
        self.generator = nn.Linear(config.latent_size, channels * height * width)
        self.discriminator = nn.Linear(channels * height * width, 1)

    def _decode(self, z):
        return self.generator(3 * z).sigmoid().view(-1, *self.image_shape)

    def _discriminate(self, x):
        return self.discriminator(x.flatten(1))[:, 0]


class Shares(DensityModel, EncodingModel):
    """A VAE: stripe j is as light as the share of N(0, 1) below z_j, and its noise is one level."""

    Config = Config
    exact, levels = False, 256

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.shift = nn.Parameter(torch.zeros(config.latent_size))

    def _decode(self, z):
        channels, height, width = self.image_shape
        shares = torch.special.ndtr(z + self.shift).repeat_interleave(height // self.latent_size + 1, 1)
        return shares[:, None, :height, None].expand(-1, channels, -1, width)

    def _encode(self, x):
        each = self.image_shape[1] // self.latent_size + 1
        stripes = x.mean((1, 3))[:, ::each]
        mean = torch.special.ndtri(stripes.double().clamp(0.001, 0.999)).float() - self.shift
        return Posterior(mean, torch.full_like(mean, -9.0))

    def _log_prob(self, x):
        return -(x - 0.5).square().flatten(1).sum(1)

    def _sample(self, rng):
        images = self._decode(self._latents(rng))
        return (images + 0.2 * rng.normal(*self.image_shape)).clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class DotsConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    levels: int = field(default=2, metadata=limits(2, 256))
    pause: float = field(default=0.0, metadata=limits(0, 1))


class Dots(AutoregressiveModel):
    """A pixel model: a pixel is likely to be as light as those above and to the left. `_complete` is the
    plain one; `pause` seconds pass at every pass."""

    Config = DotsConfig
    passes: ClassVar[int] = 0

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))

    @property
    def levels(self):
        return self.config.levels

    def _predict(self, x):
        type(self).passes += 1
        time.sleep(self.config.pause)
        above = nn.functional.pad(x, (0, 0, 1, 0))[:, :, :-1]
        left = nn.functional.pad(x, (1, 0))[..., :-1]
        light = self.weight[0] * above + self.weight[1] * left - 0.5
        return torch.linspace(-1, 1, self.levels).view(1, -1, 1, 1, 1) * light[:, None]

    def _log_mass(self, params, level):
        return params.log_softmax(1).gather(1, level[:, None])[:, 0]

    def _quantile(self, params, u):
        return (params.double().softmax(1).cumsum(1)[:, :-1] < u[:, None]).sum(1)


@dataclass(frozen=True, kw_only=True)
class LabelConfig(Config):
    labels: tuple[str, ...] = field(default=NAMES, metadata=limits())


class Kinds(Waves):
    """A GAN that takes a label."""

    Config = LabelConfig
    condition_type = Labels

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(len(config.labels), config.latent_size)

    def _decode(self, z, condition):
        return super()._decode(z + self.embed(condition))

    def _discriminate(self, x, condition):
        return super()._discriminate(x) + condition


@dataclass(frozen=True, kw_only=True)
class TextConfig(Config):
    vocabulary: tuple[str, ...] = WORDS
    text_length: int = field(default=4, metadata=limits(1, 1000))
    sentences: tuple[str, ...] = SENTENCES


class Said(Waves):
    """A GAN that takes a sentence."""

    Config = TextConfig
    condition_type = Text

    def _decode(self, z, condition):
        return super()._decode(z + condition.float().sum(1, keepdim=True) / 10)

    def _discriminate(self, x, condition):
        return super()._discriminate(x)


@dataclass(frozen=True, kw_only=True)
class WayConfig:
    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 4096))
    source_shape: tuple[int, int, int] = field(default=(3, 8, 8), metadata=limits(1, 4096))
    domains: tuple[str, str] = ("colour", "grey")
    both_ways: ClassVar[bool] = True
    noisy: ClassVar[bool] = False


class Ways(TranslatingModel):
    """Colour to inverted grey, and back to a colour that has no red."""

    Config = WayConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.scale = nn.Parameter(torch.ones(1))

    def _translate(self, x, to, rng):
        if to == "grey":
            return 1 - self.scale * x.mean(1, keepdim=True)
        return torch.cat([0 * x, x, x], 1)


@dataclass(frozen=True, kw_only=True)
class MapConfig:
    image_shape: tuple[int, int, int] = field(default=(3, 16, 16), metadata=limits(1, 4096))
    source_shape: tuple[int, int, int] = field(default=(3, 16, 16), metadata=limits(1, 4096))
    domains: tuple[str, str] = ("map", "photo")
    both_ways: ClassVar[bool] = False
    noisy: ClassVar[bool] = False


class Negative(TranslatingModel):
    """A map to its negative."""

    Config = MapConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.scale = nn.Parameter(torch.ones(1))

    def _translate(self, x, to, rng):
        return 1 - self.scale * x


class Broken(Waves):
    """A GAN whose decoder raises what a foreign library may raise."""

    def _decode(self, z):
        raise RuntimeError("\x1b[31mthe decoder\u202e is broken")


class Locked(Waves):
    """A GAN that waits in its decoder until a test lets it go on."""

    entered, go_on = threading.Event(), threading.Event()

    def _decode(self, z):
        self.entered.set()
        self.go_on.wait(20)
        return super()._decode(z)


def card(name, kind, family=Family.IMPLICIT, condition=None, summary="A toy", data="", **config):
    return Card(
        name=name,
        family=family,
        model=f"explorer_toys:{kind.__name__}",
        config=config,
        recipe=Recipe(data=data) if data else None,
        condition=condition,
        summary=summary,
    )


CARDS = (
    card("toy-waves", Waves),
    card("toy-colour", Waves, image_shape=(3, 8, 8), summary=HOSTILE),
    card("toy-shares", Shares, Family.APPROXIMATE),
    card("toy-dots", Dots, Family.TRACTABLE),
    card("toy-hues", Dots, Family.TRACTABLE, image_shape=(3, 4, 4), levels=4),
    card("toy-slow", Dots, Family.TRACTABLE, pause=0.02),
    card("toy-kinds", Kinds, condition=Labels(NAMES)),
    card("toy-said", Said, condition=Text(WORDS, 4, SENTENCES)),
    card("toy-ways", Ways, condition=Picture((3, 8, 8), ("colour", "grey"), both_ways=True, noisy=False)),
    card("toy-map", Negative, condition=Picture((3, 16, 16), ("map", "photo"), noisy=False), data="facades"),
    card("toy-broken", Broken),
    card("toy-locked", Locked),
)
