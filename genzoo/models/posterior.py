"""Posterior: the parameters of q(z|x), as an encoder returns them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genzoo.errors import ArgumentError


class Posterior(NamedTuple):
    """q(z|x) = N(mean, diag exp(log_var)), one row per image; both tensors are (N, latent_size)."""

    mean: Tensor
    log_var: Tensor


def checked(found: object, shape: tuple[int, int], method: str) -> Tensor | Posterior:
    """Return the codes or the `Posterior` that `method` returned, in float32.

    Raises:
        ArgumentError: neither a tensor nor a `Posterior`; a tensor of another shape than `shape`
            (N, latent_size), of whole numbers, or with values that are not finite.
    """
    if isinstance(found, Posterior):
        return Posterior(*(_checked(part, shape, method) for part in found))
    return _checked(found, shape, method)


def _checked(code: object, shape: tuple[int, int], method: str) -> Tensor:
    if not isinstance(code, Tensor):
        raise ArgumentError(
            f"{method} returned a {type(code).__name__}, not a tensor of codes or a Posterior",
            "return the code (N, latent_size), or genzoo.models.Posterior(mean, log_var)",
        )
    if tuple(code.shape) != shape:
        raise ArgumentError(
            f"{method} returned the shape {tuple(code.shape)}, not {shape}",
            "return one row of latent_size numbers per image",
        )
    if not code.is_floating_point():
        raise ArgumentError(f"{method} returned {code.dtype}, not floating-point numbers")
    if not bool(torch.isfinite(code).all()):
        raise ArgumentError(f"{method} returned NaN or infinite values")
    return code.float()
