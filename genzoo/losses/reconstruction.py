"""How well a decoder explains an image: the L2 loss of the autoencoder, and log p(x|z) for three kinds of
pixels.

Images are (..., C, H, W) in [0, 1]; values are summed over the last three axes. Other axes broadcast, so that
K decodings (K, N, C, H, W) can be compared with images (N, C, H, W).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

PIXEL_AXES = (-3, -2, -1)
LEVELS = 256  # of an 8-bit pixel


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Return ‖x - x̂‖², summed over pixels: the lecture's L2 loss, which is not a likelihood."""
    return ((x - reconstruction) ** 2).sum(PIXEL_AXES)


def bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """Return log p(x|z) in nats of black and white pixels, each 1 with the probability sigmoid(logit).

    Only for x in {0, 1}. On grey levels the same formula is the cross-entropy that many implementations
    minimise, but not a density: over [0, 1] it integrates to 0.47 at p = 0.3 instead of 1.
    """
    return (x * logits - softplus(logits)).sum(PIXEL_AXES)


def gaussian(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log p(x|z) in nats of real-valued pixels N(mean, exp(log_var)): a density, which can exceed
    0.
    """
    return -0.5 * (math.log(2 * math.pi) + log_var + (x - mean) ** 2 * torch.exp(-log_var)).sum(PIXEL_AXES)


def discretised_logistic(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Return log p(x|z) in nats of 8-bit pixels: the mass that a logistic distribution has on each pixel's
    level.

    Pixels are scaled to [-1, 1], where `mean` and `log_scale` live; level v reaches 1/255 to either side of
    2v/255 - 1, and the levels 0 and 255 on to infinity, so the 256 masses sum to 1 (Salimans et al. 2017,
    section 2.1). x is rounded to its level. With a and b the edges of a level in units of the scale, σ(b) -
    σ(a) = σ(b) σ(-a) (1 - exp(a - b)): exact even if both sigmoids round to 0 or 1, so no approximation is
    needed in the tails.
    """
    level = torch.round(x * (LEVELS - 1))
    centred = 2 * level / (LEVELS - 1) - 1 - mean
    sharpness, half = torch.exp(-log_scale), 1 / (LEVELS - 1)
    below = logsigmoid((centred + half) * sharpness)  # log σ(b)
    above = logsigmoid((half - centred) * sharpness)  # log σ(-a)
    between = below + above + torch.log(-torch.expm1(-2 * half * sharpness))
    return torch.where(level == 0, below, torch.where(level == LEVELS - 1, above, between)).sum(PIXEL_AXES)
