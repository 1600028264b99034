"""Labels of any form, brought to the one that is learned from: whole numbers from 0, and the names of the
classes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from genzoo.data.notes import note
from genzoo.data.types import Array
from genzoo.errors import ArgumentError

MOST = 2**31 - 1  # no set has so many classes: a label above is a date, a price or an identifier
MUST = "labels must be one whole number or one text per image"
NUMBER = "numpy.unique(labels, return_inverse=True)[1] numbers the values that there are from 0"


def read_labels(labels: object, count: int) -> tuple[Array, tuple[str, ...]]:
    """Return `labels` of `count` images as (N,) int64, and the names of their classes where `labels` are
    texts, else ().

    Read as they are meant: whole numbers of any dtype; False and True as 0 and 1; texts, as places in their
    sorted names; a column (N, 1) as (N,); rows (N, K) with a single 1 and zeros (one-hot) as the place of the
    1.

    Raises:
        ArgumentError: another number of labels, fractions, NaN, absent entries, numbers above 2**31 - 1,
            other rows or other types.
    """
    array = _array(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 0 or len(array) != count:
        came = "a single value" if array.ndim == 0 else f"{len(array):,}"
        raise ArgumentError(
            f"labels must have one entry per image: {came} for {count:,} images",
            "pass as many labels as images",
        )
    if array.ndim > 1:
        return _places(array), ()
    if array.dtype.kind in "US":
        return _named(array)
    return _whole(array), ()


def usable_labels(labels: object, count: int, what: str) -> tuple[Array | None, tuple[str, ...], str]:
    """Return what `read_labels` returns and ""; or None, () and why the labels `what` of a file cannot be
    used, which is told.

    A model that needs no labels can be trained on such a file all the same.
    """
    try:
        return *read_labels(labels, count), ""
    except ArgumentError as error:
        why = f"no labels: {error}"
        note(f"{what} gives {why}")
        return None, (), why


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct `names` in the order of their classes: as numbers where all are whole numbers, else
    as texts.
    """
    found = set(names)
    if all(name.isascii() and name.isdigit() for name in found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))


def check_names(names: object, labels: Array | None) -> tuple[str, ...]:
    """Return the names of the classes, one for each label from 0, or raise ArgumentError."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ArgumentError(
            f"class_names must be texts, one per class, not {names!r}", "for example ('cat', 'dog')"
        )
    texts = tuple(str(name) for name in names)
    if len(set(texts)) < len(texts):
        twice = next(name for name in texts if texts.count(name) > 1)
        raise ArgumentError(
            f"class_names must differ, and {twice!r} is there twice", "give each class a different name"
        )
    if texts and labels is not None and len(labels) and int(labels.max()) >= len(texts):
        highest = int(labels.max())
        raise ArgumentError(
            f"{len(texts)} class_names do not name the class {highest}",
            "class_names[label] is the name of a class",
        )
    return texts


def _array(labels: object) -> Array:
    if isinstance(labels, Tensor):
        return np.asarray(labels.detach().cpu())
    try:
        array = np.asarray(labels)
    except ValueError as error:  # rows of different lengths
        raise ArgumentError(f"{MUST}, not rows of different lengths", NUMBER) from error
    return _plain(array) if array.dtype.kind == "O" else array


def _plain(array: Array) -> Array:
    """Return an array of Python objects as one of texts or numbers."""
    values = array.ravel().tolist()
    if all(isinstance(value, str) for value in values):
        return array.astype(str)
    if all(isinstance(value, bool | np.bool_) for value in values):
        return array.astype(bool)
    for value in values:
        if isinstance(value, bool | np.bool_) or not isinstance(
            value, int | float | np.integer | np.floating
        ):
            raise ArgumentError(
                f"{MUST}, not {'a mixture with ' * (len(set(map(type, values))) > 1)}{type(value).__name__}",
                NUMBER,
            )
    if any(isinstance(value, int) and abs(value) > MOST for value in values):
        raise _too_large(max(values))
    return array.astype(np.float64)


def _named(array: Array) -> tuple[Array, tuple[str, ...]]:
    texts = np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array
    names = class_order(texts.tolist())
    number = {name: place for place, name in enumerate(names)}
    return np.array([number[text] for text in texts.tolist()], np.int64), names


def _whole(array: Array) -> Array:
    if array.dtype.kind not in "buif":
        raise ArgumentError(f"{MUST}, not {array.dtype}", NUMBER)
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        if bad.any():
            hint = "give those images a class, or leave them out: images[~numpy.isnan(labels)]"
            raise ArgumentError(f"{MUST}, and {int(bad.sum()):,} of {len(array):,} are NaN or infinite", hint)
        cut = array != np.rint(array)
        if cut.any():
            hint = "they are classes, not amounts: numpy.digitize(labels, edges) makes classes of amounts"
            raise ArgumentError(f"{MUST}, not {array[cut][0]:g}", hint)
    if len(array) and (array.max() > MOST or array.min() < -MOST):
        raise _too_large(array.max() if array.max() > MOST else array.min())
    return array.astype(np.int64)


def _too_large(value: object) -> ArgumentError:
    return ArgumentError(f"labels must be below {MOST + 1:,}, not {value}", NUMBER)


def _places(array: Array) -> Array:
    """Return the place of the single 1 in each row of one-hot labels (N, K)."""
    if array.ndim == 2 and array.dtype.kind in "buif":
        hot = array != 0
        if array.shape[1] and (hot.sum(1) == 1).all() and (array[hot] == 1).all():
            places: Array = hot.argmax(1).astype(np.int64)
            return places
    shape = tuple(array.shape)
    hint = (
        "labels.argmax(1) takes the largest of each row; several properties of an image are "
        "attributes, not classes"
    )
    raise ArgumentError(f"{MUST}, or one-hot rows with a single 1, not an array {shape} of other rows", hint)
