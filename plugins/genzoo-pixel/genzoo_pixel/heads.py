"""Heads: how the network's outputs parametrise a distribution over the levels of one pixel and channel.

All functions take parameters `params` (N, P, ...) and levels 0 … levels - 1 and compute in float32 or better.
The probabilities of every head sum to 1 over the levels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from genzoo.devices import widest
from genzoo.errors import ArgumentError

HEADS = ("bernoulli", "softmax", "logistic")
LOG_SCALE_FLOOR = -7.0  # in units of [-1, 1]: a spread of a tenth of a grey level


def parameters(head: str, levels: int, mixture: int) -> int:
    """Return P, the number of parameters of one conditional: one logit, one logit per level, or three per
    component.
    """
    return {"bernoulli": 1, "softmax": levels, "logistic": 3 * mixture}[head]


def settle_levels(head: str, levels: int | None) -> int:
    """Return the number of levels: as given, or 2 for the Bernoulli head and 256 for the others.

    Raises:
        ArgumentError: more than two levels for a Bernoulli head.
    """
    if head == "bernoulli" and levels not in (None, 2):
        raise ArgumentError(
            f"head='bernoulli' models 2 levels, not {levels}",
            "head='softmax' and head='logistic' model up to 256",
        )
    return levels or (2 if head == "bernoulli" else 256)


def log_masses(head: str, params: Tensor, levels: int) -> Tensor:
    """Return log p of every level, (N, levels, ...), for parameters (N, P, ...)."""
    params = params if params.dtype == torch.float64 else params.float()
    if head == "softmax":
        return params.log_softmax(1)
    if head == "bernoulli":
        return torch.cat([F.logsigmoid(-params), F.logsigmoid(params)], 1)
    every = torch.arange(levels, device=params.device).view(1, levels, *[1] * (params.ndim - 2))
    return _logistic(params[:, :, None], every, levels)


def log_mass(head: str, params: Tensor, level: Tensor, levels: int) -> Tensor:
    """Return log p(level) in nats, (N, ...), for parameters (N, P, ...) and levels (N, ...); differentiable
    in the parameters.
    """
    params = params if params.dtype == torch.float64 else params.float()
    if head == "softmax":
        return -F.cross_entropy(params, level, reduction="none")
    if head == "bernoulli":
        return F.logsigmoid(params[:, 0] * (2 * level - 1))
    return _logistic(params, level, levels)


def quantile(head: str, params: Tensor, u: Tensor, levels: int) -> Tensor:
    """Return the first level whose cumulative probability exceeds u, (N,) int64, for parameters (N, P) and u
    (N,) in (0, 1).
    """
    if head == "bernoulli":
        return (u >= torch.sigmoid(-params[:, 0].to(widest(params.device)))).long()
    # the last level takes the rest
    cumulated = log_masses(head, params.to(widest(params.device)), levels)[:, :-1].exp().cumsum(1)
    return (cumulated <= u[:, None]).sum(1)


def _logistic(params: Tensor, level: Tensor, levels: int) -> Tensor:
    """Discretised mixture of logistics (Salimans et al. 2017) on [-1, 1]; `params` is (N, 3·K, ...), `level`
    broadcasts with (N, ...).

    A level's probability is the logistic's mass between the midpoints to its neighbours. The lowest level
    extends to -∞ and the highest to +∞, so that the probabilities sum to 1.
    """
    weight, mean, log_scale = params.unflatten(1, (3, -1)).unbind(1)  # (N, K, ...) each
    log_scale = log_scale.clamp(min=LOG_SCALE_FLOOR)
    half = 1 / (levels - 1)
    centre = (2 * half * level - 1).to(params.dtype).unsqueeze(1) - mean  # (N, K, ...)
    steep = torch.exp(-log_scale)
    upper, lower = steep * (centre + half), steep * (centre - half)
    # log(σ(upper) - σ(lower)) = log σ(upper) + log σ(-lower) + log(1 - exp(lower - upper)): no difference of
    # near-equal numbers, so very narrow or distant bins need no separate formula.
    below, above = F.logsigmoid(upper), F.logsigmoid(-lower)
    inside = below + above + torch.log(-torch.expm1(-2 * half * steep))
    mass = torch.where((level == 0).unsqueeze(1), below, inside)
    mass = torch.where((level == levels - 1).unsqueeze(1), above, mass)
    return torch.logsumexp(weight.log_softmax(1) + mass, 1)


def initial_bias(mixture: int) -> Tensor:
    """Return initial biases (P,) of a logistic head: components spread over the range, each about as wide as
    the gap to the next.
    """
    means = torch.linspace(-0.9, 0.9, mixture) if mixture > 1 else torch.zeros(1)
    return torch.cat([torch.zeros(mixture), means, torch.full((mixture,), -math.log(mixture + 1))])
