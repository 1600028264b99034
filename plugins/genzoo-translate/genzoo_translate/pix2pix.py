"""pix2pix (Isola, Zhu, Zhou & Efros 2017, arXiv:1611.07004): a conditional GAN whose condition is a picture,
trained on pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from genzoo import Recipe
from genzoo.models import TranslatingModel
from genzoo.rng import Rng
from genzoo.schema import limits
from genzoo.training import Player, players
from genzoo_translate.layers import PatchDiscriminator, check_patches, initialise
from genzoo_translate.options import Paired
from genzoo_translate.paired_game import PairedGame
from genzoo_translate.unet import UNet, halvings


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig:
    """Config of pix2pix.

    Attributes:
        source_shape: (C, H, W) of the pictures to translate.
        domains: what they show, and what their translations show.
        image_shape: (C', H, W) of the translations in training; afterwards any multiple of the U-Net's step
            fits.
        width: channels of the U-Net's first layer; 64 in the paper. They double with each layer, up to
            `widest`.
        widest: most channels of the U-Net; 512 in the paper.
        depth: layers of the encoder, each of which halves the sides; 0 = as many as the sides halve, at most
            8.
        dropout: probability with which the first three layers of the decoder drop a value, in training and
            afterwards: the model's noise. 0 = one translation for each picture.
        judge_width: channels of D's first layer; 64 in the paper.
        patch_layers: strided layers of D; 1, 2 and 3 see patches of 16, 34 and 70 pixels.
    """

    source_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    domains: tuple[str, str] = ("map", "photo")
    image_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    width: int = field(default=48, metadata=limits(1, 512))
    widest: int = field(default=128, metadata=limits(1, 2048))
    depth: int = field(default=0, metadata=limits(0, 8))
    dropout: float = field(default=0.5, metadata=limits(0, 0.95))
    judge_width: int = field(default=32, metadata=limits(1, 512))
    patch_layers: int = field(default=2, metadata=limits(1, 3))

    @property
    def noisy(self) -> bool:
        """Whether the translation of one picture depends on the seed."""
        return self.dropout > 0


class Pix2Pix(TranslatingModel):
    """y = G(x, noise), with dropout as noise. D judges patches of (x, y)."""

    Config = Pix2PixConfig
    generator: UNet
    discriminator: PatchDiscriminator

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__()
        self.config = config
        sides = config.image_shape[1:]
        layers = halvings(sides, config.depth)
        check_patches(sides, config.patch_layers)
        self.multiple = 2**layers
        widths = [min(config.width * 2**i, max(config.width, config.widest)) for i in range(layers)]
        source, target = config.source_shape[0], config.image_shape[0]
        self.generator = UNet(source, target, widths, config.dropout)
        self.discriminator = PatchDiscriminator(source + target, config.judge_width, config.patch_layers)
        self.apply(initialise)

    def _translate(self, x: Tensor, to: str, rng: Rng) -> Tensor:  # (N, C, H, W) in [0, 1]
        images: Tensor = (self.generator(2 * x - 1, rng) + 1) / 2
        return images  # (N, C', H, W) in [0, 1]


@players.register(options=Paired)
def paired_players(model: Pix2Pix, recipe: Recipe) -> Sequence[Player]:
    """Return the discriminator and the generator, in the order in which they move; the generator alone if
    `adversarial` is 0.
    """
    options = recipe.options(Paired)
    game = PairedGame(model.generator, model.discriminator, options)
    needs = frozenset({"condition"})
    # A second turn of G in a round would find the translations of D's last turn used up.
    recordable = recipe.turns_of("generator") == 1
    judging = Player(
        name="discriminator",
        module=model.discriminator,
        loss=game.discriminator_loss,
        needs=needs,
        turns=recipe.turns_of("discriminator"),
        recordable=recordable,
    )
    translating = Player(
        name="generator",
        module=model.generator,
        loss=game.generator_loss,
        needs=needs,
        turns=recipe.turns_of("generator"),
        fresh=not options.adversarial,
        average=True,
        shown=lambda: game.shown,
        recordable=recordable,
    )
    return [judging, translating] if options.adversarial else [translating]
