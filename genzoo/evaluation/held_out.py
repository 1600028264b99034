"""Held-out pictures of a data set, and what a translator makes of them: `genzoo translate NAME`, the sample
grids of a run, and the pictures of experiments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.data.conditions import conditions_of, other_of
from genzoo.evaluation.inputs import subset
from genzoo.explore.figure import above, stacked
from genzoo.images import to_float
from genzoo.models import TranslatingModel
from genzoo.models.model import check_count

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class HeldOut:
    """Pictures and what became of them, (N, C, H, W) float32 in [0, 1] each, on the CPU.

    Attributes:
        pictures: the pictures that are translated.
        translated: their translations.
        back: the translations on the way back, if they were asked for.
        targets: of pairs, what the translations should be.
    """

    pictures: Tensor
    translated: Tensor
    back: Tensor | None = None
    targets: Tensor | None = None

    @property
    def rows(self) -> list[Tensor]:
        """Pictures, translations, the way back and targets, those that there are, in equally many channels:
        a picture stands above its translation.
        """
        found = [row for row in (self.pictures, self.translated, self.back, self.targets) if row is not None]
        channels = max(row.shape[1] for row in found)
        return [row.expand(-1, channels, -1, -1) for row in found]


def held_out(
    model: TranslatingModel,
    images: Images,
    n: int,
    to: str | None = None,
    seed: int = 0,
    *,
    cycle: bool = False,
    progress: Tell | None = None,
) -> HeldOut:
    """Return `n` of `images`, or all if there are fewer, with their translations into the domain `to`.

    Args:
        model: a translator.
        images: pairs, or two sides without pairs, of the model's shapes.
        n: number of pictures; which ones depends on `seed` alone.
        to: the domain; by default the second.
        seed: chooses the pictures, and the noise of a model that has any.
        cycle: translate the translations back as well.
        progress: called with (done, total) in pixels for each way.

    Raises:
        DataError: images that are neither pairs nor two sides.
        ArgumentError: pictures of another shape than the model's, or a direction that it does not know.
        UnknownNameError: there is no such domain.
    """
    first, second = model.picture.domains
    target = model.picture.target(to)
    start = first if target == second else second
    model.picture.target(start if cycle else target)  # a way back that is unknown is reported before any work
    pictures, targets = _chosen(model, images, target == second, check_count(n), seed)
    made = model.translate(pictures, target, seed, progress=progress).cpu()
    back = model.translate(made, start, seed, progress=progress).cpu() if cycle else None
    return HeldOut(pictures, made, back, targets)


def every_way(model: TranslatingModel, images: Images, n: int, seed: int = 0) -> Image.Image:
    """Return one picture of `n` of `images`, or all if there are fewer, above their translations in each
    direction that `model` knows: of pairs with the targets below, of two sides with the way back.

    The pictures depend on `seed` and the set alone, so translations by two models, or by one model at two
    times, can be compared.

    Raises:
        DataError, ArgumentError: as `held_out`.
    """
    first, second = model.picture.domains
    both = model.picture.both_ways
    ways = (second, first) if both else (second,)
    shown = [held_out(model, images, n, to, seed, cycle=both) for to in ways]
    return above(*(stacked(found.rows, len(found.pictures)) for found in shown))


def _chosen(
    model: TranslatingModel, images: Images, to_second: bool, n: int, seed: int
) -> tuple[Tensor, Tensor | None]:
    """Return the pictures to translate, and of pairs their targets."""
    other = other_of(images)
    if images.source is None and other is not None:
        side = images if to_second else other
        return side.float(_rows(len(side), n, seed)), None
    sources, rows = conditions_of(model.picture, images), _rows(len(images), n, seed)
    both = to_float(torch.from_numpy(sources[rows.numpy()])), images.float(rows)
    return both if to_second else both[::-1]


def _rows(count: int, n: int, seed: int) -> Tensor:
    return subset(count, min(n, count), seed, "shown").sort().values
