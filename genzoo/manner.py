"""Manner: in what way samples differ from draws of the model's own p(x). No torch is imported here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from genzoo.errors import ArgumentError, safe_repr

HOTTEST, WIDEST = 100.0, 100.0  # the largest temperature and truncation
COLDEST, NARROWEST = 0.01, 0.01  # the smallest: below them nothing visible changes


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How samples are drawn. By default they are draws from p(x); with any of these they are not, and the
    likelihood of the model is not that of the samples.

    Attributes:
        mean: show the mean of p(x|z) of each z instead of a draw from it, for models with such a
            distribution (VAEs).
        temperature: T in [0.01, 100], for pixel models: each level of a pixel is drawn with a probability
            proportional to p(level | earlier pixels)^(1/T). 1 changes nothing, below 1 likely levels are
            drawn more often.
        truncation: t in [0.01, 100], for models with a latent z: components of z with |z| > t are drawn
            again until they are within t (Brock, Donahue & Simonyan 2019, arXiv:1809.11096, section 3.1).

    Raises:
        ArgumentError: a value of a wrong type or outside its range.
    """

    mean: bool = False
    temperature: float | None = None
    truncation: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.mean, bool):
            raise ArgumentError(f"mean must be True or False, not {safe_repr(self.mean)}")
        for name, low, high in (("temperature", COLDEST, HOTTEST), ("truncation", NARROWEST, WIDEST)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _within(name, value, low, high))

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of what is asked for."""
        numbers = tuple(name for name in ("temperature", "truncation") if getattr(self, name) is not None)
        return (("mean",) if self.mean else ()) + numbers

    @property
    def words(self) -> str:
        """What a record or a picture says of its samples: "mean of p(x|z), truncation 0.5"; an empty text for
        draws from p(x).
        """
        numbers = {"temperature": self.temperature, "truncation": self.truncation}
        parts = [f"{name} {value:g}" for name, value in numbers.items() if value is not None]
        return ", ".join(["mean of p(x|z)"] * self.mean + parts)


PLAIN = Manner()


def _within(name: str, value: Any, low: float, high: float) -> float:
    """Return `value` as a float in [low, high], or raise ArgumentError."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise ArgumentError(
            f"{name} must be a number from {low:g} to {high:g}, not {safe_repr(value)}",
            f"for example {name}=0.7",
        )
    return float(value)
