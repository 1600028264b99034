"""Values that change over a run, as functions of the step alone, so that a resumed run continues exactly."""

from __future__ import annotations


def warmth(step: int, warmup: int) -> float:
    """Return the completed share of a linear warm-up of `warmup` rounds at round `step`; 1 after its end or
    without one.
    """
    return min(step / warmup, 1.0) if warmup else 1.0
