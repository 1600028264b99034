"""The metrics of samples as records: each takes the sides that are compared and measures every subject. Their
names, and whether lower or higher is better, are in the table in `genzoo.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.evaluation import parzen as windows
from genzoo.evaluation.checkerboard import checkerboard
from genzoo.evaluation.checkerboard import protocol as checkerboard_protocol
from genzoo.evaluation.copying import nearest_distances, share_nearer
from genzoo.evaluation.distances import fid, kid, prdc
from genzoo.evaluation.inputs import blocks_of, count, subset, take
from genzoo.evaluation.msssim import msssim
from genzoo.evaluation.msssim import protocol as msssim_protocol
from genzoo.evaluation.own_labels import measure_own_labels
from genzoo.evaluation.plugged import measure_pair
from genzoo.evaluation.sides import HELD_OUT, NEIGHBOUR, Sides
from genzoo.evaluation.standard_errors import count_blocks
from genzoo.evaluation.swd import DIRECTIONS, patches_per_image, swd_many
from genzoo.evaluation.two_sample import two_sample
from genzoo.evaluation.usual import SPLITS, inception_score
from genzoo.images import to_float
from genzoo.metrics import AGREEMENT, FEATURES, INCEPTION_SCORE, PARZEN, Metric
from genzoo.record import FLOOR, Record
from genzoo.sharing import each

Measure: TypeAlias = Callable[[Metric, Sides], Iterator[Record]]

QUERIES = 1000  # images at most whose nearest training image is looked for
NOT_USUAL = "a Fréchet distance in these features, not the usual FID"
CAVEAT = "the 2014 number: it misorders models (Theis et al. 2016) and is no likelihood"


def measure_kid(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the kernel distance of every subject to the held-out images, with its standard error."""
    for subject, rows in _described(sides):
        value, stderr = kid(rows, sides.features[HELD_OUT], sides.blocks[subject], sides.blocks[HELD_OUT])
        yield _on_features(metric, sides, subject, value, "all pairs, jackknife", stderr=stderr)


def measure_fid(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the Fréchet distance of every subject to the held-out images."""
    test = sides.features[HELD_OUT]
    note = "" if sides.space.usual else NOT_USUAL
    if len(test) <= test.shape[1]:
        few = f"rank deficient: {len(test):,} images for {test.shape[1]:,} features; compare only at equal n"
        note = "; ".join(filter(None, (note, few)))
    described = list(_described(sides))
    values = each(described, lambda own: torch.tensor(fid(own[1], test), dtype=torch.float64))
    for (subject, _), value in zip(described, values, strict=True):
        yield _on_features(metric, sides, subject, float(value), note=note)


def measure_inception_score(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the Inception score of every subject.

    Raises:
        ArgumentError: the features are not those of an Inception net, or there are too few images.
    """
    logits = sides.space.logits
    if logits is None:
        raise ArgumentError(
            f"{metric.name} needs the class scores of an Inception net, and {sides.space.name} has none",
            "--features inception --weights FILE",
        )
    for subject, rows in _described(sides):
        value, spread = inception_score(logits(rows))
        words = f"{SPLITS} splits, whose standard deviation is {spread:.2g}"
        yield _on_features(metric, sides, subject, value, f"{SPLITS} splits", n_reference=None, note=words)


def measure_prdc(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield precision, recall, density and coverage of every subject."""
    for subject, rows in _described(sides):
        found = prdc(rows, sides.features[HELD_OUT], NEIGHBOUR)
        for name, value in found._asdict().items():
            yield _on_features(metric, sides, subject, value, f"k = {NEIGHBOUR}", metric=name)


def measure_two_sample(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield how often a linear classifier distinguishes every subject from the held-out images."""
    words = "linear classifier, fitted on half of each side; ideal 0.5"
    for subject, rows in _described(sides):
        test, blocks = sides.features[HELD_OUT], sides.blocks
        value, stderr = two_sample(rows, test, blocks[subject], blocks[HELD_OUT])
        yield _on_features(metric, sides, subject, value, words, stderr=stderr)


def measure_copying(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield how often an image of every subject is nearer to a training image than a held-out one is."""
    n, total = min(len(sides.test), QUERIES), count(sides.train, "train")
    own = subset(total, n, sides.seed, "copying")
    (subject, samples), _ = sides.judged.items()
    asked = torch.cat([samples[:n], take(sides.train, own, "train"), sides.test[:n]])
    places = torch.cat([torch.full((n,), -1), own, torch.full((n,), -1)])
    drawn, floor, unseen = nearest_distances(asked, sides.train, places, sides.progress).split(n)
    protocol = "pixels, L2, against held-out images; ideal 0.5, copies reach 1"
    first = {name: None if blocks is None else blocks[:n] for name, blocks in sides.blocks.items()}
    known = {**first, FLOOR: blocks_of(sides.train, own)}
    for name, distances in ((subject, drawn), (FLOOR, floor)):
        value, stderr = share_nearer(distances, unseen, known[name], known[HELD_OUT])
        yield sides.record(metric, name, value, protocol, stderr=stderr, n=n, n_reference=total)


def measure_swd(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the sliced Wasserstein distance of every subject: the mean of levels, then level by level."""
    protocol = f"7x7 patches, {patches_per_image(len(sides.test))} per image, {DIRECTIONS} directions"
    blocks = [sides.blocks[subject] for subject in (*sides.judged, HELD_OUT)]
    found = swd_many(list(sides.judged.values()), sides.test, sides.seed, blocks)
    results = dict(zip(sides.judged, found, strict=True))
    for subject, result in results.items():
        value, stderr = result.mean
        yield sides.record(metric, subject, value, f"mean of levels; {protocol}", stderr=stderr)
    for side in next(iter(results.values())).levels:
        for subject, result in results.items():
            value, stderr = result.levels[side]
            yield sides.record(metric, subject, value, protocol, stderr=stderr, metric=f"swd-{side}")


def measure_msssim(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the MS-SSIM of random pairs of every subject."""
    protocol = f"{len(sides.test) // 2:,} disjoint pairs, {msssim_protocol(*sides.test.shape[2:])}"
    for subject, images in sides.judged.items():
        blocks = sides.blocks[subject]
        value, stderr = msssim(images, sides.seed, blocks)
        about: dict[str, Any] = {"stderr": stderr, "n_reference": None, "blocks": count_blocks(blocks)}
        yield sides.record(metric, subject, value, protocol, **about)


def measure_checkerboard(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield how far a lattice of pixels stands out of the images of every subject."""
    for subject, images in sides.judged.items():
        blocks = sides.blocks[subject]
        value, stderr = checkerboard(images, blocks)
        about: dict[str, Any] = {"stderr": stderr, "n_reference": None, "blocks": count_blocks(blocks)}
        yield sides.record(metric, subject, value, checkerboard_protocol(), **about)


def measure_agreement(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield how often a classifier reads the images of every subject as the wanted label: the one that is
    named, else the one that each sample was drawn with.

    Raises:
        ArgumentError: no label is named, and samples were drawn without, or the classifier does not know
            them.
    """
    reading = sides.reading
    if reading is None:
        yield from measure_own_labels(metric, sides)
        return
    words = reading.words
    for subject, images in sides.judged.items():
        blocks = sides.blocks[subject]
        value, stderr = reading.agreement(images, blocks)
        about: dict[str, Any] = {"stderr": stderr, "n_reference": None, "blocks": count_blocks(blocks)}
        yield sides.record(metric, subject, value, words, features=reading.name, note=words, **about)


def measure_parzen(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the Parzen-window estimate of 2014 of every subject.

    Raises:
        ArgumentError: the numbers of images differ from its protocol's.
    """
    total, few, width = count(sides.train, "train"), windows.VALIDATION, windows.SAMPLES
    first = total * windows.VALIDATION_FROM[0] // windows.VALIDATION_FROM[1]
    if len(sides.test) != width or total - first < few or first < width:
        came = f"not {len(sides.test):,} on both sides and {total:,}"
        needed = (
            f"{metric.name} takes {width:,} samples, as many test images and 12,000 training images or more"
        )
        raise ArgumentError(f"{needed}, {came}", "leave it out: the 2014 number has a fixed protocol")
    validation = _rows(take(sides.train, torch.arange(first, first + few), "train"))
    # none of those that choose the width
    real = take(sides.train, subset(first, width, sides.seed, "parzen"), "train")
    test = _rows(sides.test)
    for subject, images in {**sides.judged, FLOOR: real}.items():
        value, stderr, sigma = windows.parzen(_rows(images), validation, test, sides.progress)
        words = (
            f"{CAVEAT}; {width:,} windows, sigma {sigma:.4f} by {few:,} validation images, those behind "
            f"{first:,} of train"
        )
        yield sides.record(metric, subject, value, words, stderr=stderr, note=CAVEAT)


def _described(sides: Sides) -> Iterator[tuple[str, Tensor]]:
    return ((subject, rows) for subject, rows in sides.features.items() if subject != HELD_OUT)


def _on_features(
    of: Metric, sides: Sides, subject: str, value: float, protocol: str = "", **more: Any
) -> Record:
    said = "; ".join(filter(None, (protocol, sides.scale)))
    return sides.record(of, subject, value, said, features=sides.space.name, **more)


def _rows(images: Tensor) -> Tensor:
    return to_float(images).flatten(1)


MEASURES: Mapping[str, Measure] = {
    "kid": measure_kid,
    "fid": measure_fid,
    "prdc": measure_prdc,
    "two-sample": measure_two_sample,
    INCEPTION_SCORE: measure_inception_score,
    "copying": measure_copying,
    "swd": measure_swd,
    "ms-ssim": measure_msssim,
    "checkerboard": measure_checkerboard,
    AGREEMENT: measure_agreement,
    PARZEN: measure_parzen,
}


def measured(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the records of one metric, genzoo's or a plugin's; progress of a metric on pixels is reported at
    start and end.
    """
    if metric.on == FEATURES:
        yield from MEASURES[metric.name](metric, sides)
        return
    sides.tell(metric.name, 0)
    yield from MEASURES.get(metric.name, measure_pair)(metric, sides)
    sides.tell(metric.name, 1)
