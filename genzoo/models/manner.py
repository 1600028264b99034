"""Samples drawn in another manner than from p(x): which models have one, and how it is applied.

A model is asked through a copy that shares its weights and knows its manner, as `given` does it with a
condition. So a plugin's underscored methods keep their arguments, and a model that draws its z with
`_latents`, or its pixels with `_level`, obeys without code of its own.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.manner import PLAIN, Manner
from genzoo.rng import Rng

M = TypeVar("M", bound=Any)


def has_mean(model: Any) -> bool:
    """Say whether `model` draws z and then x from a distribution p(x|z), whose mean is what it decodes."""
    return bool(model.latent and model.explicit and not model.exact)


def pictured(model: Any) -> Manner:
    """Return the manner in which pictures show `model`: the mean of p(x|z) where it has one, since the noise
    of single pixels would cover it; for any other model a draw from p(x).
    """
    return Manner(mean=True) if has_mean(model) else PLAIN


def check_manner(model: Any, manner: Manner) -> Manner:
    """Return `manner` if `model` can be sampled in it, or raise ArgumentError with the reason."""
    for name in manner.asked:
        why, hint = _objection(model, name)
        if why:
            raise ArgumentError(f"{name} has no meaning for {type(model).__name__}: {why}", hint)
    return manner


def _objection(model: Any, name: str) -> tuple[str, str]:
    """Return why `name` has no meaning for `model`, and what to use instead; empty texts if it has one."""
    instead = "truncation applies to its z" if model.latent else "temperature applies to its pixels"
    if name == "mean" and not has_mean(model):
        why = (
            "x is a function of z, so that p(x|z) is a single image"
            if model.latent
            else "it has no z, and so no p(x|z) to show the mean of"
        )
        return why, f"leave mean out; {instead}"
    if name == "temperature" and not model.in_order:
        why = "it does not draw a pixel from a distribution given earlier pixels"
        return why, f"leave temperature out; {instead}" if model.latent else "leave temperature out"
    if name == "truncation" and not model.latent:
        return "it has no z to truncate", "leave truncation out; temperature applies to pixel models"
    return "", ""


def in_manner(model: M, manner: Manner) -> M:
    """Return `model` drawing in `manner`; it shares the weights."""
    if manner == PLAIN:
        return model
    made: M = copy.copy(model)
    vars(made).update(_manner=manner, _origin=model._origin or model)
    return made


def draw(model: Any, rng: Rng, *condition: Tensor) -> Tensor:
    """Return `rng.n` images of `model` in its manner, (n, C, H, W)."""
    if model._manner.mean:
        return model._decode(model._latents(rng), *condition)  # type: ignore[no-any-return]
    return model._sample(rng, *condition)  # type: ignore[no-any-return]


def truncated(z: Tensor, rng: Rng, prior: str, t: float) -> Tensor:
    """Return `z` (n, D) with the components beyond ±t drawn again from the prior within ±t; the others stay.

    Drawing again until |z| <= t gives the prior restricted to [-t, t], which is drawn here at once by its
    inverse distribution function, so that each component takes one number whatever t is. The numbers come
    from streams of their own, functions of (seed, i): what else an image draws is not moved.
    """
    u = rng.apart("truncation").uniform(z.shape[1]).cpu()
    if prior == "uniform":
        again = (2 * u - 1) * min(t, 1.0)
    else:
        low = torch.special.ndtr(torch.tensor(-t, dtype=torch.float64))
        again = torch.special.ndtri(low + u * (1 - 2 * low))
    return torch.where(z.abs() > t, again.clamp(-t, t).to(z), z)
