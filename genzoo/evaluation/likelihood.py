"""Likelihood as records: mean -log p(x) in nats and in bits/dim, with its standard error and all one must know to compare it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.inputs import Progress, subset
from genzoo.evaluation.records import Record
from genzoo.images import to_float
from genzoo.losses.likelihood import dimensions
from genzoo.models.density import DensityModel
from genzoo.models.model import check_count

CHUNK = 64  # images asked at a time
GREY, BINARY = "8-bit", 2  # the transform, and the number of levels, that do not go together


def likelihood(
    model: DensityModel,
    images: Images,
    n: int | None = None,
    seed: int = 0,
    *,
    subject: str = "",
    kind: str = "",
    protocol: str = "",
    log_prob: Callable[[Tensor], Tensor] | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Return two records of the mean negative log-likelihood of `images`: metric "nll" in nats and in bits/dim.

    Args:
        model: asked for `log_prob`; `exact` says whether the records are exact or a bound.
        images: of the model's shape, and of levels that it knows.
        n: how many of them, a fixed choice by `seed`; None = all.
        seed: chooses the images where n is less than there are.
        subject: the model's name, for the records.
        kind: "exact", "elbo" or "iwae"; by default what the model says of `log_prob`.
        protocol: what else decides the number, such as the K of IWAE.
        log_prob: another estimate than `model.log_prob`, (N, C, H, W) in [0, 1] to (N,) in nats; name its `kind`.
        progress: told ("likelihood", done, total).

    Raises:
        ArgumentError: images of another shape, grey images for a model of black and white, n below 1, an infinite likelihood.
    """
    check_suited(model, images)
    if log_prob is not None and not kind:
        raise ArgumentError("kind must say what log_prob estimates", 'kind="elbo" or kind="iwae"')
    chosen = len(images) if n is None else min(check_count(n), len(images))
    rows = torch.arange(len(images)) if chosen == len(images) else subset(len(images), chosen, seed, "likelihood").sort().values
    values = nats(log_prob or model.log_prob, images, rows, progress)
    about: dict[str, Any] = {
        "metric": "nll", "kind": kind or ("exact" if model.exact else "elbo"), "n": len(values), "data": images.name,
        "split": images.split, "transform": images.transform, "subject": subject or type(model).__name__,
        "protocol": protocol or model.record_protocol, "note": model.record_note,
    }  # fmt: skip
    return in_both_units(values, model.image_shape, about)


def nats(log_prob: Callable[[Tensor], Tensor], images: Images, rows: Tensor, progress: Progress | None = None) -> Tensor:
    """Return -log p(x) of the images at `rows`, (n,) float64, asked a few at a time."""
    values = torch.empty(len(rows), dtype=torch.float64)
    for first in range(0, len(rows), CHUNK):
        part = rows[first : first + CHUNK]
        values[first : first + len(part)] = -log_prob(to_float(images[part.numpy()])).detach().double().cpu()
        if progress is not None:
            progress("likelihood", first + len(part), len(rows))
    if not torch.isfinite(values).all():
        wrong = int((~torch.isfinite(values)).sum())
        raise ArgumentError(
            f"{wrong:,} of {len(values):,} images of {images.name} have no finite likelihood", "the model was made for other images"
        )
    return values


def in_both_units(values: Tensor, image_shape: tuple[int, int, int], about: dict[str, Any]) -> list[Record]:
    """Return the mean of `values` (n,), nats of whole images, with its standard error as two records: nats and bits/dim."""
    spread = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else None
    whole = Record(value=float(values.mean()), unit="nats", stderr=spread, **about)
    scale = 1 / (dimensions(image_shape) * math.log(2))
    single = {"value": whole.value * scale, "unit": "bits/dim", "stderr": None if spread is None else spread * scale}
    return [whole, dataclasses.replace(whole, **single)]  # type: ignore[arg-type]


def check_suited(model: DensityModel, images: Images) -> None:
    """Raise ArgumentError where `images` are not what `model` gives probability to."""
    if images.shape != model.image_shape:
        raise ArgumentError(f"{images.name} has images of the shape {images.shape}, but the model was made for {model.image_shape}")
    if levels_of(model) == BINARY and images.transform == GREY:
        raise ArgumentError(
            f"{type(model).__name__} knows black and white only, and {images.name} is 8-bit: rounding or drawing its pixels would "
            "each give another likelihood",
            "choose a binarisation: --data binarized-mnist (static) or dynamic-binarized-mnist",
        )


def levels_of(model: DensityModel) -> int | None:
    """Return how many values a pixel of the model can take: its `levels`, or those of its config; None where it does not say."""
    found = getattr(model, "levels", getattr(model.config, "levels", None))
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 1 else None
