"""Golden outputs: a few numbers stored with the weights that show whether this machine generates what the
author's machine generated.

A digest proves that the bytes arrived; a golden check proves that the code still gives the same outputs from
them. Images are kept as the grey levels of an 8×8 miniature, so that the check survives another processor's
rounding and still detects any real change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from genzoo.errors import ArgumentError, UnknownNameError, WeightsError
from genzoo.images import quantise
from genzoo.models.classifier import ClassifyingModel
from genzoo.models.density import DensityModel
from genzoo.models.latent import EncodingModel
from genzoo.models.model import GenerativeModel, Model
from genzoo.process import neutral
from genzoo.rng import Rng
from genzoo.units import several

SEED, IMAGES = 0, 2
PIXEL_TOLERANCE = 3  # grey levels of a miniature
NATS_TOLERANCE = 1e-3  # relative


@neutral()
def record(model: Model, condition: Any = None) -> dict[str, Any]:
    """Return the golden outputs of `model`, JSON-ready: miniatures of seed 0's first samples, and log p of
    fixed noise (of a classifier, log p(class | x)).

    Those of a conditional model are for `condition`, by default its examples, and state it.
    """
    golden: dict[str, Any] = {"seed": SEED, "n": IMAGES}
    if model.condition is not None:
        condition = model.condition.examples(IMAGES) if condition is None else condition
        golden["condition"] = condition
    if isinstance(model, GenerativeModel):
        golden["samples"] = _miniatures(model.sample(IMAGES, seed=SEED, condition=condition))
    if isinstance(model, DensityModel):
        golden["log_prob"] = [round(value, 6) for value in model.log_prob(_noise(model), condition).tolist()]
    if isinstance(model, ClassifyingModel):
        golden["log_prob"] = [round(value, 6) for value in model.log_probs(_noise(model)).flatten().tolist()]
    if isinstance(model, EncodingModel) and not isinstance(model, GenerativeModel):
        z = Rng(SEED, 0, IMAGES).normal(model.latent_size)
        golden["decoded"] = _miniatures(model.decode(z, condition))
    return golden


def compare(model: Model, golden: Mapping[str, Any], name: str) -> str:
    """Return one line on how closely `model` reproduces `golden`.

    Raises:
        WeightsError: an output differs by more than the tolerance; the message says by how much.
    """
    ours = _recorded_as(model, golden, name)
    worst_pixel, worst_nats = 0, 0.0
    for key in ("samples", "decoded"):
        if key in ours:
            worst_pixel = max(worst_pixel, _distance(ours[key], golden.get(key), name, key))
    if "log_prob" in ours:
        theirs = _numbers(golden.get("log_prob"), len(ours["log_prob"]), name, "log_prob")
        worst_nats = max(abs(a - b) / max(abs(b), 1.0) for a, b in zip(ours["log_prob"], theirs, strict=True))
    if worst_pixel > PIXEL_TOLERANCE or not worst_nats <= NATS_TOLERANCE:  # NaN is no agreement
        raise WeightsError(
            f"{name}: this machine's outputs differ from the author's by {worst_pixel} grey levels and "
            f"{worst_nats:.1e} of log p "
            f"(allowed: {PIXEL_TOLERANCE} and {NATS_TOLERANCE:.0e})",
            "the digest is right, so the code has changed: compare the versions of genzoo, the plugin "
            "and torch",
        )
    parts = [several(worst_pixel, "grey level")] if {"samples", "decoded"} & set(ours) else []
    return (
        "golden outputs agree within "
        f"{' and '.join([*parts, *([f'{worst_nats:.1e} of log p'] if 'log_prob' in ours else [])])}"
    )


def distance(images: Tensor, golden: Mapping[str, Any], key: str, name: str) -> int:
    """Return how many grey levels the miniatures of `images` are from those that `golden` holds under `key`
    ("samples" or "decoded").

    Raises:
        WeightsError: it holds none of this shape.
    """
    return _distance(_miniatures(images), golden.get(key), name, key)


def _recorded_as(model: Model, golden: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return our outputs for the condition that the author's were recorded for."""
    try:
        return record(model, golden.get("condition") if model.condition is not None else None)
    except (ArgumentError, UnknownNameError) as error:
        raise WeightsError(
            f"{name}: its golden outputs state a condition that the model does not take: {error.message}",
            "it was made by another version: publish it again",
        ) from error


def _miniatures(images: Tensor) -> list[list[int]]:
    height, width = images.shape[2:]
    small = adaptive_avg_pool2d(images.float().cpu(), (min(8, height), min(8, width)))
    return [row.flatten().tolist() for row in quantise(small)]


def _noise(model: Model) -> Tensor:
    """Return fixed images of black and white noise, which every kind of likelihood accepts."""
    return (Rng(SEED, 1000, IMAGES).uniform(*model.image_shape) < 0.5).to(torch.float32)


def _distance(ours: list[list[int]], theirs: Any, name: str, key: str) -> int:
    rows = theirs if isinstance(theirs, list) and len(theirs) == len(ours) else [None]
    numbers = [_numbers(row, len(ours[0]), name, key) for row in rows]
    return math.ceil(
        max(
            abs(a - b)
            for mine, other in zip(ours, numbers, strict=True)
            for a, b in zip(mine, other, strict=True)
        )
    )


def _numbers(values: Any, count: int, name: str, key: str) -> list[float]:
    """Return `values` if it is a list of `count` finite numbers, as a file from outside may not have it."""
    sound = isinstance(values, list) and len(values) == count
    if not sound or not all(isinstance(v, (int, float)) and abs(v) < 1e30 for v in values):
        raise WeightsError(
            f"{name}: the weights file holds no golden outputs {key!r} of the right shape",
            "it was made by another version: publish it again",
        )
    return list(values)
