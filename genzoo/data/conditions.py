"""The conditions of a data set's images, as a conditional model takes them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from genzoo.condition import Condition, Labels
from genzoo.data.collection import Images
from genzoo.data.labels import labels_for, places_of
from genzoo.errors import DataError


@functools.singledispatch
def conditions_of(condition: Condition, images: Images) -> np.ndarray[Any, Any]:
    """Return the value of `condition` for each image, one row each: labels as int64 (N,), numbered as in
    `condition`. Classes are matched by name.

    Raises:
        DataError: the images have no labels, or some that the condition does not know.
    """
    raise TypeError(f"no data for {type(condition).__name__}")


@conditions_of.register
def _labels(condition: Labels, images: Images) -> np.ndarray[Any, Any]:
    _check_labelled(condition, images)
    rows: np.ndarray[Any, Any] = labels_for(images, condition.names).numpy()
    return rows


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
