"""What the training doctor reports: findings of its own, and ailments that a game recognises itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# name of a curve → its means over equal stretches of the run (200 rounds each), oldest first
Curves = Mapping[str, Sequence[float]]


class Ailment(NamedTuple):
    """A problem that a game recognises in its own curves: what `Player.examine` returns.

    Attributes:
        kind: its name; each kind is reported once per run.
        words: what was observed, with numbers.
        remedy: what to try, such as a setting.
    """

    kind: str
    words: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A problem of a run: its step and kind, what was observed, and what to try."""

    step: int
    kind: str
    words: str
    remedy: str

    def __str__(self) -> str:
        return f"step {self.step:,}: {self.kind}: {self.words}; try {self.remedy}"
