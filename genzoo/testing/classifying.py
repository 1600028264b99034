"""Laws of a classifier, whose features are used to measure samples."""

from __future__ import annotations

from typing import Any

import torch

from genzoo.errors import ArgumentError
from genzoo.models import ClassifyingModel
from genzoo.rng import Rng
from genzoo.testing.generative import fresh_noise, near, untouched
from genzoo.testing.law import hold, refuses
from genzoo.testing.present import check_present, suited_noise


def check_classifying(model: ClassifyingModel) -> None:
    """Check a classifier: finite features that depend on one image alone, finite log-probabilities, and
    ArgumentError for wrong images.

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(
        isinstance(model, ClassifyingModel),
        "check_classifying is for a ClassifyingModel",
        name,
        "its base classes",
    )
    known = isinstance(model.classes, int) and not isinstance(model.classes, bool) and model.classes >= 2
    hold(known, "a classifier has at least 2 classes", repr(model.classes), f"{name}.classes")
    with untouched(model, f"{name}._features"):
        _check_features(model, name)
    law = "wrong images are an ArgumentError"
    where = f"{name}.features: write _features and leave features alone"
    channels, height, width = model.image_shape
    wrong: dict[str, Any] = {
        "no batch": torch.zeros(channels, height, width),
        "values of 2": torch.full((1, *model.image_shape), 2.0),
    }
    wrong |= {} if model.any_size else {"another shape": torch.zeros(1, channels, height, width + 1)}
    for what, x in wrong.items():
        refuses(lambda x=x: model.features(x), ArgumentError, law, what, where)  # type: ignore[misc]
    with untouched(model, f"{name}._features"):
        noise = suited_noise(model, 3)
        check_present(model, lambda changed: changed.log_probs(noise), f"{name}._features")


def _check_features(model: ClassifyingModel, name: str) -> None:
    images = Rng(0, 0, 5).uniform(*model.image_shape).float().to(model.device)
    with fresh_noise(1):
        rows, told = model.features(images), model.log_probs(images)
    with fresh_noise(2):
        again = model.features(images), model.features(images[1:2])
    law = "the features of an image depend on that image alone"
    where = f"noise or batch statistics in {name}._features"
    finite = bool(torch.isfinite(rows).all()) and bool(torch.isfinite(told).all())
    hold(
        finite,
        "features and probabilities are finite",
        "NaN or infinite values",
        f"{name}._features and _logits",
    )
    hold(torch.equal(rows, again[0]), law, "other features of the same images", where)
    near(again[1], rows[1:2], rows, law, where)
    hold(
        rows.std(0).max() > 0,
        "images have different features",
        "equal rows for 5 images",
        f"{name}._features",
    )
