"""Sides: the images that a measure of samples compares, and the facts that all of its records share.

Both sides always have the same number of images n, the fewest of samples, test and train images: distances
shrink as n grows, so only equal n are comparable. Each measure is taken twice: samples against held-out
images, and training images against the same held-out images. The second is the floor, about the score of a
perfect model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from genzoo.data.collection import Images
from genzoo.data.sealed import release
from genzoo.errors import ArgumentError
from genzoo.evaluation.agreement import Reading
from genzoo.evaluation.gist import standardise
from genzoo.evaluation.inputs import ImageSet, blocks_of, check_alike, count, decoder_of, subset, take
from genzoo.evaluation.kept import described_once, narrow
from genzoo.evaluation.spaces import FeatureSpace
from genzoo.evaluation.standard_errors import Blocks, count_blocks
from genzoo.metrics import Metric
from genzoo.record import FLOOR, Record
from genzoo.request import Progress

REFERENCE = 1024  # training images whose mean and deviation standardise the features
NEIGHBOUR = 5  # the k of precision, recall, density and coverage, for which more images are needed
HELD_OUT = ""  # the name of the test images among the subjects


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The images compared, all uint8 (n, C, H, W).

    Attributes:
        judged: subject → images: the samples, and the floor.
        test: held-out images.
        train: all training images.
        reference: (M, C, H, W) of them, the floor's first: the features are standardised by the first 1,024.
        sources: subject → the set that its images come from, and their places there, (n,); for the samples
            and HELD_OUT.
        blocks: subject → which images belong together; HELD_OUT are the test images.
        about: fields that all records share.
        decoder: the decoder of the test image files.
        space: the features that images are compared in.
        seed: seed of every random choice.
        progress: called with (what, done, total).
        reading: what images are meant to be read as, and by which classifier; None if no label is named.
    """

    judged: Mapping[str, Tensor]
    test: Tensor
    train: ImageSet
    reference: Tensor
    sources: Mapping[str, tuple[ImageSet, Tensor]]
    blocks: Mapping[str, Blocks]
    about: Mapping[str, Any]
    decoder: str
    space: FeatureSpace
    seed: int
    progress: Progress | None
    reading: Reading | None = None
    # not a cached_property: until Python 3.12 its lock is shared by all instances
    _features: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    @property
    def features(self) -> Mapping[str, Tensor]:
        """Subject → features (n, F), float64, or float32 if they are exact in it; in the order of `judged`
        with HELD_OUT last. They are computed once; those of real images are kept in the cache.
        """
        if not self._features:
            self._features.update(self._described())
        return self._features

    def _described(self) -> dict[str, Tensor]:
        described = described_once(self.space, self.reference, self.progress)
        found = {
            subject: narrow(self.space.describe(images, self.progress))
            for subject, images in self.judged.items()
            if subject != FLOOR
        }
        found[FLOOR] = described[: len(self.test)]
        found[HELD_OUT] = described_once(self.space, self.test, self.progress)
        if not self.space.standardised:
            return found
        return {subject: standardise(rows, described[:REFERENCE]) for subject, rows in found.items()}

    @property
    def scale(self) -> str:
        """What the features are standardised by, for a record's protocol."""
        few = min(len(self.reference), REFERENCE)
        return f"standardised by {few:,} training images" if self.space.standardised else ""

    def tell(self, what: str, done: int, total: int = 1) -> None:
        """Call `progress`, if there is one."""
        if self.progress is not None:
            self.progress(what, done, total)

    def record(self, of: Metric, subject: str, value: float, protocol: str = "", **more: Any) -> Record:
        """Return the record of one measured value; `more` are fields in which it differs from the others."""
        said = "; ".join(filter(None, (protocol, self.decoder, f"seed {self.seed}")))
        fields = {
            "metric": of.name,
            "better": of.better,
            "unit": of.unit,
            "n": len(self.test),
            "n_reference": len(self.test),
            "blocks": count_blocks(self.blocks[HELD_OUT]),
            **self.about,
            **more,
        }
        return Record(subject=subject, value=value, protocol=said, **fields)


def sides_of(
    samples: ImageSet, train: ImageSet, test: ImageSet, *, subject: str, seed: int, **more: Any
) -> Sides:
    """Return the sides, chosen by `seed` where one has more images than another; `more` are the other
    attributes of Sides: about, space, progress, reading.

    Raises:
        ArgumentError: images refused by `as_pixels`, of different shapes, or too few on a side.
    """
    n = min(count(samples, "samples"), count(train, "train"), count(test, "test"))
    if n <= NEIGHBOUR:
        raise ArgumentError(
            f"sample quality needs more than {NEIGHBOUR} images on every side, not {n}", "give more images"
        )
    own = subset(len(samples), n, seed, "samples")
    learned = subset(len(train), max(n, REFERENCE), seed, "train")
    unseen = subset(len(test), n, seed, "test")
    chosen = take(samples, own, "samples")
    reference = take(train, learned, "train")
    held_out = take(test, unseen, "test")
    check_alike(chosen, held_out, "samples", "test images")
    check_alike(reference, held_out, "train images", "test images")
    for images in (train, test):
        if isinstance(images, Images):
            release(images.pixels)
    return Sides(
        judged={subject: chosen, FLOOR: reference[:n]},
        test=held_out,
        train=train,
        reference=reference,
        sources={subject: (samples, own), HELD_OUT: (test, unseen)},
        blocks={
            subject: blocks_of(samples, own),
            FLOOR: blocks_of(train, learned[:n]),
            HELD_OUT: blocks_of(test, unseen),
        },
        decoder=decoder_of(test),
        seed=seed,
        **more,
    )
