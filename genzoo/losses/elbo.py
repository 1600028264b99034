"""The evidence lower bound (Kingma & Welling 2014; Burda et al. 2016), in the order in which the lecture
derives it.

    log p(x) = E_q[log p(x|z)] - KL(q(z|x) ‖ p(z)) + KL(q(z|x) ‖ p(z|x))

The last term cannot be computed and is at least 0; the first two are the ELBO. q(z|x) is N(μ, diag σ²) and
the prior N(0, I), both over D components. Every value is in nats of a whole image, (N,) or with leading axes
of draws; `log_var` is log σ².
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def reparametrise(mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """Return z = μ + σ ε for standard normal `noise` (..., N, D): a draw from q(z|x) that passes gradients to
    μ and σ.
    """
    return mean + torch.exp(0.5 * log_var) * noise


def log_normal(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log N(z; μ, diag σ²), summed over the last axis."""
    return -0.5 * (math.log(2 * math.pi) + log_var + (z - mean) ** 2 * torch.exp(-log_var)).sum(-1)


def log_prior(z: Tensor) -> Tensor:
    """Return log p(z) = log N(z; 0, I), summed over the last axis."""
    return -0.5 * (math.log(2 * math.pi) + z**2).sum(-1)


def kl_per_component(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return KL(N(μ_j, σ_j²) ‖ N(0, 1)) = ½ (μ_j² + σ_j² - 1 - log σ_j²) of each component, (..., D)."""
    return 0.5 * (mean**2 + torch.expm1(log_var) - log_var)


def kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return KL(q(z|x) ‖ p(z)), summed over components (appendix B of the 2014 paper)."""
    return kl_per_component(mean, log_var).sum(-1)


def elbo(log_likelihood: Tensor, divergence: Tensor, beta: float = 1.0) -> Tensor:
    """Return log p(x|z) - β KL(q(z|x) ‖ p(z)); on average over z ~ q this is the ELBO if β = 1.

    With another β (Higgins et al. 2017) it is what a β-VAE maximises, and may exceed log p(x): do not report
    it as a likelihood.
    """
    return log_likelihood - beta * divergence


def path_divergence(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log q(z|x) - log p(z) for z ~ q(z|x), on average the KL, with a gradient that reaches q through
    z alone.

    The omitted term, the gradient of log q(z|x) at a fixed z, is 0 on average and only adds noise: without it
    the ELBO's gradient vanishes for every draw if q(z|x) is the posterior (Roeder et al. 2017,
    arXiv:1703.09194).
    """
    return log_normal(z, mean.detach(), log_var.detach()) - log_prior(z)


def free_bits(components: Tensor, least: float) -> Tensor:
    """Return the KL of a batch with `least` nats per component for free, a scalar: Σ_j max(least, mean over
    images of KL_j).

    `components` is (N, D), see `kl_per_component` (Kingma et al. 2016, equation 15). Below `least` a
    component has no gradient that would switch it off. It is never less than the mean KL, so the objective
    remains a lower bound.
    """
    return components.mean(0).clamp(min=least).sum()


def log_weight(log_likelihood: Tensor, z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log w = log p(x|z) + log p(z) - log q(z|x) for z ~ q(z|x): w is p(x) on average."""
    return log_likelihood + log_prior(z) - log_normal(z, mean, log_var)


def iwae(log_weights: Tensor) -> Tensor:
    """Return log (1/K Σ_k w_k) over the first axis of (K, ...): the importance-weighted bound with K draws.

    On average it is the ELBO at K = 1, never falls as K grows, and tends to log p(x) (Burda et al. 2016,
    theorem 1). Its gradient weights each draw by softmax(log w).
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def doubly_reparametrise(z: Tensor, log_weights: Tensor) -> None:
    """Let the gradient of `iwae(log_weights)` reach q through the draws z (K, ..., D) with its own weight,
    softmax(log w)², in each.

    For weights whose q has no gradient of its own, log p(x|z) - `path_divergence`. On average this is the
    gradient of the bound, and noise does not swamp it as K grows (Tucker et al. 2019, arXiv:1810.04152). The
    decoder's gradient is unchanged.
    """
    if z.requires_grad:
        weights = torch.softmax(log_weights.detach(), 0).unsqueeze(-1)
        z.register_hook(lambda gradient: gradient * weights)
