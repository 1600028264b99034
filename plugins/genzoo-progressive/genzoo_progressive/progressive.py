"""Progressive growing of GANs (Karras, Aila, Laine & Lehtinen 2018, arXiv:1710.10196).

Training starts with the smallest images. Stage by stage, both nets get layers for images of twice the size,
which are faded in. How far the nets have grown is kept in the model, as `growth` (see
genzoo_progressive.options), so a model that is saved in the middle of its training generates images of the
stage that it has reached, enlarged to full size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from genzoo import Recipe
from genzoo.errors import ArgumentError, TrainingError
from genzoo.models import AdversarialModel, StagedModel
from genzoo.schema import limits
from genzoo.training import Player, players
from genzoo_progressive.game import ProgressiveGame
from genzoo_progressive.nets import Discriminator, Generator, faded
from genzoo_progressive.options import Progressive, place

SMALLEST = 4  # pixels of the shorter side of the first stage's images


@dataclass(frozen=True, kw_only=True)
class ProgressiveConfig:
    """Config of a progressive GAN.

    Attributes:
        image_shape: (C, H, W), C = 1 or 3; H and W even and at least 8. How often both can be halved, to at
            least 4, determines the number of stages.
        latent_size: components of z; 512 in the paper.
        width: channels at full image size; they double with each halving, up to `widest`. 16 in the paper, at
            1024×1024.
        widest: most channels; 512 in the paper.
        group: images that the minibatch standard deviation compares; 4 in the reference code.
    """

    image_shape: tuple[int, int, int] = field(default=(3, 64, 64), metadata=limits(1, 1024))
    latent_size: int = field(default=128, metadata=limits(1, 4096))
    width: int = field(default=16, metadata=limits(1, 512))
    widest: int = field(default=128, metadata=limits(1, 1024))
    group: int = field(default=4, metadata=limits(1, 1024))


def sizes(image_shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Return (H, W) of the images of each stage, the smallest first.

    64×64 → 4×4, 8×8, …, 64×64; 24×40 → 6×10, 12×20, 24×40.

    Raises:
        ArgumentError: an image of this shape cannot grow; the message gives the nearest that can.
    """
    channels, height, width = image_shape
    if channels not in (1, 3):
        raise ArgumentError(f"image_shape must have 1 or 3 channels, not {channels}", "image_shape=(C, H, W)")
    found = [(height, width)]
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SMALLEST:
        height, width = height // 2, width // 2
        found.insert(0, (height, width))
    if len(found) < 2:
        near = tuple(max(2 * SMALLEST, 2 * round(side / 2)) for side in image_shape[1:])
        raise ArgumentError(
            f"image_shape {tuple(image_shape)} cannot grow: H and W must be even and at least "
            f"{2 * SMALLEST}, since each stage doubles them",
            f"the nearest shape that works is {(channels, *near)}; 32, 64 and 128 have the most stages",
        )
    return found


class ProgressiveGAN(AdversarialModel, StagedModel):
    """G: z (N, latent_size) → images; D: images → numbers. z is Gaussian; G scales it to length √latent_size.

    A new model is complete: it has grown to full size, with random weights. Training sets its growth back to
    the first stage.
    """

    Config = ProgressiveConfig
    decode_chunk = 64
    generator: Generator
    discriminator: Discriminator
    growth: Tensor

    def __init__(self, config: ProgressiveConfig) -> None:
        super().__init__()
        self.config = config
        self.sizes = sizes(config.image_shape)
        self.last = len(self.sizes) - 1
        widths = [
            min(config.width * 2 ** (self.last - stage), config.widest) for stage in range(self.last + 1)
        ]
        base, colours = self.sizes[0], config.image_shape[0]
        self.generator = Generator(config.latent_size, widths, base, colours)
        self.discriminator = Discriminator(widths, base, colours, config.group)
        # A buffer of the model, not of a net: weights are averaged over the run, and growth must not be.
        self.register_buffer("growth", torch.full((), float(self.last)))

    def _decode(self, z: Tensor) -> Tensor:
        images = pixels(self.generator(z, float(self.growth)))  # (N, C, h, w) of the stage
        return interpolate(images, size=self.image_shape[1:], mode="nearest")

    def _stages(self, z: Tensor) -> list[Tensor]:
        return [pixels(images) for images in self.generator.stages(z, float(self.growth))]

    def _discriminate(self, x: Tensor) -> Tensor:
        numbers: Tensor = self.discriminator(2 * self.seen(x) - 1, float(self.growth))
        return numbers  # (N,)

    def seen(self, x: Tensor) -> Tensor:
        """Return real images `x` (N, C, H, W) as the present stage has them: averaged to its size and, while
        it is faded in, as blurred as generated ones, (N, C, h, w).
        """
        stage, alpha = place(float(self.growth), self.last)
        factor = 2 ** (self.last - stage)
        return faded(avg_pool2d(x, factor) if factor > 1 else x, alpha)


def pixels(images: Tensor) -> Tensor:
    """Return what G makes, nominally in [-1, 1], as pixels in [0, 1]."""
    return images.add(1).div(2).clamp(0, 1)


@players.register(options=Progressive)
def progressive_players(model: ProgressiveGAN, recipe: Recipe) -> Sequence[Player]:
    """Return the discriminator and the generator, in this order. Both follow the growth of the round, and
    their optimisers start again in the first round of each stage.

    Raises:
        TrainingError: a run that ends before the nets are complete, or compiled nets.
    """
    options = recipe.options(Progressive)
    _check(model, recipe, options)
    game = ProgressiveGame(model, options)
    restarts = partial(options.starts, last=model.last)
    return [
        Player(
            name="discriminator",
            module=model.discriminator,
            loss=game.discriminator_loss,
            turns=recipe.turns_of("discriminator"),
            before_turn=game.begin,
            restarts_at=restarts,
        ),
        Player(
            name="generator",
            module=model.generator,
            loss=game.generator_loss,
            turns=recipe.turns_of("generator"),
            fresh=False,
            average=True,
            before_turn=game.begin,
            restarts_at=restarts,
            shown=lambda: game.shown,
        ),
    ]


def _check(model: ProgressiveGAN, recipe: Recipe, options: Progressive) -> None:
    if recipe.compile == "on":
        raise TrainingError(
            "the penalty needs second derivatives, which torch.compile cannot compute", "set compile=off"
        )
    grown = options.grown(model.last)
    if recipe.steps <= grown:
        stage, _ = place(options.growth(recipe.steps - 1, model.last), model.last)
        reached, full = ("×".join(map(str, model.sizes[which])) for which in (stage, model.last))
        raise TrainingError(
            f"{recipe.steps:,} steps end at the stage of {reached}: the nets are complete at {full} from "
            f"round {grown:,} on",
            f"set steps={grown + 1} or more, or shorter stages: stage_rounds="
            f"{max(1, recipe.steps // (model.last + 2))}",
        )
