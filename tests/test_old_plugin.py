"""A plugin of interface 2 that was written before there were conditions runs as it is: every kind of method,
without one."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from genzoo.data import Images
from genzoo.errors import ArgumentError
from genzoo.models import golden
from genzoo.testing import check_model
from genzoo.training.train import train

# Its author is away: never change this text.
SOURCE = """
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from genzoo import Card, Family, Recipe, hookimpl
from genzoo.losses.elbo import elbo, kl, log_weight, reparametrise
from genzoo.losses.likelihood import mean_bits_per_dim
from genzoo.models import AdversarialModel, AutoregressiveModel, EncodingModel, ImportanceModel, Posterior
from genzoo.rng import Rng, generator
from genzoo.schema import limits
from genzoo.training import Batch, Player, players

genzoo_api = 2


@dataclass(frozen=True, kw_only=True)
class Config:
    image_shape: tuple[int, int, int] = field(default=(1, 4, 4), metadata=limits(1, 64))
    latent_size: int = field(default=3, metadata=limits(1, 64))


class OldGAN(AdversarialModel):
    Config = Config
    recordable = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        size = prod(config.image_shape)
        hidden = nn.Linear(config.latent_size, size)
        self.generator = nn.Sequential(hidden, nn.BatchNorm1d(size), nn.Sigmoid())
        self.discriminator = nn.Sequential(nn.Linear(size, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))

    def _decode(self, z: Tensor) -> Tensor:
        return self.generator(z).unflatten(1, self.config.image_shape)

    def _discriminate(self, x: Tensor) -> Tensor:
        return self.discriminator(x.flatten(1)).flatten()


class OldPixels(AutoregressiveModel):
    Config = Config
    levels = 2

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.bias = nn.Parameter(torch.randn(config.image_shape))

    def _predict(self, x: Tensor) -> Tensor:
        return self.bias.expand(len(x), 1, *self.image_shape) + 0 * x[:, None]

    def _log_mass(self, params: Tensor, level: Tensor) -> Tensor:
        return logsigmoid((2 * level - 1) * params[:, 0])

    def _quantile(self, params: Tensor, u: Tensor) -> Tensor:
        return (u >= torch.sigmoid(-params[:, 0])).long()

    def _complete(self, x: Tensor, mask: Tensor, rng: Rng) -> Tensor:
        drawn = rng.uniform(*self.image_shape[1:], self.image_shape[0]).permute(0, 3, 1, 2)
        return torch.where(mask, x, (drawn >= torch.sigmoid(-self.bias)).float())


class OldVAE(ImportanceModel, EncodingModel):
    Config = Config
    levels = 2

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        size = prod(config.image_shape)
        self.into, self.out = nn.Linear(size, 2 * config.latent_size), nn.Linear(config.latent_size, size)

    def _encode(self, x: Tensor) -> Posterior:
        return Posterior(*self.into(x.flatten(1)).chunk(2, 1))

    def _decode(self, z: Tensor) -> Tensor:
        return self.out(z).sigmoid().unflatten(-1, self.image_shape)

    def likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -softplus(-(2 * x.flatten(1) - 1) * self.out(z)).sum(-1)

    def bound(self, x: Tensor, noise: Tensor) -> Tensor:
        mean, log_var = self._encode(x)
        return elbo(self.likelihood(x, reparametrise(mean, log_var, noise)).mean(0), kl(mean, log_var))

    def _log_prob(self, x: Tensor) -> Tensor:
        return self.bound(x, Rng(0, 0, 4).normal(1, self.latent_size))

    def _log_weights(self, x: Tensor, k: int, seed: int) -> Iterator[Tensor]:
        mean, log_var = self._encode(x)
        for draw in range(k):
            keys = [generator(seed, draw, *map(int, image.flatten())) for image in x]
            noise = torch.stack([torch.randn(self.latent_size, generator=key) for key in keys])[None]
            z = reparametrise(mean, log_var, noise)
            yield log_weight(self.likelihood(x, z), z, mean, log_var)

    def _sample(self, draws: Rng) -> Tensor:
        images = self._decode(self._latents(draws))
        return (draws.uniform(*self.image_shape) < images).float()


@players.register
def play(model: OldVAE, recipe: Recipe) -> Sequence[Player]:
    def loss(batch: Batch, rng: torch.Generator) -> Tensor:
        noise = torch.randn(1, len(batch), model.latent_size, generator=rng)
        return mean_bits_per_dim(model.bound(batch.images.round(), noise), model.image_shape)

    return [Player(name="model", module=model, loss=loss)]


@hookimpl
def genzoo_cards() -> list[Card]:
    kinds = {"OldGAN": Family.IMPLICIT, "OldPixels": Family.TRACTABLE, "OldVAE": Family.APPROXIMATE}
    return [
        Card(
            name=name.lower(),
            family=family,
            model=f"an_old_plugin:{name}",
            config={"image_shape": (1, 4, 4)},
            recipe=Recipe(steps=2, batch_size=4),
            summary="from before there were conditions",
        )
        for name, family in kinds.items()
    ]
"""


@pytest.fixture
def cards(tmp_path, monkeypatch):
    (tmp_path / "an_old_plugin.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import an_old_plugin

    # models of the tests' own module: its import of torch is no fault here
    monkeypatch.setattr("genzoo.testing.cards._imported_with", lambda package: "")
    yield {card.name: card for card in an_old_plugin.genzoo_cards()}
    del sys.modules["an_old_plugin"]


@pytest.mark.parametrize("name", ["oldgan", "oldpixels", "oldvae"])
def test_it_keeps_the_laws_and_trains(cards, tmp_path, name):
    card = cards[name]
    check_model(card)
    pixels = (np.random.default_rng(0).random((12, 1, 4, 4)) > 0.5).astype(np.uint8) * 255
    data = Images(pixels=pixels, name="noise", split="train")
    done = train(
        card, data, tmp_path / "run", 2, resume=False, settings={}, device="cpu", quiet=True, scored=False
    )
    assert done.finished
    model = card.build()
    assert model.condition is None and card.condition is None and "condition" not in golden.record(model)
    with pytest.raises(ArgumentError, match="takes no condition"):
        model.sample(1, condition="7")
