"""Options of the progressive game: when a stage starts, how it is faded in, and how the critic is held.

A net that grows to `last` has the stages 0 … last; stage s doubles the image size of stage s - 1. How far a
net has grown is one number, its growth: s when stage s is complete, and s - 1 + α while stage s is faded in,
with α in (0, 1). Growth is a function of the round alone, so a resumed run continues exactly.

Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from genzoo import GameOptions
from genzoo.errors import ArgumentError
from genzoo.games import OBJECTIVES, PENALTIES, TRANSFORMS
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class Progressive(GameOptions):
    """Options of the progressive game (Karras et al. 2018)."""

    #: rounds of each stage, the smallest images first; the last number holds for all further stages, and the
    #: last stage continues to the end of the run
    stage_rounds: tuple[int, ...] = field(default=(500,), metadata=limits(1, 10**9))
    #: share of a stage's rounds in which its new layers are faded in
    fade: float = field(default=0.5, metadata=limits(0, 1))
    #: losses of both players: a name, or your own `genzoo.losses.objectives.Objective`
    objective: str = field(default="wasserstein", metadata=limits(choices=OBJECTIVES, own=True))
    #: kind of D's penalty, as in `genzoo.games.Adversarial`
    penalty_kind: str = field(default="gradient", metadata=limits(choices=PENALTIES, own=True))
    #: weight λ of the penalty; slopes are per unit of images in [-1, 1], as in the paper
    gp_weight: float = field(default=10.0, metadata=limits(0, 1e6))
    #: weight of the drift term, the mean square of D's outputs for real images, which keeps them near 0
    drift: float = field(default=1e-3, metadata=limits(0, 1000))
    #: differentiable transforms of all images that D sees, at the size of the stage
    augment: tuple[str, ...] = field(default=(), metadata=limits(choices=TRANSFORMS, own=True))

    def __post_init__(self) -> None:
        if not self.stage_rounds:
            raise ArgumentError("stage_rounds is empty", "give one number for all stages: stage_rounds=500")

    def rounds(self, stage: int) -> int:
        """Return the number of rounds of a stage, numbered from 0."""
        return self.stage_rounds[min(stage, len(self.stage_rounds) - 1)]

    def start(self, stage: int) -> int:
        """Return the first round of `stage`."""
        return sum(self.rounds(earlier) for earlier in range(stage))

    def fading(self, stage: int) -> int:
        """Return the number of rounds in which `stage` is faded in: 0 for the first stage, and at least one
        round less than a stage has, so that each is complete before the next starts.
        """
        return min(round(self.fade * self.rounds(stage)), self.rounds(stage) - 1) if stage else 0

    def stage(self, step: int, last: int) -> int:
        """Return the stage of round `step` = 0, 1, … of a net that grows to the stage `last`."""
        return max(stage for stage in range(last + 1) if self.start(stage) <= step)

    def growth(self, step: int, last: int) -> float:
        """Return the growth in round `step`, in [0, last]: α rises linearly from 1 / (n + 1) over the n
        fading rounds of a stage and is 1 after them.
        """
        stage = self.stage(step, last)
        if not stage:
            return 0.0
        alpha = (step - self.start(stage) + 1) / (self.fading(stage) + 1)
        return stage - 1 + min(1.0, alpha)

    def starts(self, step: int, last: int) -> bool:
        """Return whether a stage other than the first starts in round `step`."""
        return step in {self.start(stage) for stage in range(1, last + 1)}

    def grown(self, last: int) -> int:
        """Return the first round in which a net that grows to `last` is complete."""
        return self.start(last) + self.fading(last)


def place(growth: float, last: int) -> tuple[int, float]:
    """Return the stage and α in (0, 1] of a growth, which is brought into [0, last]: 1.25 is stage 2 at α =
    0.25, and 2 is stage 2 at α = 1.
    """
    within = min(max(growth, 0.0), float(last))
    stage = int(within) + (within > int(within))
    return stage, (within - stage + 1 if stage else 1.0)
