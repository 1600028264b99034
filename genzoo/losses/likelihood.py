"""Likelihood and its units: nats of a whole image, and bits/dim = nats / (D ln 2) with D = C · H · W."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def dimensions(image_shape: tuple[int, int, int]) -> int:
    """Return D = C · H · W, the number of dimensions of one image."""
    return math.prod(image_shape)


def bits_per_dim(log_prob: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """Return -log p(x) in bits per dimension from log p(x) in nats, elementwise."""
    return -log_prob / (dimensions(image_shape) * math.log(2))


def mean_bits_per_dim(log_prob: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """Return the mean over images of -log p(x) in bits per dimension: what maximum likelihood minimises."""
    return bits_per_dim(log_prob, image_shape).mean()


def dequantised(
    log_density: Callable[[Tensor], Tensor], x: Tensor, uniform: Tensor, levels: int = 256
) -> Tensor:
    """Return a lower bound on the log-probability mass of images with `levels` values, from a density of real
    numbers (Theis et al. 2016).

    The pixel of level k stands for the cell [k / levels, (k + 1) / levels). By Jensen's inequality, with u
    uniform in [0, 1)^D:

        log P(x) = log ∫ p((k + u) / levels) du - D log levels  ≥  E_u[log p((k + u) / levels)] - D log levels

    Args:
        log_density: log p in nats (N,) of points (N, C, H, W) in [0, 1).
        x: images (N, C, H, W), pixels k / (levels - 1).
        uniform: u, (draws, N or 1, C, H, W) in [0, 1); the expectation is their mean.
        levels: values that a pixel can take.

    Returns:
        (N,), in nats. A model whose `_log_prob` is this says `exact = False` and `levels = 256`.
    """
    level = (x * (levels - 1)).round()
    values = torch.stack([log_density((level + u) / levels) for u in uniform])  # (draws, N)
    return values.mean(0) - dimensions((x.shape[1], x.shape[2], x.shape[3])) * math.log(levels)
