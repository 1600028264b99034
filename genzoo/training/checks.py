"""Checks before the first round that a game, its recipe, its data and its processes fit together."""

from __future__ import annotations

from collections.abc import Sequence

from genzoo.data import Images
from genzoo.data.conditions import other_of
from genzoo.errors import ArgumentError, DataError, TrainingError, suggest
from genzoo.models import Model
from genzoo.recipe import Recipe
from genzoo.training.parallel import World
from genzoo.training.players import Player


def check_fit(model: Model, recipe: Recipe, data: Images, world: World, game: Sequence[Player]) -> None:
    """Raise if the players of `game` do not fit the rest of the run.

    Raises:
        ArgumentError: the recipe names an unknown player, the labels do not fit, a player's memory cannot be
            saved, or `sync_batch_norm` is asked of compiled nets.
        TrainingError: an averaged player is not part of the model.
        DataError: the data lacks what a player needs.
    """
    _check_names(recipe, game)
    _check_parts(model, game)
    _check_memories(world, game)
    if world.size > 1 and recipe.sync_batch_norm and recipe.compile == "on":
        raise ArgumentError(
            "torch.compile leaves batch norm with one process's images, so sync_batch_norm would do nothing",
            "set compile=off, or sync_batch_norm=false",
        )
    for player in game:
        check_needs(model, data, player)


def check_needs(model: Model, data: Images, player: Player) -> None:
    """Raise if `data` lacks what `player` needs.

    Raises:
        DataError: the data has no labels, or no second side of the size of the first.
        ArgumentError: the labels do not fit `player.classes` classes.
        TrainingError: it needs the condition of a model that takes none.
    """
    if "condition" in player.needs and model.condition is None:
        raise TrainingError(
            f"the player {player.name!r} needs the condition, but {type(model).__name__} takes none",
            "set condition_type in the class, or leave the need out",
        )
    if "other" in player.needs:
        _check_other(data, player)
    if "labels" in player.needs:
        _check_labels(data, player)


def _check_other(data: Images, player: Player) -> None:
    other = other_of(data)
    if other is None:
        raise DataError(
            f"{data.name} has one side, but the player {player.name!r} learns from two that are not paired",
            "unpaired:FOLDER names a data set with two sides",
        )
    if other.shape[1:] != data.shape[1:]:
        raise DataError(
            f"the sides of {data.name} have {data.shape[1]}x{data.shape[2]} and {other.shape[1]}x"
            f"{other.shape[2]} pixels",
            "bring both to one size",
        )


def _check_labels(data: Images, player: Player) -> None:
    if data.labels is None:
        why = (
            data.facts.get("labels")
            or "mnist, cifar10 and digits have labels; a folder of images needs one subfolder per class"
        )
        raise DataError(f"{data.name} has no labels, but the player {player.name!r} learns from them", why)
    low, high = int(data.labels.min()), int(data.labels.max())
    if not 0 <= low <= high < player.classes:
        raise ArgumentError(
            f"the labels of {data.name} run from {low} to {high}, but {player.classes} classes need "
            f"0 to {player.classes - 1}",
            _way_to_labels(low, high, player.classes),
        )


def _way_to_labels(low: int, high: int, classes: int) -> str:
    if low < 0:
        return (
            "numpy.unique(labels, return_inverse=True)[1] numbers them from 0; images without a class must "
            "be left out"
        )
    if low and high - low < classes:
        return f"count them from 0: labels - {low}"
    return f"--set classes={high + 1}, or labels={high + 1} of a GAN"


def _check_names(recipe: Recipe, game: Sequence[Player]) -> None:
    names = [player.name for player in game]
    for table, given in (("lr", recipe.lr), ("optimizer", recipe.optimizer), ("turns", recipe.turns)):
        for name in given:
            if name not in names and not (table != "turns" and name == "all"):
                raise ArgumentError(
                    f"{table}.{name}: this game has no player {name!r}{suggest(name, names)}",
                    f"its players: {', '.join(names)}",
                )


def _check_memories(world: World, game: Sequence[Player]) -> None:
    """Raise if several processes would each keep a memory of their own: one process writes the checkpoint,
    and it has only its own memory. A shared or common memory is the same on all of them.
    """
    for player in game:
        if player.memory is not None and not (player.shared or player.common) and world.size > 1:
            raise ArgumentError(
                f"the {player.name} keeps a memory that cannot be saved for {world.size} processes",
                "train in one process; a game of your own sets shared or common in its Player",
            )


def _check_parts(model: Model, game: Sequence[Player]) -> None:
    for player in game:
        if player.average and player.module not in set(model.modules()):
            raise TrainingError(
                f"the module of the player {player.name!r} is not part of {type(model).__name__}",
                "set it as an attribute in the model's __init__",
            )
