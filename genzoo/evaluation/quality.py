"""Sample quality of a model that has no likelihood: every measure beside the floor that real images reach.

Both sides always have the same number of images n, the fewest of samples, test and train images: distances shrink as n grows,
and only equal n compare. Each measure is taken twice: samples against held-out images, and training images against the same
held-out images: the second is the floor, about what a perfect model would be given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError, UnknownNameError, suggest
from genzoo.evaluation.distances import fid, kid, prdc
from genzoo.evaluation.gist import FEATURES, gist, standardise
from genzoo.evaluation.inputs import ImageSet, Progress, check_alike, count, subset, take
from genzoo.evaluation.msssim import WINDOW, available, betas, msssim
from genzoo.evaluation.records import FLOOR, Record
from genzoo.evaluation.swd import DIRECTIONS, patches_per_image, swd_many
from genzoo.models.model import GenerativeModel, check_count

METRICS = ("kid", "fid", "prdc", "swd", "ms-ssim")
REFERENCE = 1024  # training images whose mean and deviation standardise the features
NEIGHBOUR = 5  # the k of precision, recall, density and coverage


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """The images compared, all uint8 (n, C, H, W), and what every record says of them."""

    judged: dict[str, Tensor]  # subject -> images: the samples, and the floor
    test: Tensor
    reference: Tensor  # (M, C, H, W), the floor's images among them: the features are standardised by the first 1,024
    about: dict[str, Any]
    seed: int

    def record(self, metric: str, subject: str, value: float, protocol: str = "", **more: Any) -> Record:
        said = f"{protocol}; seed {self.seed}" if protocol else f"seed {self.seed}"
        fields = {"n": len(self.test), "n_reference": len(self.test), **self.about, **more}
        return Record(metric=metric, subject=subject, value=value, protocol=said, **fields)


def sample_quality(
    samples: ImageSet,
    train: ImageSet,
    test: ImageSet,
    *,
    data: str = "",
    split: str = "",
    transform: str = "",
    subject: str = "samples",
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Record]:
    """Return the records of `samples` and of the floor (subject "train"), metric by metric, each pair side by side.

    Args:
        samples: the model's images (N, C, H, W), uint8 or float in [0, 1].
        train: the images that the model learned from; they give the floor and the scale of the features.
        test: held-out images that the model has never seen.
        data: the name of the set; by default that of `test`, where it is an `Images`. `split` and `transform` likewise.
        split: the part of the set that `test` is.
        transform: "8-bit" or a binarisation.
        subject: the model's name, for the records.
        metrics: some of "kid", "fid", "prdc", "swd", "ms-ssim"; by default all that the images and the installed packages allow.
        seed: chooses the images where a side has more than n, patches, directions and pairs.
        progress: told (what, done, total).

    Raises:
        ArgumentError: images refused by `as_pixels`, of different shapes, or fewer than 6 on a side.
        UnknownNameError: a metric that nobody knows.
    """
    if subject == FLOOR:
        raise ArgumentError(f"subject {FLOOR!r} is the name of the floor", "name the model")
    sides = _sides(samples, train, test, subject, _about(test, data, split, transform), seed)
    wanted = _wanted(metrics, sides.test.shape)
    records: list[Record] = []
    if set(wanted) & {"kid", "fid", "prdc"}:
        records += _on_features(sides, wanted, progress)
    for name, measure in (("swd", _swd), ("ms-ssim", _msssim)):
        if name in wanted:
            _tell(progress, name, 0)
            records += measure(sides)
            _tell(progress, name, 1)
    return records


def evaluate_implicit(
    model: GenerativeModel,
    train: Images,
    test: Images,
    n: int = 1000,
    seed: int = 0,
    *,
    subject: str = "",
    metrics: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Draw the images of `model.sample(n, seed)` a few at a time and return their `sample_quality`.

    No more images are drawn than there are to compare with: n is cut to the size of the smaller set.

    Raises:
        ArgumentError: a model that cannot be sampled, n or seed refused by `sample`, or data of another shape than the model's.
    """
    if not isinstance(model, GenerativeModel):
        raise ArgumentError(f"{type(model).__name__} cannot be sampled: sample quality is asked of a generative model")
    for name, images in (("train", train), ("test", test)):
        if images.shape != model.image_shape:
            raise ArgumentError(f"the {name} images have the shape {images.shape}, but the model draws {model.image_shape}")
    total = min(check_count(n), len(train), len(test))
    drawn: list[Tensor] = []
    for batch in model.sample_batches(total, seed, dtype=torch.uint8):
        drawn.append(batch.cpu())
        if progress is not None:
            progress("samples", sum(map(len, drawn)), total)
    name = subject or type(model).__name__
    return sample_quality(torch.cat(drawn), train, test, subject=name, metrics=metrics, seed=seed, progress=progress)


def _about(test: ImageSet, data: str, split: str, transform: str) -> dict[str, Any]:
    known = test if isinstance(test, Images) else None
    return {
        "data": data or (known.name if known else "images"),
        "split": split or (known.split if known else "test"),
        "transform": transform or (known.transform if known else "8-bit"),
        "image_shape": "x".join(map(str, known.shape)) if known else "",
    }


def _sides(samples: ImageSet, train: ImageSet, test: ImageSet, subject: str, about: dict[str, Any], seed: int) -> _Sides:
    n = min(count(samples, "samples"), count(train, "train"), count(test, "test"))
    if n <= NEIGHBOUR:
        raise ArgumentError(f"sample quality needs more than {NEIGHBOUR} images on every side, not {n}", "give more images")
    chosen = take(samples, subset(len(samples), n, seed, "samples"), "samples")
    reference = take(train, subset(len(train), max(n, REFERENCE), seed, "train"), "train")
    held_out = take(test, subset(len(test), n, seed, "test"), "test")
    check_alike(chosen, held_out, "samples", "test images")
    check_alike(reference, held_out, "train images", "test images")
    return _Sides(judged={subject: chosen, FLOOR: reference[:n]}, test=held_out, reference=reference, about=about, seed=seed)


def _wanted(metrics: Sequence[str] | None, shape: Sequence[int]) -> tuple[str, ...]:
    if metrics is None:
        possible = min(shape[2:]) >= WINDOW and shape[0] >= 4 and available()
        return METRICS if possible else METRICS[:-1]
    for name in metrics:
        if name not in METRICS:
            raise UnknownNameError(f"unknown metric {name!r}{suggest(str(name), METRICS)}", f"the metrics are {', '.join(METRICS)}")
    return tuple(metrics)


def _on_features(sides: _Sides, wanted: Iterable[str], progress: Progress | None) -> Iterator[Record]:
    described = gist(sides.reference, progress)
    scale = described[:REFERENCE]
    features = {subject: gist(images, progress) for subject, images in sides.judged.items() if subject != FLOOR}
    features |= {FLOOR: described[: len(sides.test)]}
    features = {subject: standardise(rows, scale) for subject, rows in features.items()}
    test = standardise(gist(sides.test, progress), scale)
    protocol = f"standardised by {len(scale):,} training images"
    for name in ("kid", "fid", "prdc"):
        if name in wanted:
            for subject, rows in features.items():
                yield from _measure(sides, name, subject, rows, test, protocol)


def _measure(sides: _Sides, name: str, subject: str, rows: Tensor, test: Tensor, protocol: str) -> Iterator[Record]:
    if name == "kid":
        value, stderr = kid(rows, test)
        yield sides.record("kid", subject, value, f"all pairs, jackknife; {protocol}", stderr=stderr, features=FEATURES)
    elif name == "fid":
        few = len(test) <= test.shape[1]
        note = f"rank deficient: {len(test):,} images for {test.shape[1]:,} features; compare only at equal n" if few else ""
        yield sides.record("fid", subject, fid(rows, test), protocol, features=FEATURES, note=note)
    else:
        for metric, value in prdc(rows, test, NEIGHBOUR)._asdict().items():
            said = f"k = {NEIGHBOUR}; {protocol}"
            yield sides.record(metric, subject, value, said, features=FEATURES, better="higher")


def _swd(sides: _Sides) -> Iterator[Record]:
    protocol = f"7x7 patches, {patches_per_image(len(sides.test))} per image, {DIRECTIONS} directions"
    results = dict(zip(sides.judged, swd_many(list(sides.judged.values()), sides.test, sides.seed), strict=True))
    for subject, distances in results.items():
        yield sides.record("swd", subject, sum(distances.values()) / len(distances), f"mean of levels; {protocol}", unit="1e-3")
    for side in next(iter(results.values())):
        for subject, distances in results.items():
            yield sides.record(f"swd-{side}", subject, distances[side], protocol, unit="1e-3")


def _msssim(sides: _Sides) -> Iterator[Record]:
    weights = ", ".join(f"{beta:.4f}" for beta in betas(*sides.test.shape[2:]))
    protocol = f"{len(sides.test) // 2:,} disjoint pairs, window {WINDOW}, weights {weights}"
    for subject, images in sides.judged.items():
        value, stderr = msssim(images, sides.seed)
        yield sides.record("ms-ssim", subject, value, protocol, stderr=stderr, n_reference=None, better="neither")


def _tell(progress: Progress | None, what: str, done: int) -> None:
    if progress is not None:
        progress(what, done, 1)
