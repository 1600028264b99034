"""What is left of images in their codes: the mean squared error of encode, then decode. It is no likelihood of anything."""

from __future__ import annotations

import math
from typing import Any

import torch

from genzoo.data.collection import Images
from genzoo.evaluation.inputs import Progress, subset
from genzoo.evaluation.records import Record
from genzoo.explore.latents import reconstruct
from genzoo.losses.reconstruction import squared_error
from genzoo.models.latent import EncodingModel
from genzoo.models.model import check_count
from genzoo.process import undisturbed

CHUNK = 64  # images asked at a time


@undisturbed()
def reconstruction(
    model: EncodingModel, images: Images, n: int | None = None, seed: int = 0, *, subject: str = "", progress: Progress | None = None
) -> Record:
    """Return the mean squared error of `images` and their reconstructions, per value in [0, 1], with its standard error over images.

    Args:
        model: encodes and decodes.
        images: of the model's shape.
        n: how many of them, a fixed choice by `seed`; None = all.
        seed: chooses the images where n is less than there are.
        subject: the model's name, for the record.
        progress: told ("reconstructions", done, total).

    Raises:
        ArgumentError: a model that cannot encode, images of another shape, n below 1.
    """
    chosen = len(images) if n is None else min(check_count(n), len(images))
    rows = torch.arange(len(images)) if chosen == len(images) else subset(len(images), chosen, seed, "reconstruction")
    errors = torch.empty(chosen, dtype=torch.float64)
    for first in range(0, chosen, CHUNK):
        part = images.float(rows[first : first + CHUNK])
        rebuilt = reconstruct(model, part).to(part.device)
        errors[first : first + len(part)] = squared_error(part, rebuilt).double() / part[0].numel()
        if progress is not None:
            progress("reconstructions", first + len(part), chosen)
    return error_record(errors, images, subject or type(model).__name__)


def error_record(errors: torch.Tensor, images: Images, subject: str) -> Record:
    """Return the record of squared errors (n,), each the mean over an image's values in [0, 1]."""
    stderr = float(errors.std()) / math.sqrt(len(errors)) if len(errors) > 1 else None
    about: dict[str, Any] = {"data": images.name, "split": images.split, "transform": images.transform, "subject": subject}
    about["image_shape"] = "x".join(map(str, images.shape))
    return Record(metric="mse", value=float(errors.mean()), kind="reconstruction", stderr=stderr, n=len(errors), **about)
