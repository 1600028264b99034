"""The likelihood game: one player minimises the mean bits/dim. PixelCNN and VAE both train with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genzoo.losses.likelihood import mean_bits_per_dim
from genzoo.models import DensityModel
from genzoo.recipe import Recipe
from genzoo.training.batch import Batch
from genzoo.training.players import Player, players


@players.register
def likelihood_players(model: DensityModel, recipe: Recipe) -> Sequence[Player]:
    """Return the one player of maximum likelihood, named "model"."""

    def loss(batch: Batch, rng: torch.Generator) -> Tensor:
        return mean_bits_per_dim(model._log_prob(batch.images, *batch.given), model.image_shape)

    return [Player(name="model", module=model, loss=loss, turns=recipe.turns_of("model"), average=True)]
