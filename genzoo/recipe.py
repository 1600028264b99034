"""Recipe: how a model is trained, as data.

What training took and reached is not part of it: the ledger records that with the weights. Keys that are set
per player (`lr`, `optimizer`, `turns`) are written `--set lr.generator=1e-4` on the command line.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from genzoo.errors import ArgumentError, safe_repr
from genzoo.games import GameOptions
from genzoo.schema import limits

G = TypeVar("G", bound=GameOptions)

AUTO = "auto"
SWITCH = (AUTO, "on", "off")
SCHEDULES = ("linear", "cosine", "constant")
OPTIMIZERS = ("adam", "rmsprop", "sgd", "muon")
FACTS = ("command",)  # keys that change nothing in a run
TABLES = ("lr", "turns", "optimizer")  # keys with a value for each player


def _unpacked(cls: type[Recipe], facts: dict[str, Any]) -> Recipe:
    return cls(**facts)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained. Every key can be set from the command line: `genzoo train NAME --set
    key=value`.
    """

    command: str = ""  #: the full training command, if `genzoo train NAME` is not enough
    data: str = ""  #: data set, as `genzoo train --data` takes it
    #: share of images held out for scoring if the data set has no official test split
    val_split: float = field(default=0.1, metadata=limits(0, 0.9))
    #: hold validation images out of training and score on them instead of the test images, to choose settings
    validation: bool = False
    #: rounds to train for; in a round every player takes its turns
    steps: int = field(default=10_000, metadata=limits(1, 10**9))
    #: images per turn, summed over all processes
    batch_size: int = field(default=64, metadata=limits(1, 65_536))
    #: parts in which each turn's images are computed, one after the other: less memory, the same gradients;
    #: refused for nets with batch norm
    accumulate: int = field(default=1, metadata=limits(1, 65_536))
    #: compute what networks keep for their gradients a second time in the backward pass: less memory, the
    #: same gradients; refused for games that gain nothing
    recompute: bool = False
    seed: int = field(default=0, metadata=limits(0, 2**63 - 1))

    #: learning rate per player
    lr: Mapping[str, float] = field(default_factory=lambda: {"all": 2e-4}, metadata=limits(0, 10))
    #: share of the steps, at the end, over which every learning rate falls linearly to 0
    lr_decay: float = field(default=0.0, metadata=limits(0, 1))
    #: shape of the fall over lr_decay: linear, cosine (half a wave), or constant for none
    schedule: str = field(default="linear", metadata=limits(choices=SCHEDULES))
    #: steps over which every learning rate first rises linearly to its value; 0 = off
    lr_warmup: int = field(default=0, metadata=limits(0, 10**9))
    #: before each update, weights with two or more axes are multiplied by 1 - lr * weight_decay (decoupled,
    #: for every optimiser); 0 = off
    weight_decay: float = field(default=0.0, metadata=limits(0, 100))
    #: largest norm of all gradients of a player's turn together; larger ones are scaled down to it; 0 = off
    max_grad_norm: float = field(default=0.0, metadata=limits(0, 10**9))
    #: turns per round for each player; 1 if not set
    turns: Mapping[str, int] = field(default_factory=dict, metadata=limits(1, 1000))
    #: optimiser per player
    optimizer: Mapping[str, str] = field(
        default_factory=lambda: {"all": "adam"}, metadata=limits(choices=OPTIMIZERS, own=True)
    )
    #: Adam's betas
    betas: tuple[float, float] = field(default=(0.9, 0.999), metadata=limits(0, 0.999999, size=2))

    #: mirror images left to right at random; only for data whose mirror images are equally plausible
    flip: bool = False
    #: shift each image at random by up to this many pixels each way, repeating its edges
    shift: int = field(default=0, metadata=limits(0, 1024))
    #: stop shifting images from this batch of the run on; 0 = shift throughout
    shift_until: int = field(default=0, metadata=limits(0, 10**9))
    #: decay of the weights' moving average; 0 = off
    ema: float = field(default=0.0, metadata=limits(0, 0.999999))

    #: floating-point precision; auto = bf16 on hardware where it is fast
    precision: str = field(default=AUTO, metadata=limits(choices=(AUTO, "fp32", "bf16")))
    #: whether images and weights use the channels-last memory layout
    channels_last: str = field(default=AUTO, metadata=limits(choices=SWITCH))
    #: torch.compile for the networks that the losses call, refused if they call none; auto = off
    compile: str = field(default=AUTO, metadata=limits(choices=SWITCH))
    #: record turns as CUDA graphs; auto = on a GPU, if the game allows it
    cuda_graphs: str = field(default=AUTO, metadata=limits(choices=(AUTO, "off")))
    #: number format of the published weights
    save_dtype: str = field(default="float32", metadata=limits(choices=("float32", "float16")))
    #: whether batch norms of a run of several processes use the whole batch, as one process does
    sync_batch_norm: bool = False
    #: TF32 on NVIDIA GPUs, for matrix products and convolutions; auto = for convolutions alone
    tf32: str = field(default=AUTO, metadata=limits(choices=SWITCH))
    #: how cuDNN chooses its algorithms; auto = as torch is set
    cudnn: str = field(default=AUTO, metadata=limits(choices=(AUTO, "benchmark", "deterministic")))
    licence: str = ""  #: licence of the published weights, as their author states it; "" = not stated
    watch: bool = True  #: stop training once a player has collapsed, instead of wasting hours
    #: options of the model's game; None = its defaults, or a game without options
    game: GameOptions | None = None

    def __post_init__(self) -> None:
        for key in TABLES:
            table = getattr(self, key)
            if not isinstance(table, Mapping):
                raise ArgumentError(
                    f"a recipe's {key} must be a table of player = value, not {safe_repr(table)}"
                )
            object.__setattr__(self, key, MappingProxyType(dict(table)))
        if self.schedule == "cosine" and not self.lr_decay:
            raise ArgumentError(
                "schedule=cosine shapes the fall of the learning rates over lr_decay, which is 0",
                "set lr_decay=1 as well, for a fall over the whole run",
            )
        if self.game is None:
            return
        if not isinstance(self.game, GameOptions):
            raise ArgumentError(f"a recipe's game must be GameOptions, not {safe_repr(self.game)}")
        twice = {f.name for f in dataclasses.fields(self)} & {f.name for f in dataclasses.fields(self.game)}
        if twice:
            raise ArgumentError(
                f"{type(self.game).__name__} has the option {min(twice)!r}, a key of every recipe",
                "rename the option",
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Let recipes be copied and sent to other processes, which the read-only views of their tables do
        not.
        """
        facts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return _unpacked, (type(self), {**facts, **{key: dict(facts[key]) for key in TABLES}})

    def options(self, kind: type[G]) -> G:
        """Return the recipe's game options, which must be of `kind`; the defaults of `kind` if it has none.

        Raises:
            ArgumentError: the recipe has the options of another game.
        """
        if self.game is None:
            return kind()
        if not isinstance(self.game, kind):
            raise ArgumentError(
                f"this game takes {kind.__name__} options, but its recipe has {type(self.game).__name__}",
                f"write game={kind.__name__}(...) in the card",
            )
        return self.game

    def lr_of(self, player: str) -> float:
        """Return the learning rate of `player`."""
        return self.lr[player] if player in self.lr else self.lr.get("all", 2e-4)

    def lr_at(self, player: str, step: int) -> float:
        """Return the learning rate of `player` at `step` = 0, 1, … of the run; see `warmth`."""
        return self.warmth(step) * self.lr_of(player)

    def optimizer_of(self, player: str) -> str:
        """Return the name of the optimiser of `player`."""
        return self.optimizer[player] if player in self.optimizer else self.optimizer.get("all", "adam")

    @property
    def cooling_from(self) -> float:
        """Return the step from which the learning rates fall."""
        return self.steps * (1 - self.lr_decay)

    @property
    def bound_from(self) -> float:
        """Return the first step whose result depends on the total number of steps: from it on, the learning
        rates or an option of the game fall towards the end of the run.
        """
        if self.game is not None and self.game.falling:
            return 0.0
        return self.cooling_from if self._falls else math.inf

    @property
    def _falls(self) -> bool:
        return self.lr_decay > 0 and self.schedule != "constant"

    def shift_of(self, batch: int) -> int:
        """Return the largest shift, in pixels, of the images in batch number `batch` = 0, 1, … of the run."""
        return self.shift if batch < self.shift_until or not self.shift_until else 0

    def warmth(self, step: int) -> float:
        """Return the factor on the learning rates at `step` = 0, 1, …, a function of the step alone.

        With n steps of warm-up it rises by 1/n each step, from 1/n at step 0. It is 1 until the decay starts,
        then falls to almost 0 at the last step: linearly, as the share s of the decay that is left, or as
        (1 - cos πs) / 2. If both overlap, it is their product.
        """
        left = self.steps - self.cooling_from
        fall = min(1.0, (self.steps - step) / left) if left and self._falls else 1.0
        if self.schedule == "cosine":
            fall = (1 - math.cos(math.pi * fall)) / 2
        return fall * min(1.0, (step + 1) / self.lr_warmup) if self.lr_warmup else fall

    def turns_of(self, player: str) -> int:
        """Return how many turns `player` takes in one round."""
        return self.turns.get(player, 1)

    def replace(self, **changes: object) -> Recipe:
        """Return a copy with `changes`, which are not checked; see `genzoo.schema.parse`."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def keys_of(recipe: Recipe, game: GameOptions | None = None) -> dict[str, Any]:
    """Return every key that `--set key=value` can change, with its value: those of `recipe` and those of its
    game options, or of `game` if it has none.
    """
    keys = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe) if f.name != "game"}
    options = recipe.game or game
    return keys | ({f.name: getattr(options, f.name) for f in dataclasses.fields(options)} if options else {})
