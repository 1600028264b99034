"""How much of an image its code keeps: the mean squared error of encoding, then decoding. It is not a
likelihood.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch

from genzoo.data.collection import Images
from genzoo.devices import doubled
from genzoo.evaluation.given import given_to, given_words
from genzoo.evaluation.inputs import blocks_of, choose, counted, decoder_of, joined
from genzoo.evaluation.measures import measures
from genzoo.evaluation.standard_errors import count_blocks, mean_error
from genzoo.explore.latents import reconstruct
from genzoo.losses.reconstruction import squared_error
from genzoo.models import EncodingModel, Model
from genzoo.process import undisturbed
from genzoo.record import Record
from genzoo.request import Progress, Request
from genzoo.sharing import each

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
    standard error over images. A conditional model is given the label of each image.

    Args:
        model: a model that encodes and decodes.
        images: of the model's shape.
        n: how many of them, a fixed choice by `seed`; None = all.
        seed: chooses the images if n is less than their number.
        subject: the model's name, for the record.
        progress: called with ("reconstructions", done, total).

    Raises:
        ArgumentError: a model that cannot encode, images of another shape, n below 1.
        DataError: for a conditional model, images without labels, or with some that it does not know.
    """
    rows, chosen = choose(len(images), n, seed, "reconstruction")
    given = given_to(model, images, rows)

    def error(first: int) -> torch.Tensor:
        part = images.float(rows[first : first + CHUNK])
        own = (column[first : first + CHUNK] for column in given)
        rebuilt = reconstruct(model, part, *own).to(part.device)
        return doubled(squared_error(part, rebuilt)).cpu() / part[0].numel()

    done = counted(progress, "reconstructions", CHUNK, len(rows))
    errors = torch.cat(each(range(0, len(rows), CHUNK), error, done))
    record = error_record(errors, images, subject or type(model).__name__, rows, chosen)
    return dataclasses.replace(record, condition=given_words(model, images))


@measures.register
def measure_reconstructions(
    model: EncodingModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield the error of reconstructions of a model that has codes and nothing else."""
    other = other_measure(type(model))
    if other is not None:
        yield from other(model, train, test, request, subject=subject, progress=progress)
        return
    yield reconstruction(model, test, request.n, request.seed, subject=subject, progress=progress)


def other_measure(kind: type[Model]) -> Callable[..., Iterator[Record]] | None:
    """Return what the bases of a class are measured by beside their codes, None where there is nothing: a
    likelihood or samples say more, whichever of its bases a class names first.
    """
    unknown = measures.dispatch(object)
    for base in kind.__mro__:
        measure = measures.dispatch(base)
        if measure is not unknown and not issubclass(base, EncodingModel):
            return measure
    return None


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
