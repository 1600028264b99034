"""Options of games: what a recipe says to the players of one kind of game, and every other game has no use
for.

A game of one's own brings its own options: a frozen dataclass below `GameOptions`, whose keys are set, shown,
checked and kept in checkpoints as the recipe's are. This module is free of torch, so that cards can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from genzoo.schema import limits

OBJECTIVES = ("minimax", "non-saturating", "lsgan", "hinge", "wasserstein")
PENALTIES = ("gradient",)
TRANSFORMS = ("color", "translation", "cutout")


@dataclass(frozen=True, kw_only=True)
class GameOptions:
    """Base of the options of a game. Every field has a default, and its range in `metadata=limits(...)`."""

    @property
    def falling(self) -> Mapping[str, float]:
        """Options in use whose effect changes along the run, so that its bits depend on how many steps it
        has.
        """
        return {}


@dataclass(frozen=True, kw_only=True)
class Adversarial(GameOptions):
    """Options of the adversarial game. `"package.module:name"` names an objective, penalty or transform of
    one's own.
    """

    #: what the players pay: a name, or a `genzoo.losses.objectives.Objective` of one's own
    objective: str = field(default="non-saturating", metadata=limits(choices=OBJECTIVES, own=True))
    #: bound c of D's weights after each of its turns, |w| <= c; 0 = none
    weight_clip: float = field(default=0.0, metadata=limits(0, 100))
    gp_weight: float = field(default=0.0, metadata=limits(0, 1e6))  #: λ of D's penalty, 0 = none
    #: of which kind: E[(‖∇D‖ - 1)²], or a function of one's own
    penalty_kind: str = field(default="gradient", metadata=limits(choices=PENALTIES, own=True))
    bursts: bool = False  #: 100 turns of D in the first 25 rounds and in every 500th
    #: D's targets: 1 - s … 1 + 2s/3 for real images, 0 … s for fakes
    soft_labels: float = field(default=0.0, metadata=limits(0, 0.5))
    flipped_labels: float = field(
        default=0.0, metadata=limits(0, 0.5)
    )  #: share of D's targets that are wrong
    #: deviation of noise on what D sees, falling to 0 along the run
    instance_noise: float = field(default=0.0, metadata=limits(0, 1))
    #: classes of the data, which D then also tells apart; 0 = labels unused
    classes: int = field(default=0, metadata=limits(0, 10_000))
    #: share of the fakes shown to D that are old ones
    replay: float = field(default=0.0, metadata=limits(0, 1))
    #: differentiable
    augment: tuple[str, ...] = field(default=(), metadata=limits(choices=TRANSFORMS, own=True))

    @property
    def falling(self) -> Mapping[str, float]:
        """The instance noise."""
        return {"instance_noise": self.instance_noise} if self.instance_noise else {}

    def noise(self, step: int, steps: int) -> float:
        """Return the deviation of the instance noise at `step` = 0, 1, … of `steps`: it falls linearly from
        the first step to 0 after the last.
        """
        return self.instance_noise * max(0.0, 1 - step / steps)
