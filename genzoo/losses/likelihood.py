"""Likelihood and its units: nats of a whole image, and bits/dim = nats / (D ln 2) with D = C · H · W."""

from __future__ import annotations

import math

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
