"""How good translations are.

Of pairs, the mean absolute error and the SSIM of each translation and its target, next to what needs no
model: the mean target of the training pairs, and the target of another pair. Of two sides without pairs, in
each direction that the model knows, how far a picture that is translated there and back is from itself, and
the quality of the translations as samples of the other side, next to the pictures as they are. If a published
classifier has the domain among its classes, how many translations it reads as such is one of the measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from genzoo.data.collection import Images
from genzoo.data.conditions import conditions_of, other_of
from genzoo.errors import ArgumentError, DataError
from genzoo.evaluation.agreement import Reading, known_reading, reading_of
from genzoo.evaluation.given import given_words
from genzoo.evaluation.inputs import blocks_of, choose, decoder_of, joined
from genzoo.evaluation.measures import measures
from genzoo.evaluation.msssim import WINDOW, ssim
from genzoo.evaluation.quality import measure_samples, sample_quality
from genzoo.evaluation.spaces import FeatureSpace, feature_space, remembering
from genzoo.evaluation.standard_errors import count_blocks, mean_error
from genzoo.images import quantise, to_float
from genzoo.metrics import AGREEMENT, better_of
from genzoo.models import TranslatingModel
from genzoo.record import FLOOR, Record
from genzoo.request import Progress, Request

# subjects that need no model
MEAN, WRONG, UNTOUCHED = "mean target", "target of another pair", "untranslated"


@measures.register
def measure_translations(
    model: TranslatingModel,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield the records of the translations of `test`: pairs, or two sides without pairs. All of it counts,
    or `request.n` of each side.

    Raises:
        DataError: images that are neither, or sides of one kind only.
        ArgumentError: pictures of another shape than the model's.
    """
    if model.condition is None or request.manner.asked:
        yield from measure_samples(model, train, test, request, subject=subject, progress=progress)
        return
    work = _Work(model, request, subject, progress)
    if test.source is None and other_of(test) is not None:
        yield from _of_sides(work, train, test)
    else:
        yield from _of_pairs(work, train, test)


@dataclass(frozen=True)
class _Work:
    """What is measured, and how."""

    model: TranslatingModel
    request: Request
    subject: str
    progress: Progress | None
    # each side is described once: translations and pictures as they are have the same references
    spaces: dict[str, FeatureSpace] = field(default_factory=dict)

    def translated(self, pictures: Tensor, to: str) -> Tensor:
        """Return the translations of `pictures` as 8-bit pixels, as they would be saved, (n, C, H, W)."""
        pixels = math.prod(pictures.shape[2:])
        tell = None if self.progress is None else _telling(self.progress, f"to {to}", pixels)
        found = self.model.translate(pictures, to, self.request.seed, progress=tell)
        return quantise(found).cpu()

    def _space(self, images: Images) -> FeatureSpace:
        if images.name not in self.spaces:
            self.spaces[images.name] = remembering(feature_space(self.request.features, images))
        return self.spaces[images.name]

    def asks(self, metric: str) -> bool:
        """Return whether `metric` is among those that are measured."""
        return self.request.metrics is None or metric in self.request.metrics

    def reading(self, images: Images, domain: str) -> Reading | None:
        """Return how translations are read as what they are meant to show: the class that the request names,
        or `domain` if there is a classifier that knows it.
        """
        asked = self.request
        if asked.reads_as is not None:
            return reading_of(asked.reads_as, images, asked.features)
        return known_reading(domain, images) if domain and self.asks(AGREEMENT) else None

    def quality(
        self,
        samples: Tensor,
        train: Images,
        test: Images,
        condition: str,
        metrics: Sequence[str] | None,
        domain: str = "",
    ) -> list[Record]:
        """Return the records of `samples` as samples of what `test` shows, called `domain`."""
        asked = self.request
        return sample_quality(
            samples,
            train,
            test,
            subject=self.subject,
            condition=condition,
            metrics=metrics,
            space=self._space(test),
            reading=self.reading(test, domain),
            seed=asked.seed,
            progress=self.progress,
        )


def _telling(progress: Progress, what: str, pixels: int) -> Callable[[int, int], None]:
    """Return a callback that counts pictures where a translator counts their pixels."""
    return lambda done, total: progress(what, done // pixels, total // pixels)


def _of_pairs(work: _Work, train: Images, test: Images) -> Iterator[Record]:
    model, request = work.model, work.request
    _check_shape(test, model.image_shape)
    sources = torch.from_numpy(conditions_of(model.picture, test))
    rows, how = choose(len(test), request.n, request.seed, "translation")
    chosen = test.subset(rows)
    made = work.translated(sources[rows], model.picture.domains[1])
    condition = given_words(model, test)
    if request.metrics is None:
        targets, average = chosen.float(), _mean(train)
        shown = {work.subject: to_float(made), MEAN: average.expand_as(targets), WRONG: targets.roll(1, 0)}
        about = _about(test, rows, condition, joined("each next to its target", how))
        for subject, images in shown.items():
            if subject != WRONG or len(rows) > 1:
                yield from _nearness(images, targets, subject, about)
    yield from work.quality(made, train, chosen, condition, request.metrics)


def _nearness(images: Tensor, targets: Tensor, subject: str, about: dict[str, Any]) -> Iterator[Record]:
    """Yield the mean absolute error of `images` and `targets` (n, C, H, W) in [0, 1], and their SSIM if they
    are large enough.
    """
    yield _record("l1", (images - targets).abs().double().mean((1, 2, 3)), subject, about)
    if min(targets.shape[2:]) >= WINDOW:
        yield _record("ssim", ssim(images, targets), subject, about)


def _of_sides(work: _Work, train: Images, test: Images) -> Iterator[Record]:
    model = work.model
    first, second = model.picture.domains
    for to in (second, first)[: 1 + model.picture.both_ways]:
        (sources, targets), (_, learned) = (_towards(images, to == second) for images in (test, train))
        start = first if to == second else second
        _check_shape(sources, model.shape_of(start))
        rows, how = choose(len(sources), work.request.n, work.request.seed, "translation")
        pictures = sources.float(rows)
        made = work.translated(pictures, to)
        condition = f"{test.split} {start}"
        if model.picture.both_ways and work.request.metrics is None:
            back = to_float(work.translated(made, start))
            about = _about(sources, rows, condition, joined(f"to {to} and back", how))
            yield _record("cycle-l1", (back - pictures).abs().double().mean((1, 2, 3)), work.subject, about)
        yield from work.quality(made, learned, targets, condition, work.request.metrics, to)
        if model.shape_of(first) == model.shape_of(second):
            yield from _untouched(work, quantise(pictures), learned, targets, condition, to)


def _untouched(
    work: _Work, pictures: Tensor, train: Images, test: Images, condition: str, domain: str
) -> Iterator[Record]:
    """Yield the KID of the pictures as they are, and how many are read as `domain`; a translation should
    reach a lower KID and a higher share.
    """
    as_they_are = replace(work, subject=UNTOUCHED)
    metrics = ("kid",) if work.asks("kid") else ()
    # "agreement" joins them if there is a classifier
    for record in as_they_are.quality(pictures, train, test, condition, metrics, domain):
        if record.subject != FLOOR:
            yield record


def _towards(images: Images, second: bool) -> tuple[Images, Images]:
    """Return the side that is translated, and the side that it is to look like."""
    other = other_of(images)
    if other is None:
        raise DataError(
            f"{images.name} {images.split} has one side, but a translation is measured between two",
            "unpaired:FOLDER names a data set of two",
        )
    sides = images.replace(other=None), other.replace(name=images.name, split=images.split)
    return sides if second else sides[::-1]


def _mean(train: Images) -> Tensor:
    """Return the mean image (1, C, H, W) in [0, 1]."""
    total = torch.zeros(train.shape, dtype=torch.float64)
    for first in range(0, len(train), 1024):
        total += train.float(slice(first, first + 1024)).double().sum(0)
    return (total / len(train)).float()[None]


def _check_shape(images: Images, shape: tuple[int, int, int]) -> None:
    if images.shape != shape:
        raise ArgumentError(
            f"the images of {images.name} have the shape {images.shape}, but the model takes {shape}",
            f"the data set can be read at {shape[1]}x{shape[2]}",
        )


def _about(images: Images, rows: Tensor, condition: str, protocol: str) -> dict[str, Any]:
    blocks = blocks_of(images, rows)
    return {
        "kind": "reconstruction",
        "data": images.name,
        "split": images.split,
        "transform": images.transform,
        "image_shape": "x".join(map(str, images.shape)),
        "condition": condition,
        "n": len(rows),
        "blocks": count_blocks(blocks),
        "protocol": joined(protocol, decoder_of(images)),
        "_blocks": blocks,
    }


def _record(metric: str, values: Tensor, subject: str, about: dict[str, Any]) -> Record:
    """Return the mean of `values` (n,) as a record, with its standard error over images."""
    known = {key: value for key, value in about.items() if key != "_blocks"}
    return Record(
        metric=metric,
        value=float(values.mean()),
        subject=subject,
        better=better_of(metric),
        stderr=mean_error(values, about["_blocks"]),
        **known,
    )
