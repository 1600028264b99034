"""Laws of a model's training: the players of its game, before the loop ever runs."""

from __future__ import annotations

import torch
from torch import Tensor

from genzoo.models import ImplicitModel, Model
from genzoo.noise import Draws, generator
from genzoo.recipe import Recipe
from genzoo.testing.adversaries import check_adversaries
from genzoo.testing.law import hold
from genzoo.training import Player, players


def check_game(model: Model, recipe: Recipe | None = None) -> None:
    """Hold the game of `model` under `recipe` to its laws: names, weights of each player, losses with
    gradients. Nothing is trained.

    Raises:
        LawError: the first law that is broken.
        TrainingError: nobody registered a game for the model's class.
    """
    chosen = recipe or Recipe()
    found = list(players(model, chosen))
    name = type(model).__name__
    look = f"the game registered for {name}"
    hold(found, "a game has players", "none", look)
    names = [player.name for player in found]
    hold(len(set(names)) == len(names), "players have different names", ", ".join(names), look)
    for key in (*chosen.rate, *chosen.optimizer, *chosen.turns):
        hold(
            key == "all" or key in names,
            "a recipe speaks of the game's players",
            f"{key!r}; players: {', '.join(names)}",
            "rate, optimizer and turns of the recipe",
        )
    _check_apart(found, look)
    # black and white: every model takes these
    images = (Draws(0, 0, 4).uniform(*model.image_shape) < 0.5).float().to(model.device)
    modes = {module: module.training for module in model.modules()}
    state = {key: value.clone() for key, value in model.state_dict().items()}
    try:
        model.train()
        for player in found:
            _check_loss(player, images)
        if isinstance(model, ImplicitModel):
            check_adversaries(model, found, chosen, images)
    finally:
        model.load_state_dict(state)
        for module, mode in modes.items():
            module.training = mode


def _check_apart(found: list[Player], look: str) -> None:
    owner: dict[int, str] = {}
    for player in found:
        weights = [parameter for parameter in player.module.parameters() if parameter.requires_grad]
        hold(weights, "a player has weights to learn", f"{player.name} has none", look)
        for parameter in weights:
            other = owner.setdefault(id(parameter), player.name)
            hold(other == player.name, "no two players share weights", f"{other} and {player.name} do", look)


def _check_loss(player: Player, images: Tensor) -> None:
    look = f"the loss of the player {player.name}"
    labels = [torch.arange(len(images), device=images.device) % player.classes] if player.classes else []
    loss = player.loss(images, generator("laws", player.name, device=images.device), *labels)
    hold(
        isinstance(loss, Tensor) and loss.ndim == 0,
        "a loss is a scalar",
        f"the shape {tuple(getattr(loss, 'shape', ()))}",
        look,
    )
    hold(torch.isfinite(loss), "a loss is finite on black and white noise", float(loss.detach()), look)
    hold(
        loss.requires_grad,
        "a loss has a gradient in its player's weights",
        "no gradient at all",
        f"{look}: detach or no_grad in it",
    )
    weights = [parameter for parameter in player.module.parameters() if parameter.requires_grad]
    slopes = [slope for slope in torch.autograd.grad(loss, weights, allow_unused=True) if slope is not None]
    finite = all(torch.isfinite(slope).all() for slope in slopes)
    hold(finite, "a gradient is finite", "NaN or infinite values", look)
    moved = any(slope.abs().max() > 0 for slope in slopes)
    hold(
        moved,
        "a loss has a gradient in its player's weights",
        "a gradient of zero",
        f"{look}: detach or no_grad in it",
    )
