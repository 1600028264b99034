"""Players: a model's training is a game, and one loop plays every game.

`players(model, recipe)` says who plays. It dispatches on the model's class, as `functools.singledispatch`
does: the core registers the games of `DensityModel` (one player, likelihood), `AdversarialModel` (two
players, adversarial) and `ClassifyingModel` (one player, with labels); a plugin registers its own with
`players.register`, and the loop stays untouched.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from genzoo.errors import TrainingError, suggest
from genzoo.games import GameOptions
from genzoo.models import Model
from genzoo.recipe import Recipe
from genzoo.training.batch import COLUMNS, Batch

Loss = Callable[[Batch, torch.Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class Player:
    """One player of a game.

    Attributes:
        name: how the recipe addresses it: `--set lr.NAME=…`, `--set turns.NAME=…`.
        module: its parameters; a turn changes these and no others.
        loss: a batch and the turn's source of noise → the scalar that the player minimises.
        needs: fields of `Batch` that its loss reads besides the images, for example "labels"; data that lack
            one are refused before the first round.
        classes: of a player that needs labels: they are whole numbers from 0 and below this.
        turns: how often it moves in one round.
        turns_at: the number of the round, 0, 1, …, → how often it moves in it, where that changes along the
            run.
        fresh: whether each turn is given new images; otherwise those of the player before.
        average: whether the recipe's EMA follows this player's weights.
        before_turn: told the number of the round before each turn, for what changes along the run, as a
            warm-up does.
        after_turn: called after each update, for example to clip weights.
        finish: called once on the finished model, for example to estimate batch statistics of the averaged
            weights.
        floor: a mean loss below this over many rounds means that this player has won and the others learn
            nothing.
        remedy: what to try then.
        shown: for the training doctor: as many images of the data and of the player's own making, (N, C, H,
            W) each, or None for now.
        distance: whether minus its loss estimates how far the model is from the data, as a Wasserstein
            critic's: training should lower it.
        recordable: whether each turn is the same operations on the same memory, so that a GPU may record one
            and play it back: the loss has no branch and no Python number that changes along the run, hands
            nothing to the CPU, and draws from its source of noise alone (dropout aside). Then the player
            moves once a round, or nothing of one of its turns is used by the next.
        memory: what it remembers from round to round beside its weights, as parameters or buffers: the
            checkpoint keeps them.
    """

    name: str
    module: nn.Module
    loss: Loss
    needs: frozenset[str] = frozenset()
    classes: int = 0
    turns: int = 1
    turns_at: Callable[[int], int] | None = None
    fresh: bool = True
    average: bool = False
    before_turn: Callable[[int], None] | None = None
    after_turn: Callable[[], None] | None = None
    finish: Callable[[Model], None] | None = None
    floor: float | None = None
    remedy: str = ""
    shown: Callable[[], tuple[Tensor, Tensor] | None] | None = None
    distance: bool = False
    recordable: bool = False
    memory: nn.Module | None = None

    def __post_init__(self) -> None:
        unknown = sorted(self.needs.difference(COLUMNS))
        if unknown:
            raise TrainingError(
                f"the player {self.name!r} needs {unknown[0]!r}, which batches do not have"
                f"{suggest(unknown[0], COLUMNS)}",
                f"a player can need: {', '.join(COLUMNS)}",
            )
        if ("labels" in self.needs) != (self.classes > 0):
            raise TrainingError(
                f"the player {self.name!r} needs {', '.join(sorted(self.needs)) or 'no labels'} but has "
                f"classes={self.classes}",
                'a player that learns from labels sets both needs=frozenset({"labels"}) and classes',
            )

    def turns_in(self, step: int) -> int:
        """Return how often it moves in the round `step`."""
        return self.turns if self.turns_at is None else self.turns_at(step)


# (model, recipe) → its players, in the order in which they move
Game = Callable[..., Sequence[Player]]
G = TypeVar("G", bound=Game)


class Games:
    """`players(model, recipe)`: the players of a model's game, in the order in which they move. A class's
    game is the one registered for it, or for the nearest of its bases.
    """

    def __init__(self) -> None:
        self._game_of = functools.singledispatch(_nobody)
        self._options: dict[Game, type[GameOptions]] = {}

    @overload
    def register(self, kind: type[Any], game: G, *, options: type[GameOptions] | None = None) -> G: ...
    @overload
    def register(
        self, kind: type[Any] | None = None, *, options: type[GameOptions] | None = None
    ) -> Callable[[G], G]: ...
    @overload
    def register(self, kind: G) -> G: ...
    def register(
        self, kind: Any = None, game: Any = None, *, options: type[GameOptions] | None = None
    ) -> Any:
        """Register the game of a class, as `functools.singledispatch` does: by the type of a function's first
        argument (`@players.register`), or with the class named (`@players.register(Kind)`).

        `options` is the class of what a recipe says to this game alone: `@players.register(options=Mine)`.
        Where a recipe says nothing, the game is given its defaults.
        """
        if game is not None:
            if options is not None:
                self._options[game] = options
            return self._game_of.register(kind, game)
        if kind is None or isinstance(kind, type):
            return lambda game: self.register(kind or _first(game), game, options=options)
        return self.register(_first(kind), kind, options=options)

    def options_of(self, kind: type[Model]) -> type[GameOptions] | None:
        """Return the class of the options that the game of a model's class has, None where it has none."""
        return self._options.get(self._game_of.dispatch(kind))

    def completed(self, model: Model, recipe: Recipe) -> Recipe:
        """Return `recipe` with the options of the model's game, which are its defaults where there are none.

        Raises:
            TrainingError: it has the options of another game.
        """
        options = self.options_of(type(model))
        if recipe.game is not None and (options is None or not isinstance(recipe.game, options)):
            raise TrainingError(
                f"the recipe has {type(recipe.game).__name__} options, but the game of "
                f"{type(model).__name__} takes {options.__name__ if options else 'none'}",
                f"write game={options.__name__}(...) in the card"
                if options
                else "leave the recipe's game out",
            )
        return recipe if options is None or recipe.game is not None else recipe.replace(game=options())

    def __call__(self, model: Model, recipe: Recipe) -> Sequence[Player]:
        """Return the players of the model's game under `recipe`.

        Raises:
            TrainingError: nobody registered a game for the model's class, or the recipe has the options of
                another game.
        """
        found: Sequence[Player] = self._game_of(model, self.completed(model, recipe))
        return found


def _first(game: Game) -> Any:
    """Return the type of the first argument of `game`."""
    return next(iter(typing.get_type_hints(game).values()))


def _nobody(model: Model, recipe: Recipe) -> Sequence[Player]:
    raise TrainingError(
        f"{type(model).__name__} has no game to train it: it is neither a DensityModel nor an "
        "AdversarialModel",
        "register its game with genzoo.training.players.register, next to the class",
    )


players = Games()
completed = players.completed
