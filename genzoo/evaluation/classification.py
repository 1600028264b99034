"""How well a classifier classifies held-out images: accuracy, and the mean of -log p(label | x)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.inputs import blocks_of, choose, counted, decoder_of, joined
from genzoo.evaluation.measures import measures
from genzoo.evaluation.standard_errors import count_blocks, mean_error
from genzoo.images import to_float
from genzoo.metrics import better_of
from genzoo.models.classifier import ClassifyingModel
from genzoo.process import undisturbed
from genzoo.record import Record
from genzoo.request import Progress, Request
from genzoo.sharing import each

CHUNK = 256  # images asked at a time


@undisturbed()
def classification(
    model: ClassifyingModel,
    images: Images,
    n: int | None = None,
    seed: int = 0,
    *,
    subject: str = "",
    progress: Progress | None = None,
) -> list[Record]:
    """Return two records: the accuracy of `model` on labelled `images`, and its cross-entropy in nats.

    Args:
        model: the classifier; its `log_probs` are used.
        images: of the model's shape, with labels below its number of classes.
        n: how many of them, a fixed choice by `seed`; None = all.
        seed: chooses the images if n is less than their number.
        subject: the model's name, for the records.
        progress: called with ("classes", done, total).

    Raises:
        ArgumentError: images of another shape, without labels or with labels that the model does not have; n
            below 1.
    """
    labels = _labels(model, images)
    rows, chosen = choose(len(images), n, seed, "classification")
    log_probs, wanted = _log_probs(model, images, rows, progress), labels[rows]  # (n, K), (n,)
    right = (log_probs.argmax(1) == wanted).double()
    nats = -log_probs.gather(1, wanted[:, None])[:, 0]
    blocks = blocks_of(images, rows)
    about: dict[str, Any] = {
        "kind": "classification",
        "subject": subject or type(model).__name__,
        "n": len(rows),
        "data": images.name,
        "split": images.split,
        "transform": images.transform,
        "image_shape": "x".join(map(str, images.shape)),
        "protocol": joined(chosen, decoder_of(images)),
        "blocks": count_blocks(blocks),
    }
    return [
        Record(
            metric=metric,
            value=float(values.mean()),
            unit=unit,
            stderr=mean_error(values, blocks),
            better=better_of(metric),
            **about,
        )
        for metric, unit, values in (("accuracy", "1", right), ("cross-entropy", "nats", nats))
    ]


@measures.register
def measure_classifier(
    model: ClassifyingModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield how well the model classifies the images of `test`."""
    yield from classification(model, test, request.n, request.seed, subject=subject, progress=progress)


def _labels(model: ClassifyingModel, images: Images) -> Tensor:
    """Return the labels (N,) of `images`, which must be classes of the model."""
    if images.labels is None:
        why = images.facts.get("labels") or "mnist, cifar10 and digits have"
        raise ArgumentError(f"{images.name} has no labels to check a classifier against", why)
    labels = torch.from_numpy(images.labels)
    low, high = int(labels.min()), int(labels.max())
    if not 0 <= low <= high < model.classes:
        known = f"{type(model).__name__} has {model.classes} classes, counted from 0"
        raise ArgumentError(f"{images.name} has labels from {low} to {high}, but {known}")
    return labels


def _log_probs(model: ClassifyingModel, images: Images, rows: Tensor, progress: Progress | None) -> Tensor:
    """Return log p(label | x) (n, K) of the images at `rows`, computed a few at a time."""

    def of(part: Tensor) -> Tensor:
        return model.log_probs(to_float(images[part.numpy()])).cpu().double()

    return torch.cat(each(rows.split(CHUNK), of, counted(progress, "classes", CHUNK, len(rows))))
