"""Laws of a model's training: the players of its game, checked before the loop runs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from genzoo.models import AdversarialModel, Model, TranslatingModel
from genzoo.models.conditions import example_rows
from genzoo.recipe import Recipe
from genzoo.rng import Rng, generator
from genzoo.testing.adversaries import check_adversaries
from genzoo.testing.law import hold
from genzoo.testing.rounds import check_rounds
from genzoo.testing.rows import check_conditions, check_other, check_own_rows, turn_of
from genzoo.training import Batch, Player, players

ROWS = 4  # images in the batch that a game is tried on


def check_game(model: Model, recipe: Recipe | None = None) -> None:
    """Check the game of `model` under `recipe`: names, weights of each player, losses with gradients, labels
    and conditions that affect their own image alone, curves, and a memory that holds all that a resumed run
    needs. Nothing is trained.

    Raises:
        LawError: the first law that is broken.
        TrainingError: no game is registered for the model's class.
    """
    chosen = recipe or Recipe()
    found = list(players(model, chosen))
    look = f"the game registered for {type(model).__name__}"
    _check_players(found, chosen, look)
    _check_apart(found, look)
    _check_averaged(model, found, look)
    images = _images(model)
    with _as_it_was(model):
        model.train()
        for player in found:
            _check_loss(player, batch_for(model, player, images))
        for player in found:
            if "labels" in player.needs:
                _check_labels(model, lambda: players(model, chosen), player, batch_for(model, player, images))
            batch = batch_for(model, player, images)
            if batch.condition is not None:
                check_conditions(model, chosen, player, batch)
            if batch.other is not None:
                check_other(model, chosen, player, batch)
        model.train()
        check_rounds(model, lambda: players(model, chosen), lambda p: batch_for(model, p, images))
        if isinstance(model, AdversarialModel):
            check_adversaries(model, found, chosen, {p.name: batch_for(model, p, images) for p in found})


def _images(model: Model) -> Tensor:
    """Return noise that `model` accepts: black and white, which every one does; grey for a translation, whose
    absolute error says nothing of a picture in between where all others are at an end.
    """
    noise = Rng(0, 0, ROWS).uniform(*model.image_shape)
    grey = isinstance(model, TranslatingModel)
    return (noise.float() if grey else (noise < 0.5).float()).to(model.device)


def batch_for(model: Model, player: Player, images: Tensor) -> Batch:
    """Return `images` with all that `player` and `model` need to know of them."""
    n = len(images)
    labels = torch.arange(n, device=images.device) % player.classes if "labels" in player.needs else None
    if "other" not in player.needs:
        return Batch(images, labels, *example_rows(model, n))
    given = next(iter(example_rows(model, n)), None) if "condition" in player.needs else None
    if not isinstance(model, TranslatingModel):
        return Batch(images, labels, given, 1 - images)
    # each side of its own domain, which may have other channels
    second = (Rng(0, n, n).uniform(*model.image_shape) < 0.5).float().to(images.device)
    first = (Rng(0, 0, n).uniform(*model.picture.shape) < 0.5).float().to(images.device)
    return Batch(first, labels, given, second)


@contextlib.contextmanager
def _as_it_was(model: Model) -> Iterator[None]:
    """Restore the model's weights, statistics and modes at the end of the block."""
    modes = {module: module.training for module in model.modules()}
    state = {key: value.clone() for key, value in model.state_dict().items()}
    try:
        yield
    finally:
        model.load_state_dict(state)
        for module, mode in modes.items():
            module.training = mode


def _check_players(found: list[Player], recipe: Recipe, look: str) -> None:
    hold(found, "a game has players", "none", look)
    names = [player.name for player in found]
    hold(len(set(names)) == len(names), "players have different names", ", ".join(names), look)
    for key in (*recipe.lr, *recipe.optimizer, *recipe.turns):
        hold(
            key == "all" or key in names,
            "a recipe names only players of the game",
            f"{key!r}; players: {', '.join(names)}",
            "lr, optimizer and turns of the recipe",
        )


def _check_apart(found: list[Player], look: str) -> None:
    owner: dict[int, str] = {}
    for player in found:
        weights = _learning(player)
        hold(weights, "a player has weights to learn", f"{player.name} has none", look)
        for parameter in weights:
            other = owner.setdefault(id(parameter), player.name)
            hold(other == player.name, "no two players share weights", f"{other} and {player.name} do", look)


def _check_averaged(model: Model, found: list[Player], look: str) -> None:
    parts = set(model.modules())
    for player in found:
        law = "weights that are averaged are those of a module of the model"
        seen = f"the module of {player.name} is made for the game"
        hold(not player.average or player.module in parts, law, seen, look)


def _learning(player: Player) -> list[Tensor]:
    return [parameter for parameter in player.module.parameters() if parameter.requires_grad]


def _loss(player: Player, batch: Batch) -> Tensor:
    return player.loss(batch, generator("laws", player.name, device=batch.images.device))


def _check_loss(player: Player, batch: Batch) -> None:
    look = f"the loss of the player {player.name}"
    loss = _loss(player, batch)
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
    slopes = _slopes(loss, _learning(player))
    finite = all(torch.isfinite(slope).all() for slope in slopes)
    hold(finite, "a gradient is finite", "NaN or infinite values", look)
    moved = any(slope.abs().max() > 0 for slope in slopes)
    hold(
        moved,
        "a loss has a gradient in its player's weights",
        "a gradient of zero",
        f"{look}: detach or no_grad in it",
    )


def _slopes(loss: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
    return [slope for slope in torch.autograd.grad(loss, of, allow_unused=True) if slope is not None]


def _check_labels(model: Model, make: Callable[[], Sequence[Player]], player: Player, batch: Batch) -> None:
    """Check that a label affects the loss, and its own image alone: another label in one row changes the
    loss, but not its gradient in the images of other rows.

    The model is in evaluation mode, where no layer compares rows. Each loss comes from a new game, since a
    game may keep state.
    """
    if player.classes < 2:
        return
    model.eval()
    labels = batch.get("labels")
    other = labels.clone()
    other[0] = (other[0] + 1) % player.classes
    before, after = (
        turn_of(model, make(), player, dataclasses.replace(batch, labels=given)) for given in (labels, other)
    )
    look = f"the loss of the player {player.name}"
    law = "a player that needs labels learns from them"
    hold(not torch.equal(before.loss, after.loss), law, "the same loss with another label", look)
    check_own_rows(before, after, "label", look)
