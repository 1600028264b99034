"""Recipe: how a model is trained, as data.

What training took and reached is no part of it: the ledger has that, with the weights. Keys given per player
(`lr`, `optimizer`, `turns`) are written `--set lr.generator=1e-4` on the command line.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from genzoo.errors import ArgumentError, safe_repr
from genzoo.games import GameOptions
from genzoo.schema import limits

G = TypeVar("G", bound=GameOptions)

AUTO = "auto"
SWITCH = (AUTO, "on", "off")
OPTIMIZERS = ("adam", "rmsprop", "sgd", "muon")
FACTS = ("command",)  # keys that decide nothing


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained. Every key can be set from the command line: `genzoo train NAME --set
    key=value`.
    """

    command: str = ""  #: how to train it where `genzoo train NAME` is not enough
    data: str = ""  #: what `genzoo train --data` takes
    #: share kept for scores where a set has no official test split
    val_split: float = field(default=0.1, metadata=limits(0, 0.9))
    #: keep the validation images out of training and score on them, not on the test images: to choose
    #: settings
    validation: bool = False
    #: rounds of the game: every player has had its turns
    steps: int = field(default=10_000, metadata=limits(1, 10**9))
    batch_size: int = field(default=64, metadata=limits(1, 65_536))  #: images per turn, over all processes
    seed: int = field(default=0, metadata=limits(0, 2**63 - 1))

    #: learning rate per player
    lr: Mapping[str, float] = field(default_factory=lambda: {"all": 2e-4}, metadata=limits(0, 10))
    #: last share of the steps, over which all rates fall linearly to 0
    lr_decay: float = field(default=0.0, metadata=limits(0, 1))
    #: turns per round and player, 1 where absent
    turns: Mapping[str, int] = field(default_factory=dict, metadata=limits(1, 1000))
    #: per player
    optimizer: Mapping[str, str] = field(
        default_factory=lambda: {"all": "adam"}, metadata=limits(choices=OPTIMIZERS, own=True)
    )
    betas: tuple[float, float] = field(default=(0.9, 0.999), metadata=limits(0, 0.999999, size=2))  #: of Adam

    #: mirror left and right at random: only where a mirrored image is as good as the image
    flip: bool = False
    #: move each image by up to so many pixels either way, edges repeated
    shift: int = field(default=0, metadata=limits(0, 1024))
    #: batch of the run from which images stay in place; 0 = never
    shift_until: int = field(default=0, metadata=limits(0, 10**9))
    ema: float = field(default=0.0, metadata=limits(0, 0.999999))  #: decay of the averaged weights, 0 = off

    #: auto: bf16 where it is fast
    precision: str = field(default=AUTO, metadata=limits(choices=(AUTO, "fp32", "bf16")))
    #: memory layout of images and weights
    channels_last: str = field(default=AUTO, metadata=limits(choices=SWITCH))
    compile: str = field(default=AUTO, metadata=limits(choices=SWITCH))  #: torch.compile; auto: off
    #: auto: a GPU records turns where the game allows it
    cuda_graphs: str = field(default=AUTO, metadata=limits(choices=(AUTO, "off")))
    #: of the published weights
    save_dtype: str = field(default="float32", metadata=limits(choices=("float32", "float16")))
    licence: str = ""  #: of the published weights, as their author states it; "" = none is stated
    watch: bool = True  #: stop when a player has collapsed, instead of burning hours
    game: GameOptions | None = None  #: options of the model's own game; None = its defaults, or it has none

    def __post_init__(self) -> None:
        if self.game is None:
            return
        if not isinstance(self.game, GameOptions):
            raise ArgumentError(f"a recipe's game must be GameOptions, not {safe_repr(self.game)}")
        twice = {f.name for f in dataclasses.fields(self)} & {f.name for f in dataclasses.fields(self.game)}
        if twice:
            raise ArgumentError(
                f"{type(self.game).__name__} has the option {min(twice)!r}, which is a key of every recipe",
                "name it otherwise",
            )

    def options(self, kind: type[G]) -> G:
        """Return the options of the game, which are of `kind`; its defaults where the recipe has none.

        Raises:
            ArgumentError: the recipe has those of another game.
        """
        if self.game is None:
            return kind()
        if not isinstance(self.game, kind):
            raise ArgumentError(
                f"this game has the options {kind.__name__}, and its recipe those of "
                f"{type(self.game).__name__}",
                f"write game={kind.__name__}(...) in the card",
            )
        return self.game

    def lr_of(self, player: str) -> float:
        """Return the learning rate of `player`."""
        return self.lr[player] if player in self.lr else self.lr.get("all", 2e-4)

    def optimizer_of(self, player: str) -> str:
        """Return the name of the optimiser of `player`."""
        return self.optimizer[player] if player in self.optimizer else self.optimizer.get("all", "adam")

    @property
    def cooling_from(self) -> float:
        """Return the step from which the rates fall."""
        return self.steps * (1 - self.lr_decay)

    @property
    def bound_from(self) -> float:
        """Return the step from which the bits of a run depend on how many steps it has: the rates fall, or
        what its game lets fall.
        """
        if self.game is not None and self.game.falling:
            return 0.0
        return self.cooling_from if self.lr_decay else math.inf

    def shift_of(self, batch: int) -> int:
        """Return by how many pixels the images of batch number `batch` = 0, 1, … of the run are moved at
        most.
        """
        return self.shift if batch < self.shift_until or not self.shift_until else 0

    def warmth(self, step: int) -> float:
        """Return what the rates are multiplied with at `step` = 0, 1, …: 1 until the decay begins, then
        falling to almost 0 at the last.
        """
        left = self.steps - self.cooling_from
        return min(1.0, (self.steps - step) / left) if left else 1.0

    def turns_of(self, player: str) -> int:
        """Return how many turns `player` has in one round."""
        return self.turns.get(player, 1)

    def replace(self, **changes: object) -> Recipe:
        """Return a copy with `changes`; unchecked, see `genzoo.schema.parse`."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def keys_of(recipe: Recipe, game: GameOptions | None = None) -> dict[str, Any]:
    """Return every key of `recipe` with its value, and those of its game's options, or of `game` where it has
    none: what `--set key=value` can change.
    """
    keys = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe) if f.name != "game"}
    options = recipe.game or game
    return keys | ({f.name: getattr(options, f.name) for f in dataclasses.fields(options)} if options else {})
