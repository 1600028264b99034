"""Players: a model's training is a game, and one loop plays every game.

`players(model, recipe)` returns the players. It dispatches on the model's class, as
`functools.singledispatch` does: the core registers the games of `DensityModel` (one player, likelihood),
`AdversarialModel` (two players, adversarial) and `ClassifyingModel` (one player, with labels); a plugin
registers its own with `players.register` and needs no change to the loop.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from genzoo.errors import TrainingError, suggest
from genzoo.games import GameOptions
from genzoo.models import Model
from genzoo.recipe import Recipe
from genzoo.training.batch import COLUMNS, Batch
from genzoo.training.findings import Ailment, Curves

Loss = Callable[[Batch, torch.Generator], Tensor]
Feed = Callable[[int], Batch]  # number of a batch → the batch


@dataclass(frozen=True, kw_only=True)
class Player:
    """One player of a game.

    Attributes:
        name: its name in the recipe: `--set lr.NAME=…`, `--set turns.NAME=…`.
        module: the module whose parameters its turns change; they change no others.
        loss: maps a batch and the turn's source of noise to the scalar that the player minimises.
        needs: fields of `Batch` that its loss reads besides the images, for example "labels"; data without
            them is refused before the first round. A conditional model's players get its condition without
            asking, unless one of them needs "other".
        mixes_rows: whether its loss puts an image together with the condition of another row on purpose, as a
            matching-aware discriminator does: the law that a condition counts for its own row alone is then
            not asked of it.
        classes: number of classes for a player that needs labels, which are whole numbers from 0 to classes -
            1.
        turns: its number of turns per round.
        turns_at: maps the number of the round, 0, 1, …, to its number of turns, if that changes over the run.
        fresh: whether each turn gets new images; otherwise it gets those of the previous player.
        in_parts: whether the turns of a player with `fresh=False` may be computed in parts (the recipe's
            `accumulate`): its loss then uses, part by part, what belongs to the same images.
        average: whether the recipe's EMA follows this player's weights.
        before_turn: called with the number of the round before each turn, for values that change over the
            run, such as a warm-up.
        after_turn: called after each update, for example to clip weights.
        restarts_at: maps the number of the round to whether the player's optimisers forget in it what they
            have gathered, as when a network gets new layers; they do so before the round's first turn.
        finish: called on the finished model, with a function that returns the run's batch number k, for
            example to estimate batch statistics of the averaged weights.
        floor: a mean loss below this over many rounds means that this player has won and the others no longer
            learn.
        remedy: what to try in that case.
        shown: returns, for the training doctor, equally many images of the data and of the player, (N, C, H,
            W) each, or None if it has none yet.
        distance: whether minus its loss estimates the distance between model and data, as for a Wasserstein
            critic; training should lower it.
        recordable: whether each turn is the same operations on the same memory, so that a GPU can record one
            and replay it: the loss has no branch and no Python number that changes over the run, copies
            nothing to the CPU, and uses no randomness but its source of noise (and dropout). The player must
            then move once per round, or no turn may use anything from the one before.
        memory: a module with the state it keeps from round to round besides its weights, as parameters or
            buffers; the checkpoint saves it.
        shared: whether its memory describes the whole batch, as a mean loss does: its floating-point buffers
            are then averaged over all processes after each round, so every process has the same. A run in
            several processes refuses a memory that is neither shared nor common, since the checkpoint has
            that of one process alone.
        common: whether its memory is the same in every process by itself: it is made from the rows of the
            whole batch (`genzoo.shares.on_whole`), or learns by gradients.
        after_round: called with the number of the round after it, when shared memories have been averaged;
            returns the game's curves, name → scalar, which are shown and logged next to the losses.
        examine: called by the training doctor every fifty rounds with the means of all curves that
            `after_round` returned, see `Curves`; returns what is wrong with them.
    """

    name: str
    module: nn.Module
    loss: Loss
    needs: frozenset[str] = frozenset()
    mixes_rows: bool = False
    classes: int = 0
    turns: int = 1
    turns_at: Callable[[int], int] | None = None
    fresh: bool = True
    in_parts: bool = False
    average: bool = False
    before_turn: Callable[[int], None] | None = None
    after_turn: Callable[[], None] | None = None
    restarts_at: Callable[[int], bool] | None = None
    finish: Callable[[Model, Feed], None] | None = None
    floor: float | None = None
    remedy: str = ""
    shown: Callable[[], tuple[Tensor, Tensor] | None] | None = None
    distance: bool = False
    recordable: bool = False
    memory: nn.Module | None = None
    shared: bool = False
    common: bool = False
    after_round: Callable[[int], Mapping[str, Tensor]] | None = None
    examine: Callable[[Curves], Iterable[Ailment]] | None = None

    def __post_init__(self) -> None:
        unknown = sorted(self.needs.difference(COLUMNS))
        if unknown:
            raise TrainingError(
                f"the player {self.name!r} needs {unknown[0]!r}, which batches do not have"
                f"{suggest(unknown[0], COLUMNS)}",
                f"a player can need: {', '.join(COLUMNS)}",
            )
        if self.shared and self.memory is None:
            raise TrainingError(
                f"the player {self.name!r} shares a memory, but it has none",
                "a player with shared=True also sets memory",
            )
        if ("labels" in self.needs) != (self.classes > 0):
            raise TrainingError(
                f"the player {self.name!r} needs {', '.join(sorted(self.needs)) or 'no labels'} but has "
                f"classes={self.classes}",
                'a player that learns from labels sets both needs=frozenset({"labels"}) and classes',
            )

    @property
    def learning(self) -> list[nn.Parameter]:
        """The weights that its turns change."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def turns_in(self, step: int) -> int:
        """Return its number of turns in round `step`."""
        return self.turns if self.turns_at is None else self.turns_at(step)

    def restarts_in(self, step: int) -> bool:
        """Return whether its optimisers forget their state at the start of round `step`."""
        return self.restarts_at is not None and self.restarts_at(step)


def averaged(game: Sequence[Player]) -> list[nn.Module]:
    """Return the modules whose floating-point buffers are averaged over processes after each round."""
    parts = ((player.module, player.memory if player.shared else None) for player in game)
    return [part for pair in parts for part in pair if part is not None]


def has_own_statistics(game: Sequence[Player], recipe: Recipe) -> bool:
    """Return whether the batch norms of a player would see one process's rows of a batch alone."""
    kind = nn.modules.batchnorm._BatchNorm
    layers = (layer for player in game for layer in player.module.modules())
    return not recipe.sync_batch_norm and any(isinstance(layer, kind) for layer in layers)


# (model, recipe) → its players, in the order in which they move
Game = Callable[..., Sequence[Player]]
G = TypeVar("G", bound=Game)


class Games:
    """`players(model, recipe)`: the players of a model's game, in the order in which they move. A class has
    the game registered for it or for its nearest base class.
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

        `options` is the class of the game's own options: `@players.register(options=Mine)`. If a recipe has
        none, the game gets the defaults.
        """
        if game is not None:
            if options is not None:
                self._options[game] = options
            return self._game_of.register(kind, game)
        if kind is None or isinstance(kind, type):
            return lambda game: self.register(kind or _first(game), game, options=options)
        return self.register(_first(kind), kind, options=options)

    def options_of(self, kind: type[Model]) -> type[GameOptions] | None:
        """Return the options class of the game of a model's class, or None if it has none."""
        return self._options.get(self._game_of.dispatch(kind))

    def completed(self, model: Model, recipe: Recipe) -> Recipe:
        """Return `recipe` with the options of the model's game, adding the defaults if it has none.

        Raises:
            TrainingError: the recipe has the options of another game.
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
            TrainingError: no game is registered for the model's class, or the recipe has the options of
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


#: The games of all kinds of models: `players(model, recipe)` returns those of a model's game, and
#: `@players.register` adds a game.
players = Games()
completed = players.completed
