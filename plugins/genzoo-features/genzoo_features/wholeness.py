"""A classifier of whole and broken images that learns without labels: it breaks images itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from genzoo import Classification, Recipe
from genzoo.data import Images
from genzoo.evaluation import Record, Request, classification
from genzoo.evaluation.measures import measures
from genzoo.rng import generator
from genzoo.schema import limits
from genzoo.shares import on_whole
from genzoo.training import Batch, Player, players
from genzoo.training import classification as game
from genzoo_features.breaking import broken
from genzoo_features.net import FeatureNet, FeatureNetConfig

WHOLE, BROKEN = 0, 1
CHUNK = 64  # images broken at a time


@dataclass(frozen=True, kw_only=True)
class WholenessConfig(FeatureNetConfig):
    """Config of a classifier of whole and broken images: that of a feature net with two classes."""

    classes: int = field(default=2, metadata=limits(2, 2))
    names: tuple[str, ...] = ("whole", "broken")


class WholenessNet(FeatureNet):
    """x → features → logits of whole and broken."""

    Config = WholenessConfig


@players.register(options=Classification)
def wholeness_players(model: WholenessNet, recipe: Recipe) -> Sequence[Player]:
    """Return the one player, named "model": it tells the images of a batch from the same images broken."""
    (player,) = game.classification_players(model, recipe)

    def loss(batch: Batch, rng: torch.Generator) -> Tensor:
        whole = batch.images
        labels = torch.tensor([WHOLE, BROKEN], device=whole.device).repeat_interleave(len(whole))
        # an image is broken with parts of the one before it, which another process may have
        made = on_whole(lambda images: broken(images, rng), whole)
        return player.loss(Batch(torch.cat([whole, made]), labels), rng)

    return [dataclasses.replace(player, loss=loss, needs=frozenset(), classes=0)]


def whole_and_broken(images: Images, seed: int) -> Images:
    """Return `images` and the same ones broken, a fixed choice by `seed`, with labels."""
    parts = []
    for number, start in enumerate(range(0, len(images), CHUNK)):
        chosen = images.float(slice(start, start + CHUNK))
        made = broken(chosen, generator(seed, "broken", number))
        parts.append(made.clamp(0, 1).mul(255).round().to(torch.uint8).numpy())
    return images.replace(
        pixels=np.concatenate([images.pixels, *parts]),
        labels=np.repeat([WHOLE, BROKEN], len(images)),
        class_names=("whole", "broken"),
        blocks=None if images.blocks is None else np.tile(images.blocks, 2),
        attributes=None,
    )


@measures.register
def measure_wholeness(
    model: WholenessNet,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[Record]:
    """Yield how well the model tells the images of `test` from the same ones broken."""
    both = whole_and_broken(test, request.seed)
    yield from classification.classification(
        model, both, request.n, request.seed, subject=subject, progress=progress
    )
