"""Scoring: from a model and a request to its records."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from genzoo.card import Card
from genzoo.data import Images, open_data
from genzoo.data.binary import made_binary
from genzoo.data.notes import once
from genzoo.data.splits import FIT
from genzoo.errors import ArgumentError
from genzoo.evaluation.inputs import subset
from genzoo.evaluation.likelihood import check_suited
from genzoo.evaluation.measures import measures
from genzoo.evaluation.quality import measure_samples
from genzoo.models import DensityModel, GenerativeModel, ImplicitModel, ImportanceModel, Model
from genzoo.process import undisturbed
from genzoo.record import Record
from genzoo.request import Progress, Request

SEEN = (
    "validation images are a part of the training images: unseen only by a model that was trained "
    "with validation=true"
)


@undisturbed()
def records_of(model: Model, card: Card, request: Request, progress: Progress | None = None) -> list[Record]:
    """Return the records of `model` that `request` asks for, on its card's data by default.

    Raises:
        ArgumentError: as `score_model`; the model lacks the requested importance-weighted bounds or samples;
            split "train" with samples, which are compared with held-out images (and training images next to
            them).
    """
    _check_able(model, card.name, request)
    learned = FIT if request.split == "valid" else "train"
    with once():
        train, test = (held_in(model, card, request.data, part) for part in (learned, request.split))
        seen = learned == FIT and len(train) < len(held_in(model, card, request.data, "train"))
    if request.binarise is not None:
        train, test = (made_binary(images, request.binarise, request.seed) for images in (train, test))
    found = score_model(model, train, test, request, subject=card.name, progress=progress)
    if not seen:
        return found
    return [
        dataclasses.replace(record, note="; ".join(filter(None, (record.note, SEEN)))) for record in found
    ]


@undisturbed()
def score_model(
    model: Model,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> list[Record]:
    """Return the records of `model` against `test`: those of `measures` for its class or of its samples if
    the request names metrics or features.

    Raises:
        LawError: the density breaks a law of its certificate.
        ArgumentError: no measures are registered for the model; it gives no probability to some images; a
        record does not state which images it measured.
    """
    measure = measure_samples if request.of_samples else measures
    found = measure(model, train, test, request, subject=subject, progress=progress)
    return [record.check_measured() for record in found]


def _check_able(model: Model, name: str, request: Request) -> None:
    """Raise ArgumentError if the request asks for something that `model` lacks."""
    if request.of_samples and not isinstance(model, GenerativeModel):
        raise ArgumentError(f"{name!r} generates no samples to measure", "leave features and metrics out")
    if request.draws is not None and not isinstance(model, ImportanceModel):
        raise ArgumentError(
            f"{name!r} has no importance-weighted bound, so k does not apply",
            "leave k out; VAEs have one: genzoo list --tree",
        )
    if request.split == "train" and (request.of_samples or isinstance(model, ImplicitModel)):
        raise ArgumentError(
            f"samples of {name!r} are measured against test or validation images, with training "
            f"images beside them, not against split {request.split!r}",
            "leave split out",
        )


def held_in(model: Model, card: Card, data: Any, split: str) -> Images:
    """Return the `split` of `data` (None: the recipe's) in the shape of the model."""
    recipe = card.recipe
    source = data if data is not None else recipe.data if recipe else ""
    if isinstance(source, str) and not source:
        raise ArgumentError(
            f"{card.name!r} names no data set to be measured on", "name some: --data NAME or a folder"
        )
    return open_data(
        source, image_shape=model.image_shape, split=split, val_split=recipe.val_split if recipe else 0.1
    )


@undisturbed()
def some_images(model: Model, card: Card, data: Any, n: int, seed: int) -> tuple[Tensor, Images]:
    """Return `n` held-out images (n, C, H, W) in [0, 1] that `model` accepts, chosen by `seed`, and the same
    as a set with their labels.
    """
    test = held_in(model, card, data, "test")
    chosen = test.subset(subset(len(test), min(n, len(test)), seed, "shown"))
    images = chosen.float()
    # black and white suit every model
    if isinstance(model, DensityModel) and bool(((images > 0) & (images < 1)).any()):
        check_suited(model, test)
    return images, chosen
