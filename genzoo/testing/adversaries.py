"""Further laws of a game against a discriminator: which loss trains which network, and how a critic is
constrained.
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
    """Check the players of a GAN, each on the batch that `batches` holds under its name. `model` is in
    training mode; its weights and statistics may change.

    Raises:
        LawError: the first law that is broken.
    """
    # a game with its own options constrains the critic in its own way
    options = recipe.game if isinstance(recipe.game, Adversarial) else Adversarial()
    for player in game:
        if player.module is model.discriminator:
            _check_detached(model, player, batches[player.name])
            if options.weight_clip:
                _check_clipped(player, options.weight_clip)
    if options.gp_weight:
        _check_alone(model, batches[game[0].name])


def _check_detached(model: AdversarialModel, player: Player, batch: Batch) -> None:
    """Check that the discriminator's loss, penalty included, has no gradient in the generator: its fakes must
    be detached.
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
    """Check that under a gradient penalty the critic's output depends on its own image alone, in training
    mode too: otherwise the gradient at one image is undefined.
    """
    points = batch.images.clone().requires_grad_(True)
    numbers = model._discriminate(points, *batch.given)
    (slope,) = torch.autograd.grad(numbers[0], points)
    law = "with a gradient penalty, the discriminator's number in training depends on its own image alone"
    look = f"{type(model).__name__}._discriminate: batch norm, or another layer that compares images"
    hold(not slope[1:].any(), law, "a gradient in the other images of the batch", look)
