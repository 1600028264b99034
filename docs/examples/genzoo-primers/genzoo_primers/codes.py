"""The smallest model with a z: an autoencoder of two linear layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn

from genzoo import Recipe
from genzoo.models import EncodingModel
from genzoo.schema import limits
from genzoo.training import Batch, Player, players


@dataclass(frozen=True, kw_only=True)
class LinearCodesConfig:
    """What the model is built from."""

    image_shape: tuple[int, int, int] = field(default=(1, 8, 8), metadata=limits(1, 64))
    latent_size: int = field(default=8, metadata=limits(1, 1024))


class LinearCodes(EncodingModel):
    """z = A x + a, and the image σ(B z + b)."""

    Config = LinearCodesConfig

    def __init__(self, config: LinearCodesConfig) -> None:
        super().__init__()
        self.config = config
        pixels = prod(config.image_shape)
        self.down, self.up = nn.Linear(pixels, config.latent_size), nn.Linear(config.latent_size, pixels)

    def _encode(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        codes: Tensor = self.down(x.flatten(1))
        return codes  # (N, latent_size)

    def _decode(self, z: Tensor) -> Tensor:  # (N, latent_size)
        images: Tensor = self.up(z).sigmoid().unflatten(1, self.image_shape)
        return images  # (N, C, H, W) in [0, 1]


@players.register
def play(model: LinearCodes, recipe: Recipe) -> Sequence[Player]:
    """Return the one player, which minimises the squared error of reconstructions."""

    def loss(batch: Batch, rng: torch.Generator) -> Tensor:
        return (model._decode(model._encode(batch.images)) - batch.images).square().mean()

    return [Player(name="model", module=model, loss=loss, turns=recipe.turns_of("model"), average=True)]
