"""What the tools of the latent space share: who has one, and the code of an image."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.models.latent import EncodingModel, LatentModel


def check_latent_model(model: object) -> None:
    """Raise ArgumentError for a model without z."""
    if not isinstance(model, LatentModel):
        raise ArgumentError(f"{type(model).__name__} has no latent z", "a GAN or a VAE has one: genzoo list --tree")


def codes(model: EncodingModel, images: Any) -> Tensor:
    """Return the code (N, latent_size) of each image (N, C, H, W): the encoder's, or the mean of q(z|x).

    Raises:
        ArgumentError: a model that cannot encode, or an encoder whose answer names no mean.
    """
    check_latent_model(model)
    if not isinstance(model, EncodingModel):
        raise ArgumentError(
            f"{type(model).__name__} decodes z but encodes no images", "choose seeds instead of images, or a VAE, which has both"
        )
    found = model.encode(images)
    code = found if isinstance(found, Tensor) else getattr(found, "mean", None)
    if not isinstance(code, Tensor):
        raise ArgumentError(f"{type(model).__name__}.encode returns a {type(found).__name__} without a tensor `mean`")
    return model.check_latents(code, "the code")
