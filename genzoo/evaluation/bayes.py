"""Classification by a density that takes labels: p(c|x) = p(x|c) p(c) / Σ p(x|c') p(c'), Bayes' rule.

It needs one pass of the model for each label. If `log_prob` is a lower bound, as that of a VAE is, the rule
is applied to the bounds: the largest is still a guess at the label, but p(c|x) is no longer that of the
model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.condition import Labels
from genzoo.data.collection import Images
from genzoo.data.conditions import conditions_of
from genzoo.errors import ArgumentError, safe_repr
from genzoo.evaluation.inputs import blocks_of, choose, counted, decoder_of, joined
from genzoo.evaluation.standard_errors import Blocks, count_blocks, mean_error
from genzoo.images import to_float
from genzoo.metrics import better_of
from genzoo.models.density import DensityModel
from genzoo.process import undisturbed
from genzoo.record import Record
from genzoo.request import Progress, Request
from genzoo.sharing import each

CHUNK = 64  # images asked at a time
FEW = 1000  # images that are classified if nobody says how many
MOST_LABELS = 100  # up to which `genzoo eval` classifies: each label is a pass of the model


@undisturbed()
def label_log_probs(model: DensityModel, x: Any, prior: Sequence[float] | None = None) -> Tensor:
    """Return log p(c|x), (N, K) float64 on the CPU, of images (N, C, H, W) in [0, 1] for each of K labels.

    Args:
        model: a density whose condition is a label.
        x: images that `model.log_prob` takes.
        prior: p(c) of each label, up to a common factor; None: all alike.

    Raises:
        ArgumentError: a model that takes no label; wrong images, or one that has no probability under any
            label; a prior with another number of values, a negative or infinite one, or nothing but zeros.
    """
    labels = _labels_of(model)
    weights = _log_prior(prior, len(labels))
    values = [model.log_prob(x, number).detach().cpu().double() for number in range(len(labels))]
    joint = torch.stack(values, 1) + weights  # (N, K)
    lost = int((~torch.isfinite(joint.amax(1))).sum())
    if lost:
        raise ArgumentError(
            f"{lost:,} of {len(joint):,} images have no finite likelihood under any label",
            "the model was trained on other images",
        )
    return joint.log_softmax(1)


@undisturbed()
def bayes(
    model: DensityModel,
    images: Images,
    n: int | None = FEW,
    seed: int = 0,
    *,
    prior: Sequence[float] | None = None,
    said: str = "",
    subject: str = "",
    progress: Progress | None = None,
) -> list[Record]:
    """Return two records of how well `model` finds the label of `images` by Bayes' rule: its accuracy, and
    the mean of -log p(label|x) in nats.

    Args:
        model: a density whose condition is a label.
        images: of the model's shape, with labels that it knows.
        n: how many of them, a fixed choice by `seed`; None = all.
        seed: chooses the images if n is less than their number.
        prior: p(c) of each label, up to a common factor; None: all alike.
        said: where the prior comes from, for the records.
        subject: the model's name, for the records.
        progress: called with ("labels", done, total).

    Raises:
        ArgumentError: as `label_log_probs`; n below 1.
        DataError: images without labels, or with some that the model does not know.
    """
    truth = torch.from_numpy(conditions_of(_labels_of(model), images))
    rows, chosen = choose(len(images), n, seed, "classification")
    found = _found(model, images, rows, prior, progress)  # (n, K)
    wanted, blocks = truth[rows], blocks_of(images, rows)
    assumed = said or ("uniform prior" if prior is None else "a given prior")
    rule = f"Bayes' rule over {found.shape[1]} labels"
    about: dict[str, Any] = {
        "kind": "classification",
        "subject": subject or type(model).__name__,
        "n": len(rows),
        "data": images.name,
        "split": images.split,
        "transform": images.transform,
        "image_shape": "x".join(map(str, images.shape)),
        "protocol": joined(rule, assumed, _of_bounds(model), chosen, decoder_of(images)),
        "note": joined(_caveat(model), model.record_note),
        "blocks": count_blocks(blocks),
    }
    return list(_scores(found, wanted, blocks, about))


def _scores(found: Tensor, wanted: Tensor, blocks: Blocks, about: dict[str, Any]) -> Iterator[Record]:
    """Yield accuracy and cross-entropy of log p(c|x) (n, K), where the labels are `wanted` (n,)."""
    right = (found.argmax(1) == wanted).double()
    nats = -found.gather(1, wanted[:, None])[:, 0]
    for metric, unit, values in (("accuracy", "1", right), ("cross-entropy", "nats", nats)):
        value = float(values.mean())
        if math.isfinite(value):  # a label of prior 0 costs infinitely many nats
            stderr = mean_error(values, blocks)
            better = better_of(metric)
            yield Record(metric=metric, value=value, unit=unit, stderr=stderr, better=better, **about)


def measure_labels(
    model: DensityModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield how well a density finds the label of `test`; nothing for one that takes no label, only one, or
    more than 100.

    The prior is the share of each label among the images of `train`.
    """
    labels = model.condition
    if not isinstance(labels, Labels) or not 2 <= len(labels) <= MOST_LABELS:
        return
    counts = np.bincount(conditions_of(labels, train), minlength=len(labels))
    more: dict[str, Any] = {"subject": subject, "progress": progress}
    n = FEW if request.n is None else request.n
    said = "prior of the training labels"
    yield from bayes(model, test, n, request.seed, prior=counts.tolist(), said=said, **more)


def _labels_of(model: DensityModel) -> Labels:
    labels = model.condition
    if not isinstance(labels, Labels):
        raise ArgumentError(
            f"{type(model).__name__} takes no label, so Bayes' rule finds none",
            "a conditional density does: genzoo list names the condition of each model",
        )
    return labels


def _found(
    model: DensityModel,
    images: Images,
    rows: Tensor,
    prior: Sequence[float] | None,
    progress: Progress | None,
) -> Tensor:
    """Return log p(c|x) (n, K) of the images at `rows`."""

    def of(part: Tensor) -> Tensor:
        return label_log_probs(model, to_float(images[part.numpy()]), prior)

    return torch.cat(each(rows.split(CHUNK), of, counted(progress, "labels", CHUNK, len(rows))))


def _log_prior(prior: Sequence[float] | None, count: int) -> Tensor:
    """Return log p(c), (K,) float64, -inf for a label that never occurs."""
    try:
        weights = torch.ones(count) if prior is None else torch.as_tensor(prior)
        valid = weights.ndim == 1 and not weights.is_complex()
    except (TypeError, ValueError, RuntimeError):
        valid = False
    if not valid or len(weights) != count:
        raise ArgumentError(
            f"prior must have one number for each of {count} labels, not {safe_repr(prior)}",
            "leave it out for labels that are all alike",
        )
    weights = weights.cpu().double()
    total = float(weights.sum())
    if not bool((weights >= 0).all()) or not 0 < total < math.inf:
        raise ArgumentError(
            f"prior must hold numbers of at least 0, and not only zeros, not {safe_repr(prior)}",
            "for example how often each label occurs",
        )
    return (weights / total).log()


def _of_bounds(model: DensityModel) -> str:
    """Return what the rule is applied to, where that is no likelihood."""
    return "" if model.exact else joined("on lower bounds of log p(x|c)", model.record_protocol)


def _caveat(model: DensityModel) -> str:
    return "" if model.exact else "by bounds instead of likelihoods: not the p(c|x) of the model"
