"""Principal directions of a latent space: the directions in z along which the image changes most.

They are the eigenvectors of E[JᵀJ], J = dx/dz, the metric that the generator gives its latent space (Wang &
Ponce 2021, arXiv:2101.06006, section 3). The paper finds that the metric is much the same at every z, so that
a few of them suffice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.explore.latents import check_latent_model
from genzoo.models import GenerativeModel, LatentModel
from genzoo.models.model import check_count
from genzoo.process import neutral

STEP = 0.1  # of the difference that stands for the derivative, in units of z
DECODED = 400  # images that are decoded, about, whatever the size of z
TOGETHER = 64  # of them at a time


@neutral()
def directions(model: LatentModel, n: int = 8, seed: int = 0, *, condition: Any = None) -> Tensor:
    """Return `n` unit vectors (n, latent_size) in z, orthogonal, that with the largest effect on the image
    first.

    Fewer where z has fewer components. The largest component of each is positive. The metric is averaged over
    as many z of `seed` as `DECODED` images allow; an autoencoder has no prior, so there it is that at zero.

    Raises:
        ArgumentError: a model without z, an invalid n or seed, or a missing, invalid or superfluous
            condition; a decoder that ignores z.
        UnknownNameError: a label that does not exist.
    """
    check_latent_model(model)
    size, count = model.latent_size, check_count(n)
    starts = max(1, DECODED // (size + 1))
    points = (
        model.sample_latents(starts, seed)
        if isinstance(model, GenerativeModel)
        else torch.zeros(1, size, device=model.device)
    )
    metric = torch.zeros(size, size, dtype=torch.float64)
    moves = STEP * torch.eye(size + 1, size).roll(1, 0).to(points)  # (D + 1, D): none, then each component
    for some in points.split(max(1, TOGETHER // (size + 1))):
        images = model.decode((some[:, None] + moves).flatten(0, 1), condition).detach().double().cpu()
        each = images.view(len(some), size + 1, -1)  # (n, D + 1, C·H·W)
        slopes = (each[:, 1:] - each[:, :1]) / STEP  # (n, D, C·H·W), J transposed
        metric += (slopes @ slopes.mT).sum(0)
    if not bool(metric.any()):
        raise ArgumentError(
            f"the images of this {type(model).__name__} do not depend on z, so no direction changes them",
            "check its decoder, or load trained weights",
        )
    vectors = torch.linalg.eigh(metric).eigenvectors.flip(1).T[:count]  # largest eigenvalue first
    signs = vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
    found: Tensor = (vectors * signs).float().to(model.device)
    return found
