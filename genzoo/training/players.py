"""Players: a model's training is a game, and one loop plays every game.

`players(model, recipe)` says who plays. It is a `functools.singledispatch` on the model's class: the core
registers the games of `DensityModel` (one player, likelihood), `AdversarialModel` (two players, adversarial)
and `ClassifyingModel` (one player, with labels); a plugin registers its own with `players.register`, and the loop
stays untouched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genzoo.errors import TrainingError, suggest
from genzoo.models import Model
from genzoo.recipe import Recipe
from genzoo.training.batch import COLUMNS, Batch

Loss = Callable[[Batch, torch.Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class Player:
    """One player of a game.

    Attributes:
        name: how the recipe addresses it: `--set rate.NAME=…`, `--set turns.NAME=…`.
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
                f"the player {self.name!r} needs {unknown[0]!r}, which no batch has"
                f"{suggest(unknown[0], COLUMNS)}",
                f"what a player can need: {', '.join(COLUMNS)}",
            )
        if ("labels" in self.needs) != (self.classes > 0):
            raise TrainingError(
                f"the player {self.name!r} needs {', '.join(sorted(self.needs)) or 'no labels'} and has "
                f"classes={self.classes}",
                'a player that learns from labels has needs=frozenset({"labels"}) and the number of classes',
            )

    def turns_in(self, step: int) -> int:
        """Return how often it moves in the round `step`."""
        return self.turns if self.turns_at is None else self.turns_at(step)


@functools.singledispatch
def players(model: Model, recipe: Recipe) -> Sequence[Player]:
    """Return the players of the model's game in the order in which they move.

    Raises:
        TrainingError: nobody registered a game for the model's class.
    """
    raise TrainingError(
        (
            f"nobody knows how {type(model).__name__} is trained: it is neither a DensityModel nor an "
            "AdversarialModel"
        ),
        "register its game with genzoo.training.players.register, beside the class",
    )
