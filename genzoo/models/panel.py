"""The picture of a model: what is shown where nobody asked for particular images."""

from __future__ import annotations

import torch
from torch import Tensor

from genzoo.condition import Labels
from genzoo.models.manner import pictured
from genzoo.models.model import GenerativeModel

ROWS = 10  # labels that a picture shows at most


def panel(model: GenerativeModel, n: int, seed: int = 0) -> tuple[Tensor, int | None]:
    """Return about `n` samples (N, C, H, W) in [0, 1] and the number of columns they are arranged in (None:
    as square as possible).

    Of a model that takes labels it has one row for each of at most ten labels, from the first to the last,
    drawn from the same z in each column, so that rows differ in the label alone. Models with a distribution
    p(x|z) are shown by its means, see `pictured`.
    """
    mean = pictured(model).mean
    if not isinstance(model.condition, Labels):
        return model.sample(n, seed, mean=mean), None
    numbers = sorted(set(model.condition.examples(ROWS)))
    columns = max(1, n // len(numbers))
    rows = [model.sample(columns, seed, condition=number, mean=mean) for number in numbers]
    return torch.cat(rows), columns


def told(model: GenerativeModel, **facts: object) -> dict[str, str]:
    """Return what a PNG with a panel of `model` says in its metadata: `facts` and the manner."""
    words = pictured(model).words
    return {key: str(value) for key, value in facts.items()} | ({"samples": words} if words else {})
