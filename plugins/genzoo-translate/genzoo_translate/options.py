"""Options of the two games of translation. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from genzoo import GameOptions
from genzoo.errors import ArgumentError
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class Paired(GameOptions):
    """Options of the game of pix2pix (Isola et al. 2017): `adversarial=0` is L1 alone, `l1=0` the conditional
    GAN alone.
    """

    #: weight of G's adversarial loss; 0 = no discriminator
    adversarial: float = field(default=1.0, metadata=limits(0, 1e6))
    #: weight λ of G's L1 loss, the mean |y - G(x)| of images in [-1, 1], as in the paper
    l1: float = field(default=100.0, metadata=limits(0, 1e6))

    def __post_init__(self) -> None:
        if not self.adversarial and not self.l1:
            raise ArgumentError("adversarial and l1 are both 0: nothing is left to learn", "set l1=100")


@dataclass(frozen=True, kw_only=True)
class Cycle(GameOptions):
    """Options of the game of CycleGAN (Zhu et al. 2017)."""

    #: weight λ of the cycle loss, the mean |F(G(x)) - x| of images in [-1, 1], in both directions
    cycle: float = field(default=10.0, metadata=limits(0, 1e6))
    #: weight of the identity loss, the mean |G(y) - y|, as a share of λ; 0 = none
    identity: float = field(default=0.5, metadata=limits(0, 1e6))
    #: translations that each discriminator keeps, to be shown again; 0 = none
    pool: int = field(default=50, metadata=limits(0, 10_000))
