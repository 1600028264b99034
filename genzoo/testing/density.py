"""Laws of a model with p(x), exact or as a lower bound."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from genzoo.card import Family
from genzoo.errors import ArgumentError
from genzoo.evaluation import integrals
from genzoo.evaluation.certificate import Certificate, certify
from genzoo.evaluation.laws import check_sum, every_image
from genzoo.models import DensityModel, ImportanceModel
from genzoo.models.conditions import each_given
from genzoo.testing.generative import fresh_noise, untouched
from genzoo.testing.law import hold, refuses
from genzoo.testing.present import check_present, suited_noise

__all__ = ["MOST_IMAGES", "check_density", "every_image"]

MOST_IMAGES = 4096  # 2^12: larger image spaces are not enumerated
MOST_LEVELS = 256  # images are 8-bit at most


def check_density(model: DensityModel, levels: int | None = None) -> Certificate:
    """Check a model with a density and return its certificate.

    Every model must state what p(x) is a probability of (`levels`), and return values of the right shape and
    units, deterministically. The draws of an `ImportanceModel` must depend on the image alone. If
    levels^(C·H·W) ≤ 4096, all images are enumerated: Σ p(x) must be 1 for an exact model and at most 1 for a
    bound. A density of one or two real pixels is integrated instead. A small build is then certified, see
    `genzoo.evaluation.certify`, whatever the model's own size; the total of a conditional model is checked
    for each of at most ten conditions. An exact model must also have no gradient from later pixels and
    channels, conditionals that sum to 1, and samples as frequent as p says.

    `levels` replaces the number of values per pixel that the model states (2: black and white; 0: p(x) is a
    density).

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(isinstance(model, DensityModel), "check_density is for a DensityModel", name, "its base classes")
    hold(
        isinstance(getattr(model, "exact", None), bool),
        "a density states whether it is exact",
        "neither True nor False",
        f"{name}.exact",
    )
    family = Family.TRACTABLE if model.exact else Family.APPROXIMATE
    hold(
        model.family is family,
        "exact densities are tractable, bounds approximate",
        model.family,
        f"{name}.family",
    )
    known = model.levels if levels is None else levels
    law = (
        "a density states what its probability is of: levels = 2 … 256 masses per value, or 0 for a "
        "density of real numbers"
    )
    hold(type(known) is int and known in (0, *range(2, MOST_LEVELS + 1)), law, repr(known), f"{name}.levels")
    given = each_given(model)
    with untouched(model, f"{name}._log_prob"):
        _check_numbers(given[0], name)
        for each in given:
            _check_total(each, known, f"{name}._log_prob")
        return certify(model, known)


def _check_numbers(model: DensityModel, name: str) -> None:
    _check_values(model, f"{name}._log_prob")
    _check_arguments(model, name)
    images = suited_noise(model, 3)
    check_present(model, lambda changed: changed.log_prob(images), f"{name}._log_prob")
    if isinstance(model, ImportanceModel):
        _check_weights(model, name)


def _check_total(model: DensityModel, levels: int, where: str) -> None:
    """Check Σ p(x) or ∫ p(x) dx of the model itself, with its present weights, if it is small enough."""
    size = math.prod(model.image_shape)
    if levels and levels**size <= MOST_IMAGES:
        check_sum(model, levels, where)
    if not levels and size <= integrals.MOST:
        integrals.check_integral(model, where)


def _check_values(model: DensityModel, where: str) -> None:
    images = suited_noise(model, 5)
    with fresh_noise(1):
        values = model.log_prob(images)
    with fresh_noise(2):
        alone = model.log_prob(images[:1])
    law = "log_prob returns one finite float32 per image, in nats"
    seen = f"{tuple(values.shape)} {values.dtype} for 5 images"
    hold(values.shape == (5,) and values.dtype == torch.float32, law, seen, where)
    hold(torch.isfinite(values).all(), law, "NaN or infinite values", where)
    same = torch.allclose(values[:1], alone, rtol=1e-4, atol=1e-4)
    seen = f"{float(values[0]):.6g} among five, {float(alone[0]):.6g} alone"
    law = "the same image has the same log p, alone or in a batch"
    hold(same, law, seen, f"noise or batch statistics in {where}")
    _check_bits(model, images, values, where)


def _check_bits(model: DensityModel, images: Tensor, values: Tensor, where: str) -> None:
    """Check bits/dim against log p, `values` (N,) in nats; a density of real numbers must refuse."""
    if not model.levels:
        law = "a density of real numbers has no bits/dim"
        refuses(lambda: model.bits_per_dim(images), ArgumentError, law, "bits_per_dim", where)
        return
    with fresh_noise(1):
        bits = model.bits_per_dim(images)
    expected = -values / (math.prod(model.image_shape) * math.log(2))
    law = "bits/dim are -log p(x) / (C·H·W·ln 2)"
    seen = f"{bits[0]:.4g}, not {expected[0]:.4g}"
    hold(torch.allclose(bits, expected, rtol=1e-5), law, seen, "what overrides bits_per_dim")


def _check_weights(model: ImportanceModel, name: str) -> None:
    images, where = suited_noise(model, 3), f"{name}._log_weights"
    with fresh_noise(1):
        few, many = model.iwae_bounds(images, (2, 7))
    with fresh_noise(2):
        again, alone = model.iwae(images, 2), model.iwae(images[1:2], 7)
    law = "a bound of K draws is one finite float32 per image, in nats"
    hold(
        many.bound.shape == (3,) and many.bound.dtype == torch.float32,
        law,
        f"{tuple(many.bound.shape)} {many.bound.dtype}",
        where,
    )
    hold(torch.isfinite(many.bound).all(), law, "NaN or infinite values", where)
    _check_same(few.bound[:1], again.bound[:1], "fewer draws are the first ones of more", where)
    _check_same(many.bound[1:2], alone.bound, "an image has draws of its own, alone or in a batch", where)


def _check_same(one: Tensor, other: Tensor, law: str, where: str) -> None:
    seen = f"bounds of {float(one):.6g} and {float(other):.6g} nats for the same image"
    hold(torch.allclose(one, other, rtol=1e-4, atol=1e-4), law, seen, f"the source of the noise in {where}")


def _check_arguments(model: DensityModel, name: str) -> None:
    channels, height, width = model.image_shape
    law = "wrong images are an ArgumentError"
    where = f"{name}.log_prob: write _log_prob and leave log_prob alone"
    wrong: dict[str, Any] = {
        "another shape": torch.zeros(1, channels, height, width + 1),
        "no batch": torch.zeros(channels, height, width),
        "values of 2": torch.full((1, channels, height, width), 2.0),
        "NaN": torch.full((1, channels, height, width), torch.nan),
        "whole numbers": torch.zeros(1, channels, height, width, dtype=torch.int64),
        "a text": "x",
    }
    for what, x in wrong.items():
        refuses(lambda x=x: model.log_prob(x), ArgumentError, law, what, where)  # type: ignore[misc]
