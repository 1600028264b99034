"""The options of a BEGAN's game. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from genzoo import GameOptions
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class Equilibrium(GameOptions):
    """Options of the equilibrium game: `genzoo train began --set gamma=0.7`."""

    #: γ, the ratio L(G(z)) / L(x) that k steers to: a low one gives cleaner images of fewer kinds
    gamma: float = field(default=0.5, metadata=limits(0, 1))
    #: λ_k, how far k moves in a round per unit of γ L(x) - L(G(z)); 0 keeps k at 0
    k_rate: float = field(default=1e-3, metadata=limits(0, 1))
