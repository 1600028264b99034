"""Small honest models, whose broken relatives the laws must refuse."""

import sys
import types
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from genzoo import Card, Family, Recipe
from genzoo.models import AdversarialModel, DensityModel, EncodingModel
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class Config:
    image_shape: tuple[int, int, int] = field(default=(1, 4, 6), metadata=limits(1, 64))
    latent_size: int = field(default=12, metadata=limits(1, 64))


class Game(AdversarialModel):
    """A GAN of two linear maps and a batch norm in each."""

    Config = Config

    def __init__(self, config):
        super().__init__()
        self.config = config
        channels, height, width = config.image_shape
        size = channels * height * width
        self.generator = nn.Sequential(
            nn.Linear(config.latent_size, size), nn.BatchNorm1d(size), nn.Sigmoid()
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(size, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)
        )

    def _decode(self, z):
        return self.generator(z).unflatten(1, self.config.image_shape)

    def _discriminate(self, x):
        return self.discriminator(x).flatten()


class Pixels(DensityModel):
    """Black and white pixels, each with its own probability: exact, and Σ p = 1 by construction."""

    Config = Config
    exact = True
    levels = 2

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.logits = nn.Parameter(
            torch.linspace(-1, 1, torch.Size(config.image_shape).numel()).reshape(config.image_shape)
        )

    def _log_prob(self, x):
        return -nn.functional.binary_cross_entropy_with_logits(
            self.logits.expand_as(x), x, reduction="none"
        ).sum((1, 2, 3))

    def _sample(self, draws):
        return (draws.uniform(*self.image_shape) < torch.sigmoid(self.logits)).float()


class Bound(Pixels):
    """The same, called a lower bound."""

    exact = False

    def _log_prob(self, x):
        return super()._log_prob(x) - 0.1


class Coder(EncodingModel):
    """A linear autoencoder."""

    Config = Config

    def __init__(self, config):
        super().__init__()
        self.config = config
        size = torch.Size(config.image_shape).numel()
        self.into, self.out = nn.Linear(size, config.latent_size), nn.Linear(config.latent_size, size)

    def _encode(self, x):
        return self.into(x.flatten(1))

    def _decode(self, z):
        return torch.sigmoid(self.out(z)).unflatten(1, self.config.image_shape)


@pytest.fixture
def kinds():
    """The honest classes: game, pixels, bound, coder, config."""
    return types.SimpleNamespace(game=Game, pixels=Pixels, bound=Bound, coder=Coder, config=Config)


@pytest.fixture
def made():
    """made(cls, **config): an instance with the weights of seed 0, in evaluation mode."""

    def make(cls, **config):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return cls(cls.Config(**config)).eval()

    return make


@pytest.fixture
def card_of(monkeypatch):
    """card_of(cls, **facts): a card whose class can be imported."""

    def card(cls, **facts):
        module = types.ModuleType("a_plugin_of_the_tests")
        setattr(module, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        known = {
            "name": "mine",
            "family": cls.family or Family.IMPLICIT,
            "summary": "a model of the tests",
            "recipe": Recipe(),
        }
        return Card(model=f"{module.__name__}:{cls.__name__}", **{**known, **facts})

    return card
