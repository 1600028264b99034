"""The picture of a model: what is shown where nobody asked for particular images."""

from __future__ import annotations

import torch
from torch import Tensor

from genzoo.condition import Picture
from genzoo.models.conditions import examples_of
from genzoo.models.manner import pictured
from genzoo.models.model import GenerativeModel
from genzoo.models.rows import rows_of

ROWS = 10  # values of a condition that a picture shows at most
LEAST = 4  # samples of each that it shows at least: one could be chance


def panel(model: GenerativeModel, n: int, seed: int = 0) -> tuple[Tensor, int | None]:
    """Return about `n` samples (N, C, H, W) in [0, 1] and the number of columns they are arranged in (None:
    as square as possible).

    Of a model that takes labels or texts it has one row for each of at most ten, from the first to the last,
    drawn from the same z in each column, so that rows differ in the condition alone; of a model that takes
    pictures, each picture that is drawn by rule above its translation. Models with a distribution p(x|z) are
    shown by its means, see `pictured`.
    """
    mean = pictured(model).mean
    if model.condition is None:
        return model.sample(n, seed, mean=mean), None
    if isinstance(model.condition, Picture):
        return _translations(model, model.condition, min(n, ROWS), seed)
    values = examples_of(model.condition, ROWS)
    columns = max(LEAST, n // len(values))
    rows = [model.sample(columns, seed, condition=value, mean=mean) for value in values]
    return torch.cat(rows), columns


def _translations(model: GenerativeModel, condition: Picture, n: int, seed: int) -> tuple[Tensor, int]:
    given = condition.examples(n)
    sources, drawn = rows_of(condition, given, n).to(model.device), model.sample(n, seed, condition=given)
    channels = max(sources.shape[1], drawn.shape[1])
    return torch.cat([sources.expand(-1, channels, -1, -1), drawn.expand(-1, channels, -1, -1)]), n


def told(model: GenerativeModel, **facts: object) -> dict[str, str]:
    """Return what a PNG with a panel of `model` says in its metadata: `facts` and the manner."""
    words = pictured(model).words
    return {key: str(value) for key, value in facts.items()} | ({"samples": words} if words else {})
