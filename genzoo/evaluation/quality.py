"""Sample quality of a model that has no likelihood: every measure beside the floor that real images reach.

Both sides always have the same number of images n, the fewest of samples, test and train images: distances
shrink as n grows, and only equal n compare. Each measure is taken twice: samples against held-out images, and
training images against the same held-out images: the second is the floor, about what a perfect model would be
given. Of the two-sample test and of copying the ideal is 0.5 on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError, UnknownNameError, suggest
from genzoo.evaluation import plugged
from genzoo.evaluation.copying import nearest_distances, share_nearer
from genzoo.evaluation.distances import fid, kid, prdc
from genzoo.evaluation.gist import standardise
from genzoo.evaluation.inputs import (
    ImageSet,
    Progress,
    blocks_of,
    check_alike,
    count,
    decoder_of,
    subset,
    take,
)
from genzoo.evaluation.msssim import WINDOW, msssim
from genzoo.evaluation.msssim import protocol as msssim_protocol
from genzoo.evaluation.parzen import SAMPLES, VALIDATION, VALIDATION_FROM, parzen
from genzoo.evaluation.records import FLOOR, Record
from genzoo.evaluation.spaces import GIST, FeatureSpace, feature_space
from genzoo.evaluation.standard_errors import Blocks, count_blocks
from genzoo.evaluation.swd import DIRECTIONS, patches_per_image, swd_many
from genzoo.evaluation.two_sample import two_sample
from genzoo.images import to_float
from genzoo.models.model import GenerativeModel, check_count
from genzoo.process import undisturbed

ON_FEATURES = ("kid", "fid", "prdc", "two-sample")
PARZEN = "parzen-2014"
METRICS = (*ON_FEATURES, "copying", "swd", "ms-ssim", PARZEN)
REFERENCE = 1024  # training images whose mean and deviation standardise the features
NEIGHBOUR = 5  # the k of precision, recall, density and coverage
QUERIES = 1000  # images at most whose nearest training image is looked for
CAVEAT = "the 2014 number: it misorders models (Theis et al. 2016) and is no likelihood"


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """The images compared, all uint8 (n, C, H, W), and what every record says of them."""

    judged: dict[str, Tensor]  # subject -> images: the samples, and the floor
    test: Tensor
    train: ImageSet
    # (M, C, H, W) of the training images, the floor's first: the features are standardised by the first 1,024
    reference: Tensor
    about: dict[str, Any]
    seed: int
    decoder: str
    blocks: dict[str, Blocks]  # subject -> which images belong together; "" are the test images

    def record(self, metric: str, subject: str, value: float, protocol: str = "", **more: Any) -> Record:
        said = "; ".join(filter(None, (protocol, self.decoder, f"seed {self.seed}")))
        fields = {
            "n": len(self.test),
            "n_reference": len(self.test),
            "blocks": count_blocks(self.blocks[""]),
            **self.about,
            **more,
        }
        return Record(metric=metric, subject=subject, value=value, protocol=said, **fields)


@undisturbed()
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
    space: FeatureSpace = GIST,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Record]:
    """Return the records of `samples` and of the floor (subject "train"), metric by metric, each pair side by
    side.

    Args:
        samples: the model's images (N, C, H, W), uint8 or float in [0, 1].
        train: the images that the model learned from; they give the floor and the scale of the features.
        test: held-out images that the model has never seen.
        data: the name of the set; by default that of `test`, where it is an `Images`. `split` and `transform`
            likewise.
        split: the part of the set that `test` is.
        transform: "8-bit" or a binarisation.
        subject: the model's name, for the records.
        metrics: some of METRICS or of plugins'; by default all of ours that the images and the installed
            packages allow, "parzen-2014" on MNIST alone.
        space: what images are described by before sets are compared; see `genzoo.evaluation.spaces`.
        seed: chooses the images where a side has more than n, patches, directions and pairs.
        progress: told (what, done, total).

    Raises:
        ArgumentError: images refused by `as_pixels`, of different shapes, or fewer than 6 on a side;
            "parzen-2014" asked of fewer than its protocol takes.
        UnknownNameError: a metric that nobody knows.
    """
    if subject == FLOOR:
        raise ArgumentError(f"subject {FLOOR!r} is the name of the floor", "name the model")
    sides = _sides(samples, train, test, subject, _about(test, data, split, transform), seed)
    wanted = _wanted(metrics, sides)
    records: list[Record] = []
    if set(wanted) & set(ON_FEATURES):
        records += _on_features(sides, wanted, space, progress)
    for name, measure in _ON_PIXELS.items():
        if name in wanted:
            _tell(progress, name, 0)
            records += measure(sides, progress)
            _tell(progress, name, 1)
    for name in (name for name in wanted if name not in METRICS):
        _tell(progress, name, 0)
        records += [
            sides.record(name, subject, **plugged.measure(name, images, sides.test))
            for subject, images in sides.judged.items()
        ]
        _tell(progress, name, 1)
    return records


@undisturbed()
def evaluate_implicit(
    model: GenerativeModel,
    train: Images,
    test: Images,
    n: int = 1000,
    seed: int = 0,
    *,
    subject: str = "",
    metrics: Sequence[str] | None = None,
    features: str | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Draw the images of `model.sample(n, seed)` a few at a time and return their `sample_quality`.

    No more images are drawn than there are to compare with: n is cut to the size of the smaller set.
    `features` names the space in which they are compared, None the data set's own; see
    `genzoo.evaluation.spaces.feature_space`.

    Raises:
        ArgumentError: a model that cannot be sampled, n or seed refused by `sample`, or data of another shape
            than the model's.
        UnknownNameError, HubError: `features` that nobody has, or whose weights cannot be had.
    """
    if not isinstance(model, GenerativeModel):
        raise ArgumentError(
            f"{type(model).__name__} cannot be sampled: sample quality is asked of a generative model"
        )
    for name, images in (("train", train), ("test", test)):
        if images.shape != model.image_shape:
            raise ArgumentError(
                f"the {name} images have the shape {images.shape}, but the model draws {model.image_shape}"
            )
    total, space = min(check_count(n), len(train), len(test)), feature_space(features, test)
    drawn: list[Tensor] = []
    for batch in model.sample_batches(total, seed, dtype=torch.uint8):
        drawn.append(batch.cpu())
        if progress is not None:
            progress("samples", sum(map(len, drawn)), total)
    name = subject or type(model).__name__
    return sample_quality(
        torch.cat(drawn),
        train,
        test,
        subject=name,
        metrics=metrics,
        space=space,
        seed=seed,
        progress=progress,
    )


def _about(test: ImageSet, data: str, split: str, transform: str) -> dict[str, Any]:
    known = test if isinstance(test, Images) else None
    return {
        "data": data or (known.name if known else "images"),
        "split": split or (known.split if known else "test"),
        "transform": transform or (known.transform if known else "8-bit"),
        "image_shape": "x".join(map(str, known.shape)) if known else "",
    }


def _sides(
    samples: ImageSet, train: ImageSet, test: ImageSet, subject: str, about: dict[str, Any], seed: int
) -> _Sides:
    n = min(count(samples, "samples"), count(train, "train"), count(test, "test"))
    if n <= NEIGHBOUR:
        raise ArgumentError(
            f"sample quality needs more than {NEIGHBOUR} images on every side, not {n}", "give more images"
        )
    own, learned, unseen = (
        subset(len(images), most, seed, role)
        for images, most, role in (
            (samples, n, "samples"),
            (train, max(n, REFERENCE), "train"),
            (test, n, "test"),
        )
    )
    chosen = take(samples, own, "samples")
    reference = take(train, learned, "train")
    held_out = take(test, unseen, "test")
    check_alike(chosen, held_out, "samples", "test images")
    check_alike(reference, held_out, "train images", "test images")
    judged = {subject: chosen, FLOOR: reference[:n]}
    blocks = {
        subject: blocks_of(samples, own),
        FLOOR: blocks_of(train, learned[:n]),
        "": blocks_of(test, unseen),
    }
    given: dict[str, Any] = {"about": about, "seed": seed, "decoder": decoder_of(test), "blocks": blocks}
    return _Sides(judged=judged, test=held_out, train=train, reference=reference, **given)


def _wanted(metrics: Sequence[str] | None, sides: _Sides) -> tuple[str, ...]:
    if metrics is None:
        shape = sides.test.shape
        unfit = set() if min(shape[2:]) >= WINDOW and shape[0] >= 4 else {"ms-ssim"}
        unfit |= set() if sides.about["data"] == "mnist" and len(sides.test) == SAMPLES else {PARZEN}
        return tuple(name for name in METRICS if name not in unfit)
    known = (*METRICS, *plugged.plugged_metrics())
    for name in metrics:
        if name not in known:
            raise UnknownNameError(
                f"unknown metric {name!r}{suggest(str(name), known)}", f"the metrics are {', '.join(known)}"
            )
    return tuple(metrics)


def _on_features(
    sides: _Sides, wanted: Iterable[str], space: FeatureSpace, progress: Progress | None
) -> Iterator[Record]:
    described = space.describe(sides.reference, progress)
    features = {
        subject: space.describe(images, progress)
        for subject, images in sides.judged.items()
        if subject != FLOOR
    }
    features |= {FLOOR: described[: len(sides.test)], "": space.describe(sides.test, progress)}
    protocol = ""
    if space.standardised:
        scale = described[:REFERENCE]
        features = {subject: standardise(rows, scale) for subject, rows in features.items()}
        protocol = f"standardised by {len(scale):,} training images"
    test = features.pop("")
    for name in ON_FEATURES:
        if name in wanted:
            for subject, rows in features.items():
                yield from _measure(sides, name, subject, rows, test, protocol, space.name)


def _measure(
    sides: _Sides, name: str, subject: str, rows: Tensor, test: Tensor, protocol: str, features: str
) -> Iterator[Record]:
    def said(words: str = "") -> str:
        return "; ".join(filter(None, (words, protocol)))

    if name == "kid":
        value, stderr = kid(rows, test, sides.blocks[subject], sides.blocks[""])
        yield sides.record(
            "kid", subject, value, said("all pairs, jackknife"), stderr=stderr, features=features
        )
    elif name == "fid":
        few = len(test) <= test.shape[1]
        note = (
            f"rank deficient: {len(test):,} images for {test.shape[1]:,} features; compare only at equal n"
            if few
            else ""
        )
        yield sides.record("fid", subject, fid(rows, test), said(), features=features, note=note)
    elif name == "two-sample":
        value, stderr = two_sample(rows, test, sides.blocks[subject], sides.blocks[""])
        words = said("linear classifier, fitted on half of each side; ideal 0.5")
        yield sides.record("two-sample", subject, value, words, stderr=stderr, features=features)
    else:
        for metric, value in prdc(rows, test, NEIGHBOUR)._asdict().items():
            yield sides.record(
                metric, subject, value, said(f"k = {NEIGHBOUR}"), features=features, better="higher"
            )


def _copying(sides: _Sides, progress: Progress | None) -> Iterator[Record]:
    n, total = min(len(sides.test), QUERIES), count(sides.train, "train")
    own = subset(total, n, sides.seed, "copying")
    (subject, samples), _ = sides.judged.items()
    asked = torch.cat([samples[:n], take(sides.train, own, "train"), sides.test[:n]])
    places = torch.cat([torch.full((n,), -1), own, torch.full((n,), -1)])
    drawn, floor, unseen = nearest_distances(asked, sides.train, places, progress).split(n)
    protocol = "pixels, L2, against held-out images; ideal 0.5, copies reach 1"
    first = {name: None if blocks is None else blocks[:n] for name, blocks in sides.blocks.items()}
    known = {**first, FLOOR: blocks_of(sides.train, own)}
    for name, distances in ((subject, drawn), (FLOOR, floor)):
        value, stderr = share_nearer(distances, unseen, known[name], known[""])
        yield sides.record(
            "copying", name, value, protocol, stderr=stderr, n=n, n_reference=total, better="neither"
        )


def _swd(sides: _Sides, progress: Progress | None) -> Iterator[Record]:
    protocol = f"7x7 patches, {patches_per_image(len(sides.test))} per image, {DIRECTIONS} directions"
    blocks = [sides.blocks[subject] for subject in (*sides.judged, "")]
    results = dict(
        zip(sides.judged, swd_many(list(sides.judged.values()), sides.test, sides.seed, blocks), strict=True)
    )
    for subject, found in results.items():
        yield sides.record(
            "swd",
            subject,
            found.mean.value,
            f"mean of levels; {protocol}",
            stderr=found.mean.stderr,
            unit="1e-3",
        )
    for side in next(iter(results.values())).levels:
        for subject, found in results.items():
            value, stderr = found.levels[side]
            yield sides.record(f"swd-{side}", subject, value, protocol, stderr=stderr, unit="1e-3")


def _msssim(sides: _Sides, progress: Progress | None) -> Iterator[Record]:
    protocol = f"{len(sides.test) // 2:,} disjoint pairs, {msssim_protocol(*sides.test.shape[2:])}"
    for subject, images in sides.judged.items():
        value, stderr = msssim(images, sides.seed, sides.blocks[subject])
        about = {"n_reference": None, "better": "neither", "blocks": count_blocks(sides.blocks[subject])}
        yield sides.record("ms-ssim", subject, value, protocol, stderr=stderr, **about)


def _parzen(sides: _Sides, progress: Progress | None) -> Iterator[Record]:
    total = count(sides.train, "train")
    first = total * VALIDATION_FROM[0] // VALIDATION_FROM[1]
    if len(sides.test) != SAMPLES or total - first < VALIDATION or first < SAMPLES:
        came = f"not {len(sides.test):,} on both sides and {total:,}"
        needed = f"{PARZEN} takes {SAMPLES:,} samples, as many test images and 12,000 training images or more"
        raise ArgumentError(f"{needed}, {came}", "leave it out: the number of 2014 has one protocol")
    validation = _rows(take(sides.train, torch.arange(first, first + VALIDATION), "train"))
    # none of those that choose the width
    real = take(sides.train, subset(first, SAMPLES, sides.seed, "parzen"), "train")
    test = _rows(sides.test)
    for subject, images in {**sides.judged, FLOOR: real}.items():
        value, stderr, sigma = parzen(_rows(images), validation, test, progress)
        words = (
            f"{CAVEAT}; {SAMPLES:,} windows, sigma {sigma:.4f} by {VALIDATION:,} validation images, "
            f"those behind {first:,} of train"
        )
        yield sides.record(
            PARZEN, subject, value, words, unit="nats", stderr=stderr, better="neither", note=CAVEAT
        )


def _rows(images: Tensor) -> Tensor:
    return to_float(images).flatten(1)


def _tell(progress: Progress | None, what: str, done: int) -> None:
    if progress is not None:
        progress(what, done, 1)


_ON_PIXELS: dict[str, Callable[[_Sides, Progress | None], Iterator[Record]]] = {
    "copying": _copying,
    "swd": _swd,
    "ms-ssim": _msssim,
    PARZEN: _parzen,
}
