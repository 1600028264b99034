"""Laws of a game against a discriminator, on top of those of every game: who pays for what, and what holds a
critic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from genzoo.games import Adversarial
from genzoo.models import AdversarialModel
from genzoo.recipe import Recipe
from genzoo.rng import generator
from genzoo.testing.law import hold
from genzoo.training import Batch, Player


def check_adversaries(
    model: AdversarialModel, game: Sequence[Player], recipe: Recipe, batches: Mapping[str, Batch]
) -> None:
    """Hold the players of a GAN to the laws of their game, each on its own of `batches`, by name. `model` is
    in training mode; its weights and statistics may change.

    Raises:
        LawError: the first law that is broken.
    """
    # a game with options of its own has its own ways to hold a critic
    options = recipe.game if isinstance(recipe.game, Adversarial) else Adversarial()
    for player in game:
        if player.module is model.discriminator:
            _check_detached(model, player, batches[player.name])
            if options.weight_clip:
                _check_clipped(player, options.weight_clip)
    if options.gp_weight:
        _check_alone(model, batches[game[0].name])


def _check_detached(model: AdversarialModel, player: Player, batch: Batch) -> None:
    """The discriminator's turn asks nothing of the generator: its fakes are detached, in the loss and in the
    penalty.
    """
    loss = player.loss(batch, generator("laws", "detached", device=batch.images.device))
    weights = [parameter for parameter in model.generator.parameters() if parameter.requires_grad]
    slopes = torch.autograd.grad(loss, weights, allow_unused=True)
    reached = sum(slope is not None for slope in slopes)
    law = "the discriminator's loss has no gradient in the generator"
    hold(
        not reached,
        law,
        f"one in {reached} of its {len(weights)} weights",
        f"the loss of the player {player.name}: detach the fakes",
    )


def _check_clipped(player: Player, bound: float) -> None:
    with torch.no_grad():
        for parameter in player.module.parameters():
            parameter.mul_(1e3).add_(bound)
    if player.after_turn is not None:
        player.after_turn()
    largest = max(float(parameter.detach().abs().max()) for parameter in player.module.parameters())
    law = f"after a turn every weight of the discriminator is within ±weight_clip, ±{bound:g}"
    hold(
        largest <= bound * (1 + 1e-6), law, f"one of {largest:.3g}", f"after_turn of the player {player.name}"
    )


def _check_alone(model: AdversarialModel, batch: Batch) -> None:
    """Under the penalty a number must be of its own image alone, in training as well, or there is no slope at
    an image.
    """
    points = batch.images.clone().requires_grad_(True)
    numbers = model._discriminate(points, *batch.given)
    (slope,) = torch.autograd.grad(numbers[0], points)
    law = "with a gradient penalty, the discriminator's number in training depends on its own image alone"
    look = f"{type(model).__name__}._discriminate: batch norm, or another layer that compares images"
    hold(not slope[1:].any(), law, "a gradient in the other images of the batch", look)
