"""Laws of a model that tells p(x), exactly or as a lower bound."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from genzoo.card import Family
from genzoo.errors import ArgumentError
from genzoo.evaluation.certificate import Certificate, certify
from genzoo.evaluation.laws import check_sum, every_image
from genzoo.evaluation.likelihood import levels_of
from genzoo.models import DensityModel, ImportanceModel
from genzoo.testing.generative import fresh_noise, untouched
from genzoo.testing.law import hold, refuses
from genzoo.testing.present import black_and_white, check_present

__all__ = ["MOST_IMAGES", "check_density", "every_image"]

MOST_IMAGES = 4096  # 2^12: the largest image space that is enumerated


def check_density(model: DensityModel, levels: int | None = None) -> Certificate | None:
    """Hold a model with a density to its laws and return its certificate (None for a bound, which has none).

    Of every model: shape, units, determinism, and of an `ImportanceModel` that its draws belong to the image; with levels^(C·H·W) ≤ 4096
    all images are enumerated, and Σ p(x) must be 1 where the model is exact, at most 1 where it is a bound. An exact one is then built
    small and certified, see `genzoo.evaluation.certify`: no gradient from later pixels and channels, every
    conditional sums to 1, what a pixel sees, noise, and samples as often as p says.

    `levels` is the number of values that a pixel can take (2: black and white); None asks the model (`levels`, or its config's).

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(isinstance(model, DensityModel), "check_density is for a DensityModel", name, "its base classes")
    hold(isinstance(getattr(model, "exact", None), bool), "a density says whether it is exact", "neither True nor False", f"{name}.exact")
    family = Family.TRACTABLE if model.exact else Family.APPROXIMATE
    hold(model.family is family, "exact densities are tractable, bounds approximate", model.family, f"{name}.family")
    with untouched(model, f"{name}._log_prob"):
        _check_values(model, f"{name}._log_prob")
        _check_arguments(model, name)
        images = black_and_white(model, 3)
        check_present(model, lambda changed: changed.log_prob(images), f"{name}._log_prob")
        if isinstance(model, ImportanceModel):
            _check_weights(model, name)
        count = levels if levels is not None else levels_of(model)
        if count and count ** math.prod(model.image_shape) <= MOST_IMAGES:
            check_sum(model, count, f"{name}._log_prob")
        return certify(model, count) if model.exact else None


def _check_values(model: DensityModel, look: str) -> None:
    images = black_and_white(model, 5)
    with fresh_noise(1):
        values = model.log_prob(images)
    with fresh_noise(2):
        alone = model.log_prob(images[:1])
    with fresh_noise(1):
        bits = model.bits_per_dim(images)
    law = "log_prob returns one finite float32 per image, in nats"
    hold(values.shape == (5,) and values.dtype == torch.float32, law, f"{tuple(values.shape)} {values.dtype} for 5 images", look)
    hold(torch.isfinite(values).all(), law, "NaN or infinite values", look)
    same = torch.allclose(values[:1], alone, rtol=1e-4, atol=1e-4)
    seen = f"{float(values[0]):.6g} among five, {float(alone[0]):.6g} alone"
    hold(same, "the same image has the same log p, alone or in a batch", seen, f"noise or batch statistics in {look}")
    expected = -values / (math.prod(model.image_shape) * math.log(2))
    law = "bits/dim are -log p(x) / (C·H·W·ln 2)"
    hold(torch.allclose(bits, expected, rtol=1e-5), law, f"{bits[0]:.4g}, not {expected[0]:.4g}", "who replaced bits_per_dim")


def _check_weights(model: ImportanceModel, name: str) -> None:
    images, look = black_and_white(model, 3), f"{name}._log_weights"
    with fresh_noise(1):
        few, many = model.iwae_bounds(images, (2, 7))
    with fresh_noise(2):
        again, alone = model.iwae(images, 2), model.iwae(images[1:2], 7)
    law = "a bound of K draws is one finite float32 per image, in nats"
    hold(many.bound.shape == (3,) and many.bound.dtype == torch.float32, law, f"{tuple(many.bound.shape)} {many.bound.dtype}", look)
    hold(torch.isfinite(many.bound).all(), law, "NaN or infinite values", look)
    _check_same(few.bound[:1], again.bound[:1], "fewer draws are the first ones of more", look)
    _check_same(many.bound[1:2], alone.bound, "an image has draws of its own, alone or in a batch", look)


def _check_same(one: Tensor, other: Tensor, law: str, look: str) -> None:
    seen = f"bounds of {float(one):.6g} and {float(other):.6g} nats for the same image"
    hold(torch.allclose(one, other, rtol=1e-4, atol=1e-4), law, seen, f"where {look} takes its noise from")


def _check_arguments(model: DensityModel, name: str) -> None:
    channels, height, width = model.image_shape
    law, look = "wrong images are an ArgumentError", f"{name}.log_prob: write _log_prob and leave log_prob alone"
    wrong: dict[str, Any] = {
        "another shape": torch.zeros(1, channels, height, width + 1),
        "no batch": torch.zeros(channels, height, width),
        "values of 2": torch.full((1, channels, height, width), 2.0),
        "NaN": torch.full((1, channels, height, width), torch.nan),
        "whole numbers": torch.zeros(1, channels, height, width, dtype=torch.int64),
        "a text": "x",
    }
    for what, x in wrong.items():
        refuses(lambda x=x: model.log_prob(x), ArgumentError, law, what, look)  # type: ignore[misc]
