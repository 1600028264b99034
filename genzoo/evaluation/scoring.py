"""Which records a model is given: what can be asked of it decides."""

from __future__ import annotations

from typing import Any

from genzoo.card import Card
from genzoo.data import open_data
from genzoo.errors import ArgumentError
from genzoo.evaluation.inputs import Progress
from genzoo.evaluation.quality import evaluate_implicit
from genzoo.evaluation.records import Record
from genzoo.models import GenerativeModel, ImplicitModel, Model

SAMPLES = 10_000  # drawn at most; never more than there are held-out images


def records_of(
    model: Model, card: Card, data: Any = None, n: int | None = None, seed: int = 0, progress: Progress | None = None
) -> list[Record]:
    """Return the records of `model` on the held-out part of `data` (None: the recipe's)."""
    recipe = card.recipe
    source = data if data is not None else recipe.data if recipe else ""
    if isinstance(source, str) and not source:
        raise ArgumentError(f"{card.name!r} has no data of its own to be measured on", "name some: --data NAME or a folder")
    share = recipe.held_out if recipe else 0.1
    sides = {split: open_data(source, image_shape=model.image_shape, split=split, held_out=share) for split in ("train", "test")}
    return score_model(model, sides["train"], sides["test"], card.name, n, seed, progress)


def score_model(
    model: Model, train: Any, test: Any, name: str, n: int | None = None, seed: int = 0, progress: Progress | None = None
) -> list[Record]:
    """Return the records of `model` against `test`; an empty list where nothing can be measured of its kind."""
    if isinstance(model, ImplicitModel) and isinstance(model, GenerativeModel):
        return evaluate_implicit(model, train, test, SAMPLES if n is None else n, seed, subject=name, progress=progress)
    return []
