"""Labels of any form, brought to the one that is learned from: whole numbers from 0, and the names of the
classes.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from genzoo.data.notes import note
from genzoo.data.types import Array
from genzoo.errors import ArgumentError, DataError, UnknownNameError, safe_repr, safe_text, suggest

MOST = 2**31 - 1  # no set has so many classes: a label above is a date, a price or an identifier
NUMBERED = 1 << 16  # so many classes at most are called by their numbers
NONE = "no labels: "  # why there are none follows
LONGEST_NAME = 200  # characters
LEAVE_OUT = "give those images a class, or leave them out"
MUST = "labels must be one whole number or one text per image"
NUMBER = "numpy.unique(labels, return_inverse=True)[1] numbers the values that there are from 0"


class _Images(Protocol):
    """What is asked here of `genzoo.data.Images`."""

    def __len__(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def labels(self) -> Array | None: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def facts(self) -> Mapping[str, str]: ...


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
        why = f"{NONE}{error}"
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
    """Return the names of the classes, one printable line for each label from 0, or raise ArgumentError.

    Classes without names are called by their numbers: "0", "1", and so on up to the highest of `labels`.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ArgumentError(
            f"class_names must be texts, one per class, not {names!r}", "for example ('cat', 'dog')"
        )
    texts = tuple(map(_line, names))
    if "" in texts:
        raise ArgumentError(f"the name of class {texts.index('')} is empty", "give each class a name")
    if len(set(texts)) < len(texts):
        twice = Counter(texts).most_common(1)[0][0]
        raise ArgumentError(
            f"class_names must differ, and {twice!r} is there twice", "give each class a different name"
        )
    if texts == _numerals(len(texts)) and labels is not None and len(labels):
        highest = int(labels.max())
        return texts if highest < len(texts) or highest >= NUMBERED else _numerals(highest + 1)
    if texts and labels is not None and len(labels) and int(labels.max()) >= len(texts):
        highest = int(labels.max())
        raise ArgumentError(
            f"{len(texts)} class_names do not name the class {highest}",
            "class_names[label] is the name of a class",
        )
    return texts


def places_of(words: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """Return for each of `words`, which differ, the place of that class in `names`, or None where there is
    none. No place is returned twice.

    It is the one of the same name; else the only one whose name differs no more than in case, in underscores
    for spaces, or in zeros before a number.
    """
    exact = {name: place for place, name in enumerate(names)}
    places = [exact.get(word) for word in words]
    taken = set(places)
    alike: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if place not in taken:
            alike.setdefault(_folded(name), []).append(place)
    for index, word in enumerate(words):
        if places[index] is None and len(found := alike.get(_folded(word), [])) == 1:
            places[index] = found.pop()
    return places


def number_of(which: str | int, images: _Images) -> int:
    """Return the number of the class of `images` that has the name or the number `which`.

    Raises:
        DataError: they have no labels.
        UnknownNameError, ArgumentError: no class of that name, or of that number.
    """
    if images.labels is None:
        raise _unlabelled(images)
    names = images.class_names
    if isinstance(which, str):
        place = places_of([which], names)[0]
        if place is not None:
            return place
        if not (which.isascii() and which.isdigit() and len(which) < len(str(MOST))):
            known = f"classes: {few(names)}"
            raise UnknownNameError(f"{images.name} has no class {which!r}{suggest(which, names)}", known)
        which = int(which)
    if isinstance(which, bool) or not isinstance(which, int | np.integer):
        raise ArgumentError(
            f"a class is chosen by its name or its number, not by {safe_repr(which)}",
            f"classes: {few(names)}",
        )
    if not 0 <= which < len(names):
        raise ArgumentError(f"{images.name} has the classes 0 to {len(names) - 1}, not {which}")
    return int(which)


def labels_for(images: _Images, names: Sequence[str]) -> Tensor:
    """Return the labels (N,) int64 of `images` as places in `names`, those of the classes that a model knows.

    Classes are matched by name, as `places_of` does, so that their order may differ; classes without names
    are called by their numbers. It is told on stderr if `images` have none of a class of the model.

    Raises:
        DataError: images without labels, or of a class that is not in `names`.
    """
    if images.labels is None:
        raise _unlabelled(images)
    if absent := int((images.labels < 0).sum()):
        raise DataError(
            f"{absent:,} of {len(images):,} images of {images.name} have a label below 0", LEAVE_OUT
        )
    numbers, rows = np.unique(images.labels, return_inverse=True)
    own = images.class_names
    words = [own[number] if number < len(own) else str(number) for number in numbers.tolist()]
    places = places_of(words, names)
    unknown = [word for word, place in zip(words, places, strict=True) if place is None]
    if unknown:
        raise _unknown(images, unknown, names)
    known = set(places)
    if missing := [name for place, name in enumerate(names) if place not in known]:
        used = f"of {images.name} ({images.split}) {len(images):,} images are used"
        note(f"{used}, and none of them is of {few(missing, names)}")
    return torch.from_numpy(np.array(places, np.int64)[rows.reshape(-1)])


def note_lost(what: str, whole: Array | None, part: Array | None, names: Sequence[str]) -> None:
    """Say on stderr which classes of the labels `whole` have no image in `part`, the labels of the split
    `what`.
    """
    if whole is None or part is None:
        return
    known = np.unique(whole[whole >= 0])
    lost = np.setdiff1d(known, part).tolist()
    if lost:
        words = [names[number] if number < len(names) else str(number) for number in lost]
        note(f"{what} has no image of {few(words, known)}")


def few(names: Sequence[str], of: Sized = (), most: int = 5) -> str:
    """Return the first of `names` as one text, and how many more there are; and of how many, with `of`."""
    listed = ", ".join(names[:most]) + (f", … ({len(names) - most:,} more)" if len(names) > most else "")
    return f"{len(names):,} of {len(of):,} classes: {listed}" if len(of) else listed


def _folded(name: str) -> str:
    word = " ".join(name.casefold().replace("_", " ").split())
    return word.lstrip("0") or "0" if word.isascii() and word.isdigit() else word


def _unlabelled(images: _Images) -> DataError:
    why = (
        images.facts.get("labels", "").removeprefix(NONE)
        or "one folder per class labels a folder of images, 'labels' an .npz"
    )
    return DataError(f"{images.name} has no labels", why)


def _unknown(images: _Images, unknown: Sequence[str], names: Sequence[str]) -> DataError:
    """Return the error for classes of `images` that are not among the `names` of the model's."""
    folded = {_folded(name): name for name in names}
    listed = []
    for word in unknown[:3]:
        near = difflib.get_close_matches(_folded(word[:100]), list(folded), n=1, cutoff=0.5)
        listed.append(repr(word) + (f" (nearest: {folded[near[0]]!r})" if near else ""))
    more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
    numbers = all(word.isdigit() for word in unknown) and not any(name.isdigit() for name in names)
    return DataError(
        f"{images.name} has images of classes that the model does not know: {', '.join(listed)}{more}",
        f"the model knows {few(names)}: give the numbers names, class_names in an .npz"
        if numbers
        else f"leave them out; the model knows {few(names)}",
    )


def _line(name: object) -> str:
    text = str(name)
    plain = len(text) <= LONGEST_NAME and text.isascii() and text.isprintable()
    return text.strip() if plain else safe_text(text, LONGEST_NAME)


def _numerals(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


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
    empty = sum(not text.strip() for text in texts.tolist())
    if empty:
        raise ArgumentError(f"{MUST}, and {empty:,} of {len(texts):,} are empty", LEAVE_OUT)
    names = class_order(texts.tolist())
    number = {name: place for place, name in enumerate(names)}
    return np.array([number[text] for text in texts.tolist()], np.int64), names


def _whole(array: Array) -> Array:
    if array.dtype.kind not in "buif":
        raise ArgumentError(f"{MUST}, not {array.dtype}", NUMBER)
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        if bad.any():
            raise ArgumentError(
                f"{MUST}, and {int(bad.sum()):,} of {len(array):,} are NaN or infinite",
                f"{LEAVE_OUT}: images[~numpy.isnan(labels)]",
            )
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
