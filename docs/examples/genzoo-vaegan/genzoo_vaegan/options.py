"""What a recipe says to the game of a VAE-GAN alone. Nothing here imports torch."""

from dataclasses import dataclass, field

from genzoo import GameOptions
from genzoo.schema import limits


@dataclass(frozen=True, kw_only=True)
class VAEGANOptions(GameOptions):
    """How the game is weighed: `genzoo train vaegan --set gamma=1`."""

    #: what a good reconstruction counts for the generator
    gamma: float = field(default=0.1, metadata=limits(0, 1000))
