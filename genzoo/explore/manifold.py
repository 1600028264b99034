"""The whole latent plane as one picture: a grid of equal shares of the prior, decoded (Kingma & Welling 2014,
figure 4).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.explore.latents import check_latent_model
from genzoo.models.latent import LatentModel
from genzoo.models.model import check_count
from genzoo.process import neutral

SHARES = (0.05, 0.95)  # of the prior: beyond them a model has seen few images
_HINT = (
    "genzoo traverse and genzoo interpolate walk through any number of latents; vae2d-mnist and "
    "vae-frey have two"
)


@neutral()
def manifold(model: LatentModel, n: int = 20, *, condition: Any = None) -> Tensor:
    """Return the images (n, n, C, H, W) in [0, 1] of a grid over the two latents of `model`.

    Rows and columns are at equal steps of the prior's distribution function, so all cells are equally likely.
    The first latent grows from left to right, the second from the bottom row, which is the last, to the top,
    as on paper. Images are means, not samples. A conditional model takes one `condition` for all.

    Raises:
        ArgumentError: a model that has not exactly two latents, n below 2, or a missing, invalid or
            superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    check_latent_model(model)
    if model.latent_size != 2:
        raise ArgumentError(
            f"a manifold needs two latents, but {type(model).__name__} has {model.latent_size}", _HINT
        )
    if check_count(n) < 2:
        raise ArgumentError("n must be at least 2 (rows and columns), not 1", "for example n=20")
    steps = quantiles(torch.linspace(*SHARES, n, dtype=torch.float64), model.prior)
    across, up = torch.meshgrid(steps, steps.flip(0), indexing="xy")  # (n, n) each
    latents = torch.stack([across, up], dim=-1)  # (n, n, 2)
    return model.decode(latents.flatten(0, 1), condition).reshape(n, n, *model.image_shape)


@neutral()
def quantiles(shares: Tensor, prior: str) -> Tensor:
    """Return the values of z_j below which the given shares of the prior lie, float32: Φ⁻¹ for "normal", 2p -
    1 for "uniform".
    """
    values: Tensor = 2 * shares - 1 if prior == "uniform" else torch.special.ndtri(shares)
    return values.float()
