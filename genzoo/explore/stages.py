"""Show how a model that works in stages makes an image, from coarse to fine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.models.staged import StagedModel, enlarged
from genzoo.process import neutral


@neutral()
def stages(model: StagedModel, z: Any, *, condition: Any = None) -> Tensor:
    """Return the images (N, stages, C, H, W) in [0, 1] of each latent vector at each stage of `model`, the
    coarsest first, all enlarged to full size by repeating pixels.

    Args:
        model: a model with stages.
        z: latent vectors (N, latent_size), for example `model.sample_latents(4, seed=0)`.
        condition: of a conditional model, one for all or one for each.

    Raises:
        ArgumentError: a model without stages; wrong latent vectors; a missing, invalid or superfluous
            condition.
        UnknownNameError: a label that does not exist.
    """
    if not isinstance(model, StagedModel):
        raise ArgumentError(*unstaged(type(model).__name__))
    size = (model.image_shape[1], model.image_shape[2])
    return torch.stack([enlarged(images, size) for images in model.stages(z, condition)], 1)


def unstaged(name: str) -> tuple[str, str]:
    """Return the message and the hint for a model called `name`, which has no stages."""
    return (
        f"{name} makes an image in one go, so it has no stages to show",
        "leave out --stages; a model has stages if its class is a genzoo.models.StagedModel",
    )
