"""The classification game: one player minimises the mean of -log p(label | x)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from genzoo.games import Classification
from genzoo.models import ClassifyingModel
from genzoo.recipe import Recipe
from genzoo.training.augment import augment, policy_of
from genzoo.training.batch import Batch
from genzoo.training.players import Player, players


@players.register(options=Classification)
def classification_players(model: ClassifyingModel, recipe: Recipe) -> Sequence[Player]:
    """Return the one player of the classification game, named "model"; it sees the labels of its images."""
    policy = policy_of(recipe.options(Classification).augment)

    def loss(batch: Batch, rng: torch.Generator) -> Tensor:
        images = augment(batch.images, policy, rng)
        return cross_entropy(model._logits(model._features(images)).float(), batch.get("labels"))

    return [
        Player(
            name="model",
            module=model,
            loss=loss,
            turns=recipe.turns_of("model"),
            average=True,
            needs=frozenset({"labels"}),
            classes=model.classes,
        )
    ]
