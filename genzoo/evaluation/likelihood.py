"""Likelihood as records: mean -log p(x) in nats and in bits/dim, with its standard error and everything
needed to compare it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.evaluation.bayes import measure_labels
from genzoo.evaluation.certificate import certificate_of
from genzoo.evaluation.given import Given, given_to, given_words
from genzoo.evaluation.inputs import blocks_of, choose, counted, decoder_of, joined
from genzoo.evaluation.measures import measures
from genzoo.evaluation.standard_errors import Blocks, count_blocks, mean_error
from genzoo.images import to_float
from genzoo.law import hold
from genzoo.losses.likelihood import dimensions
from genzoo.models.density import DensityModel
from genzoo.models.importance import ImportanceModel
from genzoo.process import undisturbed
from genzoo.record import Record
from genzoo.request import DRAWS, Progress, Request
from genzoo.sharing import each
from genzoo.whole import check_draws

CHUNK, FEW = 64, 16  # images asked at a time; few where each takes thousands of draws
GREY, BINARY = "8-bit", 2  # the transform, and the number of levels, that do not go together
OF_REALS = "density of real-valued pixels"  # in the protocol of every record of one
SURE = 0.01  # nats by which rounding may lift a probability above 1


@undisturbed()
def likelihood(
    model: DensityModel,
    images: Images,
    n: int | None = None,
    seed: int = 0,
    *,
    subject: str = "",
    kind: str = "",
    protocol: str = "",
    log_prob: Callable[..., Tensor] | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Return two records of the mean negative log-likelihood of `images`: metric "nll" in nats and in
    bits/dim.

    For a density of real numbers (`model.levels` 0) there is only the record in nats, whose protocol says so:
    bits/dim need probabilities. Of a conditional model it is -log p(x|c), each image given its own label.

    Args:
        model: the density; its `exact` says whether the records are exact or a bound.
        images: images in the model's shape, with levels that it has.
        n: how many of them, a fixed choice by `seed`; None = all.
        seed: chooses the images if n is less than their number.
        subject: the model's name, for the records.
        kind: "exact", "elbo" or "iwae"; by default that of the model's `log_prob`.
        protocol: what else determines the number, such as the K of IWAE.
        log_prob: an estimate to use instead of `model.log_prob`, from (N, C, H, W) in [0, 1] to (N,) in nats;
            for a conditional model, from images and conditions. State its `kind`.
        progress: called with ("likelihood", done, total).

    Raises:
        ArgumentError: images of another shape, greyscale images for a model of black and white, n below 1, an
            infinite likelihood.
        DataError: for a conditional model, images without labels, or with some that it does not know.
        LawError: an image of probability above 1.
    """
    check_suited(model, images)
    if log_prob is not None and not kind:
        raise ArgumentError("kind must say what log_prob estimates", 'kind="elbo" or kind="iwae"')
    rows, chosen = choose(len(images), n, seed, "likelihood")
    values = nats(log_prob or model.log_prob, images, rows, progress, given=given_to(model, images, rows))
    _check_masses(model, values)
    told = joined(protocol or model.record_protocol, _of_reals(model), chosen, decoder_of(images))
    about = {
        **_facts(model, images, subject),
        "kind": kind or ("exact" if model.exact else "elbo"),
        "protocol": told,
    }
    return _in_units(model, values, about, blocks_of(images, rows))


@undisturbed()
def importance(
    model: ImportanceModel,
    images: Images,
    ks: Sequence[int],
    n: int | None = None,
    seed: int = 0,
    *,
    subject: str = "",
    progress: Progress | None = None,
) -> list[Record]:
    """Return two records, as `likelihood` does, of the importance-weighted bound with k draws per image for
    each k of `ks`.

    One pass with the most draws gives all of them, since fewer draws are the first ones of more; the draws
    are those of `seed`, which the record's protocol states if it is not 0.

    Raises:
        ArgumentError: as `likelihood`, or a k is not a whole number ≥ 1.
        DataError: as `likelihood`.
    """
    check_suited(model, images)
    counts = sorted(set(check_draws(ks)))

    def bounds(x: Tensor, *condition: Tensor) -> Tensor:
        return torch.stack([found.bound for found in model.iwae_bounds(x, counts, seed, *condition)])

    rows, chosen = choose(len(images), n, seed, "likelihood")
    given = given_to(model, images, rows)
    values = nats(bounds, images, rows, progress, f"IWAE-{counts[-1]}", FEW, given=given)
    about = {**_facts(model, images, subject), "kind": "iwae"}
    drawn = f"draws of seed {seed}" if seed else ""
    records: list[Record] = []
    for k, row in zip(counts, values, strict=True):
        told = joined(f"K = {k}", drawn, _of_reals(model), chosen, decoder_of(images))
        records += _in_units(model, row, {**about, "protocol": told}, blocks_of(images, rows))
    return records


@measures.register
def measure_density(
    model: DensityModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield the likelihood of `test` by a model that has a certificate.

    Raises:
        LawError: the density breaks a law of its certificate.
        ArgumentError: the model gives no probability to some images.
    """
    check_suited(model, test)
    given_to(model, test)  # refuses images without labels before the certificate takes its time
    certificate = certificate_of(model, progress)  # a number that is no likelihood is not printed
    laws = f"certificate given {certificate.given}" if certificate.given else ""
    more: dict[str, Any] = {"subject": subject, "progress": progress}
    told = joined(model.record_protocol, laws)
    yield from likelihood(model, test, request.n, request.seed, protocol=told, **more)
    yield from measure_labels(model, train, test, request, **more)


@measures.register
def measure_bounds(
    model: ImportanceModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield the likelihood, as for every density, and the tighter bounds with the requested draws."""
    yield from measure_density(model, train, test, request, subject=subject, progress=progress)
    draws = DRAWS if request.draws is None else request.draws
    if draws:
        more: dict[str, Any] = {"subject": subject, "progress": progress}
        yield from importance(model, test, draws, request.n, request.seed, **more)


@undisturbed()
def nats(
    log_prob: Callable[..., Tensor],
    images: Images,
    rows: Tensor,
    progress: Progress | None = None,
    what: str = "likelihood",
    chunk: int = CHUNK,
    *,
    given: Given = (),
) -> Tensor:
    """Return -log p(x) of the images at `rows`, (n,) float64, computed a few at a time; (m, n) if `log_prob`
    returns m values for each. `given` is what it takes besides the images, with a row for each of `rows`.
    """

    def of(piece: tuple[Tensor, ...]) -> Tensor:
        part, *own = piece
        return -log_prob(to_float(images[part.numpy()]), *own).detach().cpu().double()

    pieces = zip(rows.split(chunk), *(column.split(chunk) for column in given), strict=True)
    values = torch.cat(each(pieces, of, counted(progress, what, chunk, len(rows))), -1)
    if not torch.isfinite(values).all():
        wrong = int((~torch.isfinite(values)).reshape(-1, len(rows)).any(0).sum())
        raise ArgumentError(
            f"{wrong:,} of {len(rows):,} images of {images.name} have no finite likelihood",
            "the model was trained on other images",
        )
    return values


def _facts(model: DensityModel, images: Images, subject: str) -> dict[str, Any]:
    """Return what a record of the likelihood of `images` says whatever its kind."""
    return {
        "metric": "nll",
        "data": images.name,
        "split": images.split,
        "transform": images.transform,
        "condition": given_words(model, images),
        "subject": subject or type(model).__name__,
        "note": model.record_note,
    }


def _check_masses(model: DensityModel, values: Tensor) -> None:
    """Hold that no image has a probability above 1, where `values` (n,) are the -log p of masses."""
    least = float(values.min())
    seen = f"p(x) = e^{-least:.4g} for an image, from a model with levels = {model.levels}"
    law = "no image is more probable than 1"
    look = f"{type(model).__name__}: a density of real numbers has levels = 0"
    hold(not model.levels or least > -SURE, law, seen, look)


def _of_reals(model: DensityModel) -> str:
    """Return what p(x) is of, where that is no probability."""
    return "" if model.levels else OF_REALS


def _in_units(
    model: DensityModel, values: Tensor, about: dict[str, Any], blocks: Blocks = None
) -> list[Record]:
    """Return the records of `values` (n,), nats of whole images, in the units that p(x) has."""
    both = in_both_units(values, model.image_shape, about, blocks)
    return both if model.levels else both[:1]


def in_both_units(
    values: Tensor, image_shape: tuple[int, int, int], about: dict[str, Any], blocks: Blocks = None
) -> list[Record]:
    """Return the mean of `values` (n,), nats of whole images, with its standard error as two records: nats
    and bits/dim.
    """
    spread = mean_error(values, blocks)
    about = {**about, "blocks": count_blocks(blocks)}
    shape = "x".join(map(str, image_shape))
    whole = Record(
        value=float(values.mean()), unit="nats", stderr=spread, n=len(values), image_shape=shape, **about
    )
    scale = 1 / (dimensions(image_shape) * math.log(2))
    single = {
        "value": whole.value * scale,
        "unit": "bits/dim",
        "stderr": None if spread is None else spread * scale,
    }
    return [whole, dataclasses.replace(whole, **single)]  # type: ignore[arg-type]


def check_suited(model: DensityModel, images: Images) -> None:
    """Raise ArgumentError if `model` does not give a probability to such `images`."""
    if images.shape != model.image_shape:
        raise ArgumentError(
            f"{images.name} has images of the shape {images.shape}, but the model expects {model.image_shape}"
        )
    if not model.levels and images.transform != GREY:
        raise ArgumentError(
            f"{type(model).__name__} has a density of real-valued pixels, but {images.name} is black "
            "and white: a density can grow "
            "without bound on a few values, so its likelihood there is meaningless",
            "choose 8-bit images, or a model with probabilities of black and white (levels = 2)",
        )
    if model.levels == BINARY and images.transform == GREY:
        raise ArgumentError(
            f"{type(model).__name__} models black and white only, but {images.name} is 8-bit: rounding and "
            "drawing its pixels would "
            "give different likelihoods",
            "choose a binarisation: --binarise threshold or draw; of MNIST, --data binarized-mnist "
            "(static) or dynamic-binarized-mnist",
        )
