"""The conditions of a data set's images, as a conditional model takes them."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from genzoo.condition import Condition, Labels, Picture, Text
from genzoo.data.captions import lacking
from genzoo.data.collection import Images
from genzoo.data.labels import labels_for, places_of
from genzoo.errors import ArgumentError, DataError, GenzooError

Rows: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True, eq=False)
class Told:
    """What a conditional model is told of each image of a set.

    Attributes:
        rows: (M, …) values of the condition.
        first: (N,) int64, where the values of each image begin in `rows`; None: each image has one, M = N.
        count: (N,) int64, how many each image has.
    """

    rows: Rows
    first: Rows | None = None
    count: Rows | None = None

    def at(self, indices: Rows, coins: Rows) -> Rows:
        """Return one value for each image at `indices` (n,); `coins` (n,) in [0, 1) choose among several."""
        places = indices
        if self.first is not None and self.count is not None:
            places = self.first[indices] + (coins * self.count[indices]).astype(np.int64)
        chosen: Rows = self.rows[places]
        return chosen

    @property
    def column(self) -> Rows:
        """One column of whole numbers that differs where two sets differ in what is told."""
        if self.first is not None and self.count is not None:
            return np.concatenate([self.count, self.rows.reshape(-1)])
        if self.rows.dtype != np.uint8:
            return self.rows
        digest = hashlib.sha256(np.ascontiguousarray(self.rows).data)
        digest.update(str(self.rows.shape).encode())
        return np.frombuffer(digest.digest(), dtype=np.uint8)


@functools.singledispatch
def told_of(condition: Condition, images: Images) -> Told:
    """Return all values of `condition` that `images` have: labels as int64 (N,), numbered as in `condition`
    and matched by name; sources of pairs as uint8 (N, C, H, W); captions as int64 (M, length), all of each
    image.

    Raises:
        DataError: the images have no labels, sources or captions, or some that the condition does not know.
    """
    raise TypeError(f"no data for {type(condition).__name__}")


@told_of.register
def _labels(condition: Labels, images: Images) -> Told:
    _check_labelled(condition, images)
    return Told(labels_for(images, condition.names).numpy())


@told_of.register
def _sources(condition: Picture, images: Images) -> Told:
    source: Rows | None = getattr(images, "source", None)
    if source is None:
        raise DataError(
            f"{images.name} has single images, but this model takes {condition.words}",
            "pairs:FOLDER names a data set of pairs",
        )
    if source.shape[1:] != condition.shape:
        raise DataError(
            f"the sources of {images.name} have the shape {source.shape[1:]}, but this model takes "
            f"{condition.words}",
            f"--set source_shape={','.join(map(str, source.shape[1:]))}",
        )
    return Told(source)


@told_of.register
def _captions(condition: Text, images: Images) -> Told:
    captions = _captions_of(condition, images)
    known: dict[str, list[int]] = {}  # the same few texts come again and again
    for text in (text for texts in captions for text in texts):
        if text not in known:
            known[text] = _read(condition, images, text)
    count = np.array([len(texts) for texts in captions], dtype=np.int64)
    rows = np.array([known[text] for texts in captions for text in texts], dtype=np.int64)
    return Told(rows, np.cumsum(count) - count, count)


def _captions_of(condition: Text, images: Images) -> tuple[tuple[str, ...], ...]:
    captions: tuple[tuple[str, ...], ...] | None = getattr(images, "captions", None)
    if captions is None:
        raise lacking(images, ", but this model takes a text")
    return captions


def _read(condition: Text, images: Images, text: str) -> list[int]:
    try:
        return condition.encode(text)
    except GenzooError as error:
        raise DataError(f"{images.name} has a caption with {error.message}", error.hint) from error


def conditions_of(condition: Condition, images: Images) -> Rows:
    """Return the value of `condition` for each image, one row each: as `told_of`, of several captions the
    first.

    Raises:
        DataError: as `told_of`.
    """
    told = told_of(condition, images)
    return told.at(np.arange(len(images)), np.zeros(len(images)))


def other_of(images: Images) -> Images | None:
    """Return the second side of an unpaired set, None for any other set."""
    found: Images | None = getattr(images, "other", None)
    return found


@functools.singledispatch
def restricted(condition: Condition, images: Images, value: Any) -> Images:
    """Return the images whose condition is `value`, such as those of one label.

    Raises:
        DataError: the images have no labels, or there is none with this one.
        ArgumentError, UnknownNameError: not a value of the condition.
    """
    raise TypeError(f"no data for {type(condition).__name__}")


@restricted.register
def _of_label(condition: Labels, images: Images, value: Any) -> Images:
    name = condition.names[condition.number(value)]
    _check_labelled(condition, images)
    place = places_of([name], images.class_names)[0]
    if place is None:
        raise DataError(
            f"{images.name} has no class {name!r}", f"its classes: {', '.join(images.class_names[:8])}"
        )
    return images.of_class(place)


@restricted.register
def _of_text(condition: Text, images: Images, value: Any) -> Images:
    wanted = condition.encode(value)
    captions = _captions_of(condition, images)
    chosen = [any(_read(condition, images, text) == wanted for text in texts) for texts in captions]
    if not any(chosen):
        raise DataError(f"{images.name} has no image with the caption {condition.describe(value)}")
    return images.subset(np.flatnonzero(chosen))


@restricted.register
def _of_picture(condition: Picture, images: Images, value: Any) -> Images:
    raise ArgumentError(
        f"{images.name} has one image for each source: there is no set for one picture",
        "leave the condition out",
    )


@functools.singledispatch
def each(condition: Condition, images: Images) -> list[Any]:
    """Return the values of `condition` that `images` have, each once and in order; raises as
    `conditions_of`.
    """
    raise TypeError(f"no data for {type(condition).__name__}")


@each.register
def _each_label(condition: Labels, images: Images) -> list[Any]:
    found: list[Any] = np.unique(conditions_of(condition, images)).tolist()
    return found


def _check_labelled(condition: Labels, images: Images) -> None:
    if images.labels is None:
        raise DataError(
            f"{images.name} has no labels, but this model takes {condition.words}",
            images.facts.get("labels", ""),
        )


@each.register
def _each_text(condition: Text, images: Images) -> list[Any]:
    texts = (text for texts in _captions_of(condition, images) for text in texts)
    return list({tuple(_read(condition, images, text)): text for text in texts}.values())


@each.register
def _each_picture(condition: Picture, images: Images) -> list[Any]:
    return []  # every image has a source of its own
