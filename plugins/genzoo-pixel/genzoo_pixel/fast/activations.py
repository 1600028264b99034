"""tanh computed from the sigmoid, which is faster on CPUs."""

from __future__ import annotations

from torch import Tensor


def tanh_(x: Tensor) -> Tensor:
    """Replace `x` by tanh(x) = 2 σ(2x) - 1 and return it; on CPUs this takes a third of the time of `tanh`.

    The error is about 10⁻⁷ in float32.
    """
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)
