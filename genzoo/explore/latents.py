"""Helpers of the latent-space tools: check that a model has a latent space, encode images, and repeat
conditions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.data.decode import Skip, advice, decode
from genzoo.errors import ArgumentError, DataError
from genzoo.images import to_float
from genzoo.manner import Manner
from genzoo.models import EncodingModel, LatentModel, Model, Posterior
from genzoo.models.manner import check_manner, in_manner
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
def codes(model: EncodingModel, images: Any, condition: Any = None) -> Tensor:
    """Return the code (N, latent_size) of each image (N, C, H, W): the encoder's, or the mean of q(z|x).

    A conditional model takes the `condition` of each image, or one for all: q(z|x, c).

    Raises:
        ArgumentError: a model that cannot encode, wrong images, an `_encode` that returns something else, or
            a missing, invalid or superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    check_encoder(model)
    found = model.encode(images, condition)
    return found.mean if isinstance(found, Posterior) else found


@neutral()
def reconstruct(model: EncodingModel, images: Any, condition: Any = None) -> Tensor:
    """Return the reconstructions (N, C, H, W) in [0, 1] of images (N, C, H, W).

    A conditional model takes the `condition` of each image, or one for all; it encodes and decodes with the
    same.

    Raises:
        ArgumentError, UnknownNameError: as `codes`.
    """
    return model.decode(codes(model, images, condition).detach(), condition)


@neutral()
def prior_latents(
    model: LatentModel, n: int, seed: int | None = None, truncation: float | None = None
) -> Tensor:
    """Return the z (n, latent_size) from the prior that `model.sample(n, seed, truncation=truncation)` draws;
    of an autoencoder, which has no prior, those of a standard normal distribution.

    Raises:
        ArgumentError: a model without z; an invalid n, seed or truncation.
    """
    check_latent_model(model)
    asked: LatentModel = in_manner(model, check_manner(model, Manner(truncation=truncation)))
    return asked.sample_latents(n, seed)


def each(model: Model, condition: Any, n: int) -> Tensor | None:
    """Return `condition`, one for all of `n` images or one for each, as a condition with `n` rows; None for a
    model without one.

    Raises:
        ArgumentError, UnknownNameError: a missing, invalid or superfluous condition.
    """
    given = model.check_condition(condition, n)
    return given[0] if given and model.condition is not None else None


def repeated(condition: Tensor | None, times: int) -> Tensor | None:
    """Return what `each` returned with every row `times` times in turn."""
    return None if condition is None else condition.repeat_interleave(times, 0)


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
        raise DataError(f"{path} cannot be used: {skip}", advice(str(skip))) from skip
    return to_float(torch.from_numpy(pixels.copy())[None])
