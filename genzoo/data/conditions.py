"""The conditions of a data set's images, as a conditional model takes them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from genzoo.condition import Condition, Labels
from genzoo.data.collection import Images
from genzoo.errors import DataError


@functools.singledispatch
def conditions_of(condition: Condition, images: Images) -> np.ndarray[Any, Any]:
    """Return the value of `condition` for each image, one row each: labels as int64 (N,), numbered as in
    `condition`.

    Raises:
        DataError: the images have no labels.
        ArgumentError: they have labels that the condition does not know.
    """
    raise TypeError(f"no data for {type(condition).__name__}")


@conditions_of.register
def _labels(condition: Labels, images: Images) -> np.ndarray[Any, Any]:
    if images.labels is None:
        raise DataError(f"{images.name} has no labels, but this model takes {condition.words}")
    found = [
        condition.number(name) for name in images.class_names or map(str, range(int(images.labels.max()) + 1))
    ]
    rows: np.ndarray[Any, Any] = np.asarray(found)[images.labels]
    return rows
