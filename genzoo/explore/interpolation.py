"""Walks from one latent vector to another, and the images along them (Radford et al. 2016, figure 4).

A Gaussian z of many dimensions lies near a sphere of radius √d, so the straight line between two of them
passes through the inside, where the model was never trained: `slerp` goes round instead. If the prior is
uniform in a cube, `lerp` stays inside it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo.devices import doubled
from genzoo.errors import ArgumentError
from genzoo.explore.latents import check_latent_model, each, repeated
from genzoo.models.latent import LatentModel
from genzoo.models.model import GenerativeModel, check_count
from genzoo.process import neutral

_TINY = 1e-9  # sine of an angle below which two directions are one, or opposite


@neutral()
def interpolate(
    model: LatentModel,
    n: int = 8,
    steps: int = 9,
    seed: int | None = None,
    ends: Any = None,
    *,
    condition: Any = None,
) -> Tensor:
    """Return images (n, steps, C, H, W) in [0, 1] along `n` walks between latent vectors.

    The first and last image of a walk are those of its two ends; walk i of a seed does not depend on `n`. The
    walk is `slerp` if the prior is Gaussian, and `lerp` if it is uniform or there is none, as for the codes
    of an autoencoder.

    Args:
        model: any model with a z.
        n: number of walks.
        steps: images per walk, including both ends.
        seed: seed of the ends, which are drawn from the prior.
        ends: ends to use instead, (2 n, latent_size): first and last of each walk in turn; they determine n.
        condition: of a conditional model, the condition of each walk, or one for all. To walk from one label
            to another, see `genzoo.explore.blending.blend`.

    Raises:
        ArgumentError: a model without z, n that is not a whole number ≥ 1, steps below 2, an invalid seed,
            ends of a wrong shape, or a missing, invalid or superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    check_latent_model(model)
    if check_count(steps, "steps") < 2:
        raise ArgumentError("steps must be at least 2, the two ends of a walk, not 1", "for example steps=9")
    points = (
        model.sample_latents(2 * check_count(n), seed)
        if ends is None
        else model.check_latents(ends, "ends").detach()
    )
    if len(points) % 2:
        raise ArgumentError(
            f"ends must come in pairs, first and last of each walk, not {len(points)}",
            "for example ends=codes[:2]",
        )
    pairs = points.reshape(-1, 2, model.latent_size)  # (n, 2, D)
    way = model.prior if isinstance(model, GenerativeModel) else "uniform"
    latents = path(pairs[:, 0], pairs[:, 1], steps, way)  # (n, steps, D)
    given = repeated(each(model, condition, len(pairs)), steps)
    # (n, steps, C, H, W)
    return model.decode(latents.flatten(0, 1), given).reshape(len(pairs), steps, *model.image_shape)


@neutral()
def path(a: Tensor, b: Tensor, steps: int, prior: str) -> Tensor:
    """Return the latent vectors (N, steps, D) at equal distances from `a` to `b`, (N, D), both ends among
    them.
    """
    between = lerp if prior == "uniform" else slerp
    return torch.stack([between(a, b, step / (steps - 1)) for step in range(steps)], dim=1)


@neutral()
def lerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Return (1 - t) a + t b for vectors (..., D); exactly `a` at t = 0 and exactly `b` at t = 1."""
    if t in (0, 1):
        return (b if t else a).clone()
    return (1 - t) * a + t * b


@neutral()
def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Return the point at the share `t` of the great circle from `a` to `b`, vectors (..., D) (Shoemake
    1985).

    The direction turns at constant speed and the length goes from |a| to |b| linearly: vectors of one length
    keep it. Exactly `a` at t = 0 and exactly `b` at t = 1; slerp(a, b, t) = slerp(b, a, 1 - t). Between
    opposite vectors there are many great circles: one is chosen, the same from either side. A zero vector has
    no direction, and a single dimension no circle: there it is `lerp`.
    """
    if t in (0, 1):
        return (b if t else a).clone()
    first, second = doubled(a), doubled(b)
    long, wide = _length(first), _length(second)
    p, q = first / long, second / wide  # unit vectors; NaN where the length is 0, replaced below
    angle = 2 * torch.atan2(_length(p - q), _length(p + q))  # exact near 0 and near π, where arccos is not
    across = q - (p * q).sum(-1, keepdim=True) * p
    across = torch.where(torch.sin(angle) > _TINY, across / _length(across), _perpendicular(p))
    turned = torch.cos(t * angle) * p + torch.sin(t * angle) * across
    on_circle = ((1 - t) * long + t * wide) * turned
    straight = (long == 0) | (wide == 0) | (a.shape[-1] == 1)
    return torch.where(straight, lerp(first, second, t), on_circle).to(a)


def _length(v: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    return length


def _perpendicular(p: Tensor) -> Tensor:
    """Return a unit vector at right angles to each unit vector of `p` (..., D), the same for p and -p."""
    axis = torch.nn.functional.one_hot(p.abs().argmin(-1), p.shape[-1]).to(p.dtype)
    across = axis - (p * axis).sum(-1, keepdim=True) * p
    return across / _length(across)
