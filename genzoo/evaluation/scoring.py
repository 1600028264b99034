"""Which records a model is given: what can be asked of it decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from genzoo.card import Card
from genzoo.data import Images, open_data
from genzoo.data.binary import made_binary
from genzoo.data.notes import once
from genzoo.data.splits import FIT
from genzoo.errors import ArgumentError
from genzoo.evaluation.certificate import certificate_of
from genzoo.evaluation.classification import classification
from genzoo.evaluation.inputs import Progress, subset
from genzoo.evaluation.likelihood import check_suited, importance, likelihood
from genzoo.evaluation.quality import evaluate_implicit
from genzoo.evaluation.reconstruction import reconstruction
from genzoo.evaluation.records import Record
from genzoo.models import (
    ClassifyingModel,
    DensityModel,
    EncodingModel,
    GenerativeModel,
    ImplicitModel,
    ImportanceModel,
    Model,
)
from genzoo.process import undisturbed

SAMPLES = 10_000  # drawn at most; never more than there are held-out images
SEEN = (
    "validation images are a part of the training images: unseen only by a model that was trained "
    "with validation=true"
)
DRAWS = (1, 50, 500, 5000)  # K of the importance-weighted bounds that papers report


@undisturbed()
def records_of(
    model: Model,
    card: Card,
    data: Any = None,
    n: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    ks: Sequence[int] | None = None,
    features: str | None = None,
    metrics: Sequence[str] | None = None,
    split: str = "test",
    binarise: str | None = None,
) -> list[Record]:
    """Return the records of `model` on the `split` of `data` (None: the recipe's), by default the held-out
    part.

    `binarise`, "threshold" or "draw", makes grey images black and white first, and stands in the records'
    transform.

    `ks` are the numbers of draws of the importance-weighted bounds, None for the usual ones; only an
    ImportanceModel has them. `features` and `metrics` are those of `evaluate_implicit`; with either of them a
    model that has a density is measured by its samples instead.

    Raises:
        ArgumentError: as `score_model`; `ks` for a model without such bounds, `features` or `metrics` for one
            without samples; split "train" where samples are measured, which are compared with unseen images
            and, beside them, with training images.
    """
    by_samples = features is not None or metrics is not None
    if by_samples and not isinstance(model, GenerativeModel):
        raise ArgumentError(
            f"{card.name!r} draws no samples that could be measured", "leave features and metrics out"
        )
    if ks is not None and not isinstance(model, ImportanceModel):
        raise ArgumentError(
            f"{card.name!r} has no importance-weighted bound to take k draws for",
            "leave k out; VAEs have one: genzoo list --tree",
        )
    if split == "train" and (by_samples or isinstance(model, ImplicitModel)):
        raise ArgumentError(
            f"samples of {card.name!r} are measured against test or validation images, with training "
            "images beside them, not against split "
            f"{split!r}",
            "leave split out",
        )
    learned = FIT if split == "valid" else "train"
    with once():
        train, test = (held_in(model, card, data, part) for part in (learned, split))
        note = SEEN if split == "valid" and len(train) < len(held_in(model, card, data, "train")) else ""
    if binarise is not None:
        train, test = (made_binary(images, binarise, seed) for images in (train, test))
    if by_samples and isinstance(model, GenerativeModel):
        chosen: dict[str, Any] = {
            "subject": card.name,
            "metrics": metrics,
            "features": features,
            "progress": progress,
        }
        found = evaluate_implicit(model, train, test, SAMPLES if n is None else n, seed, **chosen)
    else:
        found = score_model(model, train, test, card.name, n, seed, progress, DRAWS if ks is None else ks)
    return [
        dataclasses.replace(record, note="; ".join(filter(None, (record.note, note)))) for record in found
    ]


def held_in(model: Model, card: Card, data: Any, split: str) -> Images:
    """Return the `split` of `data` (None: the recipe's) in the shape of the model."""
    recipe = card.recipe
    source = data if data is not None else recipe.data if recipe else ""
    if isinstance(source, str) and not source:
        raise ArgumentError(
            f"{card.name!r} has no data of its own to be measured on", "name some: --data NAME or a folder"
        )
    return open_data(
        source, image_shape=model.image_shape, split=split, held_out=recipe.held_out if recipe else 0.1
    )


@undisturbed()
def some_images(model: Model, card: Card, data: Any, n: int, seed: int) -> tuple[Tensor, str]:
    """Return `n` held-out images (n, C, H, W) in [0, 1] that `model` can be asked about, a choice by `seed`,
    and whence they are.
    """
    test = held_in(model, card, data, "test")
    images = test.float(subset(len(test), min(n, len(test)), seed, "shown"))
    # black and white suit every model
    if isinstance(model, DensityModel) and bool(((images > 0) & (images < 1)).any()):
        check_suited(model, test)
    return images, f"{test.name} {test.split}"


@undisturbed()
def score_model(
    model: Model,
    train: Any,
    test: Any,
    name: str,
    n: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    ks: Sequence[int] = (),
) -> list[Record]:
    """Return the records of `model` against `test`; an empty list where nothing can be measured of its kind.

    An ImportanceModel is also given those of the bounds with each number of draws in `ks`.

    Raises:
        LawError: a density that breaks a law of its certificate.
        ArgumentError: images that the model gives no probability to, or a wrong n.
    """
    if isinstance(model, DensityModel):
        check_suited(model, test)
        certificate_of(model, progress)  # a number that is no likelihood is not printed
        found = likelihood(model, test, n, seed, subject=name, progress=progress)
        if isinstance(model, ImportanceModel) and len(ks):
            found += importance(model, test, ks, n, seed, subject=name, progress=progress)
        return found
    if isinstance(model, ImplicitModel) and isinstance(model, GenerativeModel):
        return evaluate_implicit(
            model, train, test, SAMPLES if n is None else n, seed, subject=name, progress=progress
        )
    if isinstance(model, ClassifyingModel):
        return classification(model, test, n, seed, subject=name, progress=progress)
    if isinstance(model, EncodingModel):
        return [reconstruction(model, test, n, seed, subject=name, progress=progress)]
    return []
