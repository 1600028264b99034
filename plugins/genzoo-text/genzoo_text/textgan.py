"""Text to image by a conditional GAN (Reed et al. 2016, arXiv:1605.05396): GAN-CLS, whose discriminator also
learns whether image and text match, with interpolated texts, GAN-INT.
"""

from __future__ import annotations

from collections.abc import Sequence

from genzoo_dcgan.dcgan import start
from torch import Tensor

from genzoo import Recipe, Text
from genzoo.evaluation.measures import measures
from genzoo.models import AdversarialModel
from genzoo.training import Player, estimate_statistics, players
from genzoo_text.colours import measure_text
from genzoo_text.game import MatchingGame
from genzoo_text.nets import Discriminator, Generator, TextGANConfig, dcgan_of
from genzoo_text.options import Matching


class TextGAN(AdversarialModel):
    """G: z (N, latent_size) and texts (N, L) → images; D: images and texts → logits. z is Gaussian."""

    Config = TextGANConfig
    condition_type = Text
    decode_chunk = 64
    recordable = True
    generator: Generator
    discriminator: Discriminator

    def __init__(self, config: TextGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)
        start(self, dcgan_of(config))

    def _decode(self, z: Tensor, condition: Tensor) -> Tensor:
        images: Tensor = self.generator(z, self.generator.words(condition))
        return images.add(1).div(2)  # (N, C, H, W)

    def _discriminate(self, x: Tensor, condition: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(2 * x - 1, self.discriminator.words(condition))
        return logits  # (N,)


measures.register(TextGAN)(measure_text)


@players.register(options=Matching)
def matching_players(model: TextGAN, recipe: Recipe) -> Sequence[Player]:
    """Return the discriminator and the generator, in this order."""
    options = recipe.options(Matching)
    game = MatchingGame(model, options)
    # A second turn of G in a round would find the fakes of D's last turn used up.
    recordable = model.recordable and recipe.turns_of("generator") == 1
    return [
        Player(
            name="discriminator",
            module=model.discriminator,
            loss=game.discriminator_loss,
            turns=recipe.turns_of("discriminator"),
            mixes_rows=options.matching or options.interpolate,
            floor=0.01,
            remedy="try a lower lr.discriminator, or augment=translation,cutout",
            recordable=recordable,
        ),
        Player(
            name="generator",
            module=model.generator,
            loss=game.generator_loss,
            turns=recipe.turns_of("generator"),
            mixes_rows=options.interpolate,
            fresh=False,
            average=True,
            finish=estimate_statistics,
            shown=lambda: game.shown,
            recordable=recordable,
        ),
    ]
