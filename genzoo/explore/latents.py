"""Helpers of the latent-space tools: check that a model has a latent space, and encode images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.data.decode import Skip, decode
from genzoo.errors import ArgumentError, DataError
from genzoo.images import to_float
from genzoo.models import EncodingModel, LatentModel, Posterior
from genzoo.process import neutral


def check_latent_model(model: object) -> None:
    """Raise ArgumentError for a model without z."""
    if not isinstance(model, LatentModel):
        raise ArgumentError(
            f"{type(model).__name__} has no latent z", "a GAN or a VAE has one: genzoo list --tree"
        )


def check_encoder(
    model: object, instead: str = "choose seeds instead of images, or a VAE, which has both"
) -> None:
    """Raise ArgumentError for a model without an encoder; `instead` says what to use."""
    check_latent_model(model)
    if not isinstance(model, EncodingModel):
        raise ArgumentError(f"{type(model).__name__} decodes z but cannot encode images", instead)


@neutral()
def codes(model: EncodingModel, images: Any) -> Tensor:
    """Return the code (N, latent_size) of each image (N, C, H, W): the encoder's, or the mean of q(z|x).

    Raises:
        ArgumentError: a model that cannot encode, wrong images, or an `_encode` that returns something else.
    """
    check_encoder(model)
    found = model.encode(images)
    return found.mean if isinstance(found, Posterior) else found


@neutral()
def reconstruct(model: EncodingModel, images: Any) -> Tensor:
    """Return the reconstructions (N, C, H, W) in [0, 1] of images (N, C, H, W).

    Raises:
        ArgumentError: a model that cannot encode, or wrong images.
    """
    return model.decode(codes(model, images).detach())


@neutral()
def read_image(path: Path | str, image_shape: tuple[int, int, int]) -> Tensor:
    """Return the image in the file `path` as (1, C, H, W) in [0, 1]: the shorter side resized, the middle cut
    out, as data sets are.

    Raises:
        DataError: it is not an image that can be read.
    """
    try:
        pixels = decode(Path(path), image_shape)
    except Skip as skip:
        raise DataError(f"{path} cannot be used: {skip}", "use a PNG, a JPEG or another picture") from skip
    return to_float(torch.from_numpy(pixels.copy())[None])
