"""What is left of images in their codes: the mean squared error of encode, then decode. It is no likelihood
of anything.
"""

from __future__ import annotations

from typing import Any

import torch

from genzoo.data.collection import Images
from genzoo.evaluation.inputs import Progress, blocks_of, choose, decoder_of, joined
from genzoo.evaluation.records import Record
from genzoo.evaluation.standard_errors import count_blocks, mean_error
from genzoo.explore.latents import reconstruct
from genzoo.losses.reconstruction import squared_error
from genzoo.models.latent import EncodingModel
from genzoo.process import undisturbed

CHUNK = 64  # images asked at a time


@undisturbed()
def reconstruction(
    model: EncodingModel,
    images: Images,
    n: int | None = None,
    seed: int = 0,
    *,
    subject: str = "",
    progress: Progress | None = None,
) -> Record:
    """Return the mean squared error of `images` and their reconstructions, per value in [0, 1], with its
    standard error over images.

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
    rows, chosen = choose(len(images), n, seed, "reconstruction")
    errors = torch.empty(len(rows), dtype=torch.float64)
    for first in range(0, len(rows), CHUNK):
        part = images.float(rows[first : first + CHUNK])
        rebuilt = reconstruct(model, part).to(part.device)
        errors[first : first + len(part)] = squared_error(part, rebuilt).double() / part[0].numel()
        if progress is not None:
            progress("reconstructions", first + len(part), len(rows))
    return error_record(errors, images, subject or type(model).__name__, rows, chosen)


def error_record(
    errors: torch.Tensor, images: Images, subject: str, rows: torch.Tensor | None = None, protocol: str = ""
) -> Record:
    """Return the record of squared errors (n,) of the images at `rows`, each the mean over an image's values
    in [0, 1].
    """
    blocks = blocks_of(images, rows)
    about: dict[str, Any] = {
        "data": images.name,
        "split": images.split,
        "transform": images.transform,
        "subject": subject,
    }
    about["image_shape"] = "x".join(map(str, images.shape))
    about |= {
        "stderr": mean_error(errors, blocks),
        "blocks": count_blocks(blocks),
        "protocol": joined(protocol, decoder_of(images)),
    }
    return Record(metric="mse", value=float(errors.mean()), kind="reconstruction", n=len(errors), **about)
