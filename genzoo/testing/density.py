"""Laws of a model that tells p(x), exactly or as a lower bound."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from genzoo.card import Family
from genzoo.errors import ArgumentError
from genzoo.models import DensityModel
from genzoo.noise import Draws
from genzoo.testing.generative import fresh_noise, untouched
from genzoo.testing.law import hold, refuses

MOST_IMAGES = 4096  # 2^12: the largest image space that is enumerated
SUM_ERROR = 1e-3  # of Σ p(x), from float32 logarithms


def check_density(model: DensityModel, levels: int | None = None) -> None:
    """Hold a model with a density to its laws: shape, units, determinism, and Σ p(x) = 1 over every image of a tiny image space.

    `levels` is the number of values that a pixel can take (2: black and white); None asks the model (`levels`, or its config's).
    With levels^(C·H·W) ≤ 4096 all images are enumerated: Σ p(x) must be 1 where the model is exact, at most 1 where it is a bound.

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
        count = levels if levels is not None else _levels(model)
        if count and count ** math.prod(model.image_shape) <= MOST_IMAGES:
            _check_sum(model, count, f"{name}._log_prob")


def _check_values(model: DensityModel, look: str) -> None:
    images = (Draws(0, 0, 5).uniform(*model.image_shape) < 0.5).float().to(model.device)  # black and white: every model takes these
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


def _check_sum(model: DensityModel, levels: int, look: str) -> None:
    images = every_image(model.image_shape, levels)
    total = float(torch.cat([model.log_prob(part) for part in images.split(256)]).double().exp().sum())
    seen = f"Σ p(x) = {total:.6f} over all {len(images)} images"
    if model.exact:
        hold(abs(total - 1) < SUM_ERROR, "an exact density sums to 1", seen, f"{look}: a pixel that sees itself, or a wrong normaliser")
    else:
        hold(total < 1 + SUM_ERROR, "a lower bound sums to at most 1", seen, f"{look}: the sign of the KL term")


def every_image(image_shape: tuple[int, int, int], levels: int) -> Tensor:
    """Return all levels^(C·H·W) images (N, C, H, W) whose pixels are 0, 1/(levels-1), …, 1."""
    values = [level / (levels - 1) for level in range(levels)]
    return torch.tensor(list(itertools.product(values, repeat=math.prod(image_shape)))).reshape(-1, *image_shape)


def _levels(model: DensityModel) -> int | None:
    found = getattr(model, "levels", getattr(model.config, "levels", None))
    return found if isinstance(found, int) and found > 1 else None
