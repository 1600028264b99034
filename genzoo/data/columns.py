"""What is known of each image besides its pixels: one table of columns, which are checked and cut alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from genzoo.data.captions import read_captions
from genzoo.data.labels import read_labels
from genzoo.data.types import Array
from genzoo.errors import ArgumentError

Column: TypeAlias = "Array | tuple[tuple[str, ...], ...] | Mapping[str, Array]"


def read_columns(given: Mapping[str, object], pixels: Array) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return the columns in `given` that are not None, each in its one form, and the names of the classes
    where labels are texts.

    Raises:
        ArgumentError: a column has another number of rows than `pixels` (N, C, H, W), or another form.
    """
    columns: dict[str, Column] = {}
    names: tuple[str, ...] = ()
    for key, column in given.items():
        if column is None:
            continue
        if key == "labels":
            columns[key], names = read_labels(column, len(pixels))
        else:
            columns[key] = _READ[key](column, pixels)
        _check_length(key, columns[key], len(pixels))
    return MappingProxyType(columns), names


def cut(column: Any, rows: Any, count: int) -> Any:
    """Return the entries of `column`, which has `count`, at `rows`: a slice, an array of places or a mask."""
    if isinstance(column, Mapping):
        return {key: cut(part, rows, count) for key, part in column.items()}
    if isinstance(column, tuple):
        return tuple(column[place] for place in np.arange(count)[rows].tolist())
    return column[rows]


def _check_length(key: str, column: Column, count: int) -> None:
    parts = column.items() if isinstance(column, Mapping) else ((key, column),)
    for name, part in parts:
        if len(part) != count:
            raise ArgumentError(f"{name} must have one entry per image: {len(part)} for {count} images")


def _as_is(column: Any, pixels: Array) -> Column:
    found: Column = column
    return found


def _attributes(column: Any, pixels: Array) -> Column:
    return MappingProxyType(dict(column))


def _grey(column: Any, pixels: Array) -> Column:
    if column.shape != pixels.shape:
        raise ArgumentError(f"grey must have the shape of pixels, {pixels.shape}, not {column.shape}")
    return _as_is(column, pixels)


def _source(column: Any, pixels: Array) -> Column:
    form = isinstance(column, np.ndarray) and column.dtype == np.uint8 and column.ndim == 4
    if not form or column.shape[1] not in (1, 3):
        raise ArgumentError(
            "source must be a uint8 array (N, C, H, W) with C = 1 or 3", "its size may be another than theirs"
        )
    return _as_is(column, pixels)


def _captions(column: Any, pixels: Array) -> Column:
    return read_captions(column, len(pixels))


# name of a column -> what brings it to its one form, or raises ArgumentError; labels bring names with them
_READ: Mapping[str, Callable[[Any, Array], Column]] = MappingProxyType(
    {"blocks": _as_is, "attributes": _attributes, "grey": _grey, "source": _source, "captions": _captions}
)
