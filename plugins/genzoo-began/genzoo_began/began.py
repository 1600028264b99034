"""Boundary equilibrium GAN (Berthelot, Schumm & Metz 2017, arXiv:1703.10717): the discriminator is an
autoencoder, and real images are those that it reconstructs well.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from genzoo import Recipe
from genzoo.models import AdversarialModel
from genzoo.training import Player, players
from genzoo_began.game import EquilibriumGame, examine
from genzoo_began.nets import Autoencoder, BEGANConfig, Decoder, initialise
from genzoo_began.options import Equilibrium


class BEGAN(AdversarialModel):
    """x = G(z) with z ~ U(-1, 1); D reconstructs images. G has the architecture of D's decoder, not its
    weights.
    """

    Config = BEGANConfig
    prior = "uniform"  # section 3.5; interpolation is along a line
    decode_chunk = 64
    recordable = True
    generator: Decoder
    discriminator: Autoencoder

    def __init__(self, config: BEGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Decoder(config)
        self.discriminator = Autoencoder(config)
        self.apply(initialise)

    def errors(self, v: Tensor) -> Tensor:
        """Return L(v) = mean |v - D(v)| of each image, (N,), of images (N, C, H, W) in [-1, 1] (equation 1
        with η = 1, averaged over pixels).
        """
        errors: Tensor = (v - self.discriminator(v)).abs().mean((1, 2, 3))
        return errors

    def _decode(self, z: Tensor) -> Tensor:  # (N, latent_size)
        # The last layer is linear, as in the paper. The game uses G's own output: where it is out of range,
        # clamping would leave it no gradient to return.
        images: Tensor = self.generator(z).add(1).div(2).clamp(0, 1)
        return images  # (N, C, H, W)

    def _discriminate(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        return -self.errors(2 * x - 1)  # (N,), large where x looks real: D reconstructs it well


@players.register(options=Equilibrium)
def equilibrium_players(model: BEGAN, recipe: Recipe) -> Sequence[Player]:
    """Return the discriminator and the generator, in the order in which they move."""
    game = EquilibriumGame(model, model.errors, recipe.options(Equilibrium))
    # A second turn of G in a round would find the fakes of D's last turn used up.
    recordable = model.recordable and recipe.turns_of("generator") == 1
    return [
        Player(
            name="discriminator",
            module=model.discriminator,
            loss=game.discriminator_loss,
            turns=recipe.turns_of("discriminator"),
            memory=game.balance,
            shared=True,
            after_round=game.after_round,
            examine=examine,
            recordable=recordable,
        ),
        Player(
            name="generator",
            module=model.generator,
            loss=game.generator_loss,
            turns=recipe.turns_of("generator"),
            fresh=False,
            average=True,
            shown=lambda: game.shown,
            recordable=recordable,
        ),
    ]
