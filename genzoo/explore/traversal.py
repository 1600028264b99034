"""Vary one latent while the others stay fixed, to show what each component of z does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError, safe_repr
from genzoo.explore.latents import check_latent_model
from genzoo.explore.manifold import SHARES, quantiles
from genzoo.models.latent import LatentModel
from genzoo.models.model import check_count
from genzoo.process import neutral
from genzoo.rng import whole

MOST_ROWS = 10  # of dimensions that are shown unasked
WIDEST = 100.0  # a span: a Gaussian z comes no further than 6 in a billion draws


@neutral()
def traverse(
    model: LatentModel,
    dimensions: Sequence[int] | int | None = None,
    steps: int = 9,
    z: Any = None,
    span: float | None = None,
    *,
    condition: Any = None,
) -> Tensor:
    """Return the images (dimensions, steps, C, H, W) in [0, 1] along one latent per row as it grows.

    A row varies one component of z; the others keep their values of `z`.

    Args:
        model: any model with a z.
        dimensions: the components to vary, counted from 0; None = the first ten.
        steps: images per row.
        z: the starting point, (latent_size,) or (1, latent_size); None = the centre of the prior, zeros.
        span: the component goes from -span to span at equal steps; None = from the 5 % to the 95 % quantile
            of its prior, at equal steps of probability.
        condition: of a conditional model, one for all.

    Raises:
        ArgumentError: a model without z, a dimension that it lacks, steps below 2, an invalid z, a span that
            is not above 0 or leaves the cube of a uniform prior, or a missing, invalid or superfluous
            condition.
        UnknownNameError: a label that does not exist.
    """
    check_latent_model(model)
    rows = check_dimensions(dimensions, model.latent_size)
    if check_count(steps, "steps") < 2:
        raise ArgumentError("steps must be at least 2, the two ends of a row, not 1", "for example steps=9")
    values = _values(steps, model.prior, span)
    latents = _departure(model, z).repeat(len(rows), steps, 1)  # (rows, steps, D)
    for row, dimension in enumerate(rows):
        latents[row, :, dimension] = values.to(latents.device)
    images = model.decode(latents.flatten(0, 1), condition)
    return images.reshape(len(rows), steps, *model.image_shape)


def check_dimensions(dimensions: Sequence[int] | int | None, size: int) -> list[int]:
    """Return `dimensions` of a z of `size` components as a list, the first ten where it is None.

    Raises:
        ArgumentError: none given, not a whole number, or a dimension that does not exist.
    """
    if dimensions is None:
        return list(range(min(size, MOST_ROWS)))
    given = dimensions if isinstance(dimensions, Sequence) else [dimensions]
    numbers = [whole(dimension) for dimension in given]
    if not numbers or None in numbers:
        raise ArgumentError(
            f"dimensions must be one or more whole numbers, not {safe_repr(dimensions)}",
            "for example dimensions=[0, 1]",
        )
    rows = [number for number in numbers if number is not None]
    for row in rows:
        if not 0 <= row < size:
            raise ArgumentError(
                f"there is no latent dimension {safe_repr(row)}: the model has {size}, counted from 0",
                f"choose between 0 and {size - 1}" if size > 1 else "0 is the only one",
            )
    return rows


def _values(steps: int, prior: str, span: Any) -> Tensor:
    """Return the values (steps,) float32 that a component takes."""
    if span is None:
        return quantiles(torch.linspace(*SHARES, steps, dtype=torch.float64), prior)
    widest, why = (1.0, ": the prior is uniform from -1 to 1") if prior == "uniform" else (WIDEST, "")
    if isinstance(span, bool) or not isinstance(span, (int, float)) or not 0 < span <= widest:
        raise ArgumentError(
            f"span must be a number above 0 and at most {widest:g}, not {safe_repr(span)}{why}",
            f"for example {min(3, widest):g}",
        )
    return torch.linspace(-span, span, steps)


def _departure(model: LatentModel, z: Any) -> Tensor:
    """Return z as (1, 1, D)."""
    if z is None:
        return torch.zeros(1, 1, model.latent_size, device=model.device)
    point = z if not isinstance(z, Tensor) or z.ndim != 1 else z[None]
    latents = model.check_latents(point).detach()
    if len(latents) != 1:
        raise ArgumentError(
            f"z must be one latent vector, not {len(latents)}", "traverse one at a time: z=latents[0]"
        )
    return latents[None]
