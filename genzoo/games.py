"""Game options: the part of a recipe that only one kind of game uses.

A game of your own defines its options in a frozen dataclass derived from `GameOptions`. Their keys are set,
shown, checked and saved in checkpoints like the recipe's. This module does not import torch, so that cards
need not either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from genzoo.schema import limits

OBJECTIVES = ("minimax", "non-saturating", "lsgan", "hinge", "relativistic", "wasserstein")
PENALTIES = ("gradient", "r1", "r2", "r1-r2")
TRANSFORMS = ("color", "translation", "cutout")


@dataclass(frozen=True, kw_only=True)
class GameOptions:
    """Base of a game's options. Every field has a default and states its range in `metadata=limits(...)`."""

    @property
    def falling(self) -> Mapping[str, float]:
        """Options in use whose effect changes over the run, so that the result of a step depends on the total
        number of steps.
        """
        return {}


@dataclass(frozen=True, kw_only=True)
class Adversarial(GameOptions):
    """Options of the adversarial game. `"package.module:name"` names an objective, penalty or transform from
    your own code.
    """

    #: losses of both players: a name, or your own `genzoo.losses.objectives.Objective`
    objective: str = field(default="non-saturating", metadata=limits(choices=OBJECTIVES, own=True))
    #: clip D's weights to |w| <= c after each of its turns; 0 = no clipping
    weight_clip: float = field(default=0.0, metadata=limits(0, 100))
    gp_weight: float = field(default=0.0, metadata=limits(0, 1e6))  #: weight λ of D's penalty; 0 = no penalty
    #: kind of penalty: "gradient" = E[(‖∇D‖ - 1)²] between real images and fakes; "r1" = ½ E[‖∇D‖²] at real
    #: images, "r2" at fakes, "r1-r2" the sum of both; or your own function
    penalty_kind: str = field(default="gradient", metadata=limits(choices=PENALTIES, own=True))
    bursts: bool = False  #: give D 100 turns in each of the first 25 rounds and in every 500th
    #: D's targets: 1 - s … 1 + 2s/3 for real images, 0 … s for fakes
    soft_labels: float = field(default=0.0, metadata=limits(0, 0.5))
    #: share of D's targets that are flipped at random
    flipped_labels: float = field(default=0.0, metadata=limits(0, 0.5))
    #: standard deviation of the noise on D's input, falling linearly to 0 over the run
    instance_noise: float = field(default=0.0, metadata=limits(0, 1))
    #: number of classes that D also learns to classify; 0 = labels unused
    classes: int = field(default=0, metadata=limits(0, 10_000))
    #: first blocks of D that are not trained, for a run that starts from trained weights; 0 = none
    freeze: int = field(default=0, metadata=limits(0, 1000))
    #: share of D's fakes that come from a pool of earlier ones
    replay: float = field(default=0.0, metadata=limits(0, 1))
    #: differentiable transforms of all images that D sees
    augment: tuple[str, ...] = field(default=(), metadata=limits(choices=TRANSFORMS, own=True))

    @property
    def falling(self) -> Mapping[str, float]:
        """The instance noise."""
        return {"instance_noise": self.instance_noise} if self.instance_noise else {}

    def noise(self, step: int, steps: int) -> float:
        """Return the standard deviation of the instance noise at `step` = 0, 1, … of `steps`: it falls
        linearly and reaches 0 after the last step.
        """
        return self.instance_noise * max(0.0, 1 - step / steps)


@dataclass(frozen=True, kw_only=True)
class Classification(GameOptions):
    """Options of the classification game. `"package.module:name"` names a transform from your own code."""

    #: random transforms of the images that are classified in training
    augment: tuple[str, ...] = field(default=(), metadata=limits(choices=TRANSFORMS, own=True))
