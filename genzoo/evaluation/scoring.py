"""Scoring: from a model and a request to its records."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from genzoo.card import Card
from genzoo.condition import Condition, Text
from genzoo.data import Images, open_data
from genzoo.data.binary import made_binary
from genzoo.data.captions import needed
from genzoo.data.conditions import each, restricted
from genzoo.data.identity import identity
from genzoo.data.notes import note, once
from genzoo.data.splits import FIT
from genzoo.errors import ArgumentError, DataError
from genzoo.evaluation.against import measure_against
from genzoo.evaluation.given import given_words
from genzoo.evaluation.inputs import subset
from genzoo.evaluation.likelihood import check_suited
from genzoo.evaluation.measures import measures
from genzoo.evaluation.quality import measure_samples
from genzoo.models import (
    DensityModel,
    GenerativeModel,
    ImplicitModel,
    ImportanceModel,
    Model,
    TranslatingModel,
)
from genzoo.process import undisturbed
from genzoo.record import Record
from genzoo.request import ALL, Progress, Request
from genzoo.sharing import check_same, first

SEEN = (
    "validation images are a part of the training images: unseen only by a model that was trained "
    "with validation=true"
)


@undisturbed()
def records_of(model: Model, card: Card, request: Request, progress: Progress | None = None) -> list[Record]:
    """Return the records of `model` for `request`, on its card's data by default.

    Raises:
        ArgumentError: as `score_model`; the model lacks the requested importance-weighted bounds or samples;
            split "train" with samples, which are compared with held-out images (and training images next to
            them).
    """
    _check_able(model, card.name, request)
    learned = FIT if request.split == "valid" else "train"
    with once():
        train, test = (
            first(functools.partial(held_in, model, card, request.data, part))
            for part in (learned, request.split)
        )
        check_same("images", lambda: identity(train) + identity(test))
        seen = learned == FIT and len(train) < len(held_in(model, card, request.data, "train"))
    train, test = (_in_black_and_white(model, images, request) for images in (train, test))
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

    A conditional model is given the label of each image. With one label in the request only its images count,
    and the model is `model.given(label)`; with "all" the records of every label follow those of all images,
    and labels with too few images are left out, which is said on stderr.

    Raises:
        LawError: the density breaks a law of its certificate.
        DataError: for a conditional model, images without labels, or with some that it does not know.
        UnknownNameError: there is no such label.
        ArgumentError: no measures are registered for the model; it gives no probability to some images; a
        record does not state which images it measured.
    """
    more: dict[str, Any] = {"subject": subject, "progress": progress}
    condition = check_condition(model, request)
    with once():
        if request.condition not in (None, ALL):
            return _given(model, train, test, request, request.condition, **more)
        found = _measured(model, train, test, request, **more)
        if condition is None or request.condition is None:
            return found
        for value in each(condition, test):
            try:
                found += _given(model, train, test, request, value, **more)
            except (ArgumentError, DataError) as error:
                note(f"{subject} is not measured given {condition.describe(value)}: {error}")
    return found


def on_device(records: Iterable[Record], model: Model) -> list[Record]:
    """Return `records` with the kind of device that `model` computes on.

    A record that breaks the rules of `Record` stays as it is: whoever stores records leaves it out by name.
    """
    return [_placed(record, model.device.type) for record in records]


def _placed(record: Record, kind: str) -> Record:
    try:
        return dataclasses.replace(record, device=kind)
    except (ArgumentError, TypeError, ValueError):
        return record


def check_condition(model: Model, request: Request) -> Condition | None:
    """Return the condition that `model` takes, once it is certain that it can be given what is requested.

    Raises:
        ArgumentError, UnknownNameError: a condition for a model without one, or one that does not exist.
    """
    condition = model.condition
    if request.condition is not None and (condition is None or request.condition != ALL):
        model.given(request.condition)
    return condition


def _given(
    model: Model, train: Images, test: Images, request: Request, value: Any, **more: Any
) -> list[Record]:
    """Return the records of the model with its condition fixed, on the images that have it."""
    fixed = model.given(value)
    if model.condition is not None:  # as it could be fixed
        train, test = (restricted(model.condition, images, value) for images in (train, test))
    return _measured(fixed, train, test, request, **more)


def _measured(model: Model, train: Images, test: Images, request: Request, **more: Any) -> list[Record]:
    # a translator's samples are translations, which its own measures know how to compare
    of_samples = request.of_samples and not isinstance(model, TranslatingModel)
    measure = measure_samples if of_samples else measures
    if request.reference is not None and of_samples:
        measure = measure_against
    found = [record.check_measured() for record in measure(model, train, test, request, **more)]
    words = given_words(model, test)
    return [
        # a plugin's measure may know nothing of conditions; who finds a label is not given it
        dataclasses.replace(record, condition=words)
        if not record.condition and record.kind != "classification"
        else record
        for record in found
    ]


def _in_black_and_white(model: Model, images: Images, request: Request) -> Images:
    """Return `images` as the request wants them. Where samples are measured, images that are black and white
    already are what grey samples are to be compared with, once they are so too.
    """
    of_samples = request.of_samples or isinstance(model, ImplicitModel)
    if request.binarise is None or (of_samples and images.transform != "8-bit"):
        return images
    return made_binary(images, request.binarise, request.seed)


def check_draws_apply(kind: type[Any], name: str, request: Request) -> None:
    """Raise ArgumentError if the request names K of importance-weighted bounds and the models of the class
    `kind` have none; `name` is what the message calls the model.
    """
    if request.draws is not None and not issubclass(kind, ImportanceModel):
        raise ArgumentError(
            f"{name!r} has no importance-weighted bound, so K does not apply",
            "leave --k out (draws in Python); VAEs have one: genzoo list --tree",
        )


def _check_able(model: Model, name: str, request: Request) -> None:
    """Raise ArgumentError if the request needs something that `model` lacks."""
    check_condition(model, request)
    if request.of_samples and not isinstance(model, GenerativeModel):
        raise ArgumentError(f"{name!r} generates no samples to measure", "leave features and metrics out")
    if request.reference is not None and isinstance(model, TranslatingModel):
        raise ArgumentError(
            f"translations by {name!r} are measured against held-out images only", "leave reference out"
        )
    check_draws_apply(type(model), name, request)
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
    with needed(isinstance(model.condition, Text)):
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
