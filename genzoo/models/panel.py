"""The picture of a model: what is shown where nobody asked for particular images."""

from __future__ import annotations

import torch
from torch import Tensor

from genzoo.condition import Labels
from genzoo.models.model import GenerativeModel

ROWS = 10  # labels that a picture shows at most


def panel(model: GenerativeModel, n: int, seed: int = 0) -> tuple[Tensor, int | None]:
    """Return about `n` samples (N, C, H, W) in [0, 1] and the number of columns they are arranged in (None:
    as square as possible).

    Of a model that takes labels it has one row for each of at most ten labels, from the first to the last,
    drawn from the same z in each column, so that rows differ in the label alone.
    """
    if not isinstance(model.condition, Labels):
        return model.sample(n, seed), None
    numbers = sorted(set(model.condition.examples(ROWS)))
    columns = max(1, n // len(numbers))
    return torch.cat([model.sample(columns, seed, condition=number) for number in numbers]), columns
