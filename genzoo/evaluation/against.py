"""Samples against something else than held-out images: the training images, as papers compute the FID, or
statistics or features in a file of the user's own.

The numbers of samples and of the reference may differ here, and there is no floor at equal n: a Fréchet
distance is comparable only with one from equally many samples of the same reference. Held-out images, where
there are any, are compared with the same reference and stated with their own number.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.data.memory import check_memory
from genzoo.errors import ArgumentError, DataError, safe_text
from genzoo.evaluation.distances import fid, fid_to, kid, prdc
from genzoo.evaluation.drawing import drawn
from genzoo.evaluation.gist import standardise
from genzoo.evaluation.given import given_to, given_words
from genzoo.evaluation.inputs import blocks_of, decoder_of, joined, subset, take
from genzoo.evaluation.kept import described_once, narrow
from genzoo.evaluation.metrics import NOT_USUAL
from genzoo.evaluation.sides import NEIGHBOUR, REFERENCE
from genzoo.evaluation.spaces import DIGITS, FeatureSpace, feature_space
from genzoo.evaluation.usual import inception_space
from genzoo.files import sha256_of
from genzoo.metrics import METRICS
from genzoo.models.model import GenerativeModel, Model
from genzoo.record import FLOOR, Record
from genzoo.request import TRAIN, Progress, Request
from genzoo.safe_open import open_to_read, storage

USUAL = 50_000  # samples of the usual FID
ABLE = ("kid", "fid", "prdc")
REAL = "real images are the held-out ones"


@dataclass(frozen=True)
class Reference:
    """What samples are compared with.

    Attributes:
        words: what it is, for records.
        features: (M, F), or None if only their statistics are known.
        mean, covariance: (F,) and (F, F) float64, of a file of statistics.
    """

    words: str
    features: Tensor | None = None
    mean: Tensor | None = None
    covariance: Tensor | None = None

    @property
    def width(self) -> int:
        """The number of features."""
        rows = self.features if self.features is not None else self.mean
        return 0 if rows is None else int(rows.shape[-1])


def measure_against(
    model: Model,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Generate `request.n` samples, by default as many as there are training images and at most 50,000, and
    yield their distances to the requested reference, then those of the held-out images.

    Raises:
        ArgumentError: a metric that needs held-out images, a file for features that are standardised, or of
            another width; a model without samples.
        StorageError, DataError: the file cannot be read, or holds neither statistics nor features.
    """
    if not isinstance(model, GenerativeModel):
        raise ArgumentError(f"{type(model).__name__} cannot be sampled")
    names = _names(request)
    if request.weights is None:
        space = feature_space(request.features, test)
    else:
        space = inception_space(request.weights, model.device)
    scale = _scale(space, train, request, progress)
    reference = reference_of(request, space, train, progress)
    if scale is not None and reference.features is not None:
        reference = Reference(reference.words, standardise(reference.features, scale))
    if request.metrics is not None and reference.features is None and set(names) != {"fid"}:
        raise ArgumentError(
            "a file of statistics gives the Fréchet distance alone", "--metrics fid, or a file of features"
        )
    pixels, manner = _samples(model, train, request, progress)
    seen = torch.arange(len(test))
    own = {"subject": subject, "condition": given_words(model, train), "drawn": manner}
    real = {"subject": FLOOR, "note": REAL}
    for rows, words, blocks in (
        (narrow(space.describe(pixels, progress)), own, None),
        (described_once(space, take(test, seen, "test"), progress), real, blocks_of(test, seen)),
    ):
        about = {**_about(train, test, request, reference, space), "n": len(rows), **words}
        scaled = rows if scale is None else standardise(rows, scale)
        for metric in names:
            yield from _distances(metric, scaled, reference, space, about, blocks)


def _names(request: Request) -> tuple[str, ...]:
    """Return the metrics to measure, which need no held-out images."""
    names = ABLE if request.metrics is None else request.metrics
    if unable := [name for name in names if name not in ABLE]:
        raise ArgumentError(
            f"{unable[0]} is measured against held-out images, not against {_shown(request)}",
            f"with --reference the metrics are {', '.join(ABLE)}",
        )
    return names


def _samples(
    model: GenerativeModel, train: Images, request: Request, progress: Progress | None
) -> tuple[Tensor, str]:
    """Return the samples, uint8 (n, C, H, W), with labels of training images for a conditional model, and how
    they were drawn.
    """
    total = min(USUAL, len(train)) if request.n is None else request.n
    order = subset(len(train), min(total, len(train)), request.seed, "train")
    given = given_to(model, train, order[torch.arange(total) % len(order)])
    return drawn(model, total, request, next(iter(given), None), progress)


def reference_of(
    request: Request, space: FeatureSpace, train: Images, progress: Progress | None = None
) -> Reference:
    """Return what the request names: "train", or a file.

    A file is an .npz with `mu` (F,) and `sigma` (F, F), as pytorch-fid and TensorFlow's scripts write them,
    or with `features` (M, F).

    Raises:
        ArgumentError, StorageError, DataError: see `measure_against`.
    """
    if request.reference == TRAIN:
        rows = described_once(space, take(train, torch.arange(len(train)), "train"), progress)
        return Reference(f"against all {len(train):,} training images", rows)
    path = Path(os.fspath(request.reference or ""))
    arrays = _arrays(path)
    words = f"against {safe_text(path.name, 80)}, sha256 {sha256_of(path)[:DIGITS]}"
    if space.standardised:
        raise ArgumentError(
            f"{path} has statistics of other features than {space.name}, which training images standardise",
            "for example --features inception --weights FILE",
        )
    if "features" in arrays:
        return Reference(words, _matrix(path, arrays["features"], None))
    if not {"mu", "sigma"} <= set(arrays):
        raise DataError(
            f"{path} has neither mu and sigma nor features, but {', '.join(sorted(arrays)) or 'no arrays'}",
            "np.savez(path, mu=features.mean(0), sigma=np.cov(features, rowvar=False))",
        )
    mean = _matrix(path, np.atleast_2d(arrays["mu"]), None)[0]
    return Reference(words, None, mean, _matrix(path, arrays["sigma"], len(mean)))


def _distances(
    metric: str,
    rows: Tensor,
    reference: Reference,
    space: FeatureSpace,
    about: dict[str, Any],
    blocks: Tensor | None,
) -> Iterator[Record]:
    """Yield the records of one metric; nothing where only statistics are known and it needs features."""
    if reference.width != rows.shape[1]:
        raise ArgumentError(
            f"the reference has {reference.width:,} features, but {space.name} has {rows.shape[1]:,}",
            "use the statistics of the same network",
        )
    common = {**about, "better": METRICS[metric].better, "features": space.name}
    if metric == "fid":
        said = (about.get("note", ""), "" if space.usual else NOT_USUAL)
        common["note"] = "; ".join(filter(None, said))
        known = reference.mean is not None and reference.covariance is not None
        value = fid_to(rows, reference.mean, reference.covariance) if known else fid(rows, reference.features)  # type: ignore[arg-type]
        yield Record(metric=metric, value=value, **common)
    elif reference.features is not None and metric == "kid":
        value, stderr = kid(rows, reference.features, blocks)
        yield Record(metric=metric, value=value, stderr=stderr, **common)
    elif reference.features is not None:
        for name, value in prdc(rows, reference.features, NEIGHBOUR)._asdict().items():
            yield Record(metric=name, value=value, **common)


def _about(
    train: Images, test: Images, request: Request, reference: Reference, space: FeatureSpace
) -> dict[str, Any]:
    scaled = f"standardised by {min(len(train), REFERENCE):,} training images" if space.standardised else ""
    return {
        "data": train.name,
        "split": "train",
        "transform": train.transform,
        "image_shape": "x".join(map(str, train.shape)),
        "n_reference": None if reference.features is None else len(reference.features),
        "protocol": joined(reference.words, scaled, decoder_of(test), f"seed {request.seed}"),
    }


def _scale(space: FeatureSpace, train: Images, request: Request, progress: Progress | None) -> Tensor | None:
    if not space.standardised:
        return None
    few = subset(len(train), REFERENCE, request.seed, "train")
    return described_once(space, take(train, few, "train"), progress)


def _arrays(path: Path) -> dict[str, Any]:
    try:
        with storage("read", path), open_to_read(path) as file:
            with zipfile.ZipFile(file) as archive:
                check_memory(sum(info.file_size for info in archive.infolist()), str(path))
            file.seek(0)
            with np.load(file, allow_pickle=False) as found:
                return {name: found[name] for name in found.files if name in ("mu", "sigma", "features")}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{path} is no .npz file of numbers: {safe_text(error, 200)}") from error


def _matrix(path: Path, array: Any, side: int | None) -> Tensor:
    found = np.asarray(array)
    square = side is None or found.shape == (side, side)
    if found.dtype.kind != "f" or found.ndim != 2 or not square or not np.isfinite(found).all():
        raise DataError(
            f"{path} must have finite numbers mu (F,) and sigma (F, F), or features (M, F), not "
            f"{found.dtype} {found.shape}"
        )
    return narrow(torch.from_numpy(np.ascontiguousarray(found, dtype=np.float64)))


def _shown(request: Request) -> str:
    return "the training images" if request.reference == TRAIN else "a file"
