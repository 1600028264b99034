"""How well a classifier tells held-out images apart: accuracy, and the mean of -log p(label | x)."""

from __future__ import annotations

from typing import Any

import torch

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.inputs import Progress, blocks_of, choose, decoder_of, joined
from genzoo.evaluation.records import Record
from genzoo.evaluation.standard_errors import count_blocks, mean_error
from genzoo.images import to_float
from genzoo.models.classifier import ClassifyingModel
from genzoo.process import undisturbed

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
        model: asked for `log_probs`.
        images: of the model's shape, with labels below its number of classes.
        n: how many of them, a fixed choice by `seed`; None = all.
        seed: chooses the images where n is less than there are.
        subject: the model's name, for the records.
        progress: told ("classes", done, total).

    Raises:
        ArgumentError: images of another shape, without labels or with labels that the model does not know; n
            below 1.
    """
    if images.labels is None:
        why = images.facts.get("labels") or "mnist, cifar10 and digits have"
        raise ArgumentError(f"{images.name} has no labels that a classifier could be held to", why)
    labels = torch.from_numpy(images.labels)
    low, high = int(labels.min()), int(labels.max())
    if not 0 <= low <= high < model.classes:
        known = f"{type(model).__name__} knows {model.classes} classes, counted from 0"
        raise ArgumentError(f"{images.name} has labels from {low} up to {high}, and {known}")
    rows, chosen = choose(len(images), n, seed, "classification")
    blocks = blocks_of(images, rows)
    parts = []
    for part in rows.split(CHUNK):
        parts.append(model.log_probs(to_float(images[part.numpy()])).double().cpu())
        if progress is not None:
            progress("classes", sum(map(len, parts)), len(rows))
    log_probs, wanted = torch.cat(parts), labels[rows]  # (n, K), (n,)
    right, nats = (log_probs.argmax(1) == wanted).double(), -log_probs.gather(1, wanted[:, None])[:, 0]
    shape = "x".join(map(str, images.shape))
    about: dict[str, Any] = {
        "data": images.name,
        "split": images.split,
        "transform": images.transform,
        "image_shape": shape,
    }
    about |= {"kind": "classification", "subject": subject or type(model).__name__, "n": len(rows)}
    about |= {"protocol": joined(chosen, decoder_of(images)), "blocks": count_blocks(blocks)}
    return [
        Record(
            metric="accuracy",
            value=float(right.mean()),
            stderr=mean_error(right, blocks),
            better="higher",
            **about,
        ),
        Record(
            metric="cross-entropy",
            value=float(nats.mean()),
            unit="nats",
            stderr=mean_error(nats, blocks),
            **about,
        ),
    ]
