"""CycleGAN (Zhu, Park, Isola & Efros 2017, arXiv:1703.10593): two domains without pairs, and a generator for
each direction. What is translated there and back must be what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from genzoo import Recipe
from genzoo.models import TranslatingModel
from genzoo.rng import Rng
from genzoo.schema import limits
from genzoo.training import Player, players
from genzoo_translate.cycle_game import CycleGame, Side
from genzoo_translate.layers import PatchDiscriminator, check_patches, initialise
from genzoo_translate.options import Cycle
from genzoo_translate.resnet import STEP, UPSAMPLING, Generators, check_sides


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig:
    """Config of CycleGAN.

    Attributes:
        source_shape: (C, H, W) of pictures of the first domain.
        domains: what the pictures of both domains show.
        image_shape: (C', H, W) of pictures of the second domain, in training; afterwards all multiples of 8
            fit.
        width: channels of the generators at full size; 64 in the paper.
        blocks: residual blocks of each generator; 6 in the paper, for sides of 128.
        judge_width: channels of the discriminators' first layer; 64 in the paper.
        patch_layers: strided layers of the discriminators; 1, 2 and 3 see patches of 16, 34 and 70 pixels.
        upsample: how the generators double their maps: "plain", the paper's transposed convolutions, or
            "balanced", the same with kernels that cannot draw a checkerboard on flat colour.
    """

    source_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    domains: tuple[str, str] = ("horse", "zebra")
    image_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    width: int = field(default=16, metadata=limits(1, 512))
    blocks: int = field(default=4, metadata=limits(0, 32))
    judge_width: int = field(default=24, metadata=limits(1, 512))
    patch_layers: int = field(default=2, metadata=limits(1, 3))
    upsample: str = field(default="plain", metadata=limits(choices=tuple(UPSAMPLING)))
    both_ways: ClassVar[bool] = True
    noisy: ClassVar[bool] = False


class CycleGAN(TranslatingModel):
    """G: first → second domain and F: second → first. A discriminator of each domain judges patches."""

    Config = CycleGANConfig
    multiple = STEP
    generators: Generators
    first: PatchDiscriminator
    second: PatchDiscriminator

    def __init__(self, config: CycleGANConfig) -> None:
        super().__init__()
        self.config = config
        sides = config.image_shape[1:]
        check_sides(sides)
        check_patches(sides, config.patch_layers)
        source, target = config.source_shape[0], config.image_shape[0]
        self.generators = Generators(source, target, config.width, config.blocks, config.upsample)
        self.first = PatchDiscriminator(source, config.judge_width, config.patch_layers)
        self.second = PatchDiscriminator(target, config.judge_width, config.patch_layers)
        self.apply(initialise)

    def _translate(self, x: Tensor, to: str, rng: Rng) -> Tensor:  # (N, C, H, W) in [0, 1]
        nets = self.generators
        generator = nets.there if to == self.config.domains[1] else nets.back
        images: Tensor = (generator(2 * x - 1) + 1) / 2
        return images  # (N, C', H, W) in [0, 1]


@players.register(options=Cycle)
def cycle_players(model: CycleGAN, recipe: Recipe) -> Sequence[Player]:
    """Return both generators as one player, and the two discriminators, in the order in which they move."""
    options, nets = recipe.options(Cycle), model.generators
    first = Side(model.first, nets.back, model.picture.shape, options.pool, True)
    second = Side(model.second, nets.there, model.image_shape, options.pool, False)
    game = CycleGame(nets, first, second, options)
    needs = frozenset({"other"})
    generators = Player(
        name="generators",
        module=nets,
        loss=game.loss,
        needs=needs,
        turns=recipe.turns_of("generators"),
        average=True,
        shown=lambda: game.shown,
    )
    judging = [
        Player(
            name=name,
            module=side.judge,
            loss=side.loss,
            needs=needs,
            turns=recipe.turns_of(name),
            fresh=False,
            memory=side.pool,
            common=side.pool is not None,
        )
        for name, side in (("discriminator_first", first), ("discriminator_second", second))
    ]
    return [generators, *judging]
