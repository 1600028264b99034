"""What changes along a run, as a function of the step alone: a resumed run goes on where it was."""

from __future__ import annotations


def warmth(step: int, warmup: int) -> float:
    """Return the share of a linear warm-up of `warmup` rounds that has passed at round `step`; 1 from its end
    on, or without one.
    """
    return min(step / warmup, 1.0) if warmup else 1.0
