"""Batch norm over the rows of all processes (`sync_batch_norm`).

Torch's SyncBatchNorm refuses CPUs, and is another module, so the model would have to be changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from genzoo.shares.share import Share


def batch_norm(share: Share, plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return `plain`, torch's function, which computes in training with the mean and the variance of the
    whole batch.
    """
    return functools.partial(_batch_norm, share, plain)


def _batch_norm(  # noqa: PLR0917 - its arguments are those of torch's function
    share: Share,
    plain: Callable[..., Tensor],
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return plain(x, running_mean, running_var, weight, bias, training, momentum, eps)
    axes = [0, *range(2, x.ndim)]
    values = x.float()
    mean, var = _moments(share, values.mean(axes), values.var(axes, correction=0))  # (C,)
    if running_mean is not None and running_var is not None:
        count = share.parts * x.numel() // x.shape[1]
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((var * count / max(count - 1, 1)).to(running_var), momentum)
    scale = (var + eps).rsqrt()
    scale = scale if weight is None else scale * weight.float()
    shift = -mean * scale if bias is None else bias.float() - mean * scale
    shape = [1, -1, *[1] * (x.ndim - 2)]
    return torch.addcmul(shift.view(shape), values, scale.view(shape)).to(x.dtype)


def _moments(share: Share, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the whole batch, from those of each process, which have equally many rows.
    The variance is the mean of theirs and that of their means (Chan et al. 1983), which loses no digits.
    """
    own = torch.stack([mean, var])  # (2, C)
    nothing = torch.zeros_like(own)
    parts = [own if part == share.number else nothing for part in range(share.parts)]
    means, variances = share.sum(torch.stack(parts, 1))  # (parts, C) each
    middle: Tensor = means.mean(0)
    spread: Tensor = (variances + (means - middle).square()).mean(0)
    return middle, spread
