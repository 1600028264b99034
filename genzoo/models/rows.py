"""Conditions as tensors, with one row for each image."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from genzoo.condition import Condition, Labels, Picture, Text
from genzoo.errors import ArgumentError, safe_repr, safe_text
from genzoo.images import check_images
from genzoo.rng import Rng

DRAWN = 2_017  # seed of the pictures that are drawn by rule
CELLS = 4  # that they have in each direction


@functools.singledispatch
def rows_of(condition: Condition, value: Any, n: int) -> Tensor:
    """Return `value`, one for all of `n` images or one for each, as a tensor with n rows.

    Labels become int64 (n,), texts int64 (n, length) with 0 after the last word, pictures float32 (n, C, H,
    W) in [0, 1].

    Raises:
        ArgumentError, UnknownNameError: not a value of this condition, or not n of them.
    """
    raise TypeError(f"no rows of {type(condition).__name__}")


@rows_of.register
def _label_rows(condition: Labels, value: Any, n: int) -> Tensor:
    if _is_list(value):
        return _each(condition, value, n)
    return torch.full((n,), condition.number(value))


def _is_list(value: Any) -> bool:
    """Say whether `value` has rows in an order: a sequence, an array or a tensor, but no text, set or
    mapping.
    """
    shape = getattr(value, "shape", None)
    return (
        isinstance(value, Sequence) and not isinstance(value, (str, bytes)) if shape is None else shape != ()
    )


def _each(condition: Labels, values: Any, n: int) -> Tensor:
    shape = tuple(getattr(values, "shape", (len(values),)))
    if len(shape) != 1:
        raise ArgumentError(
            f"a label for each image is a list of {n}, not an array of the shape {shape}",
            f"this model takes {condition.words}",
        )
    _check_number(values, n, "label")
    if hasattr(values, "tolist"):  # numbers of Python are quicker, and plainer in a message
        values = values.tolist()
    numbers: dict[Any, int] = {}  # the same few labels come again and again
    return torch.tensor([_number(condition, value, numbers) for value in values])


def _number(condition: Labels, value: Any, known: dict[Any, int]) -> int:
    try:
        key = (type(value), value)
        if key not in known:
            known[key] = condition.number(value)
        return known[key]
    except TypeError:  # a list or another value without a hash, which is no label
        return condition.number(value)


def _check_number(values: Any, n: int, what: str) -> None:
    if len(values) != n:
        raise ArgumentError(
            f"there are {len(values):,} {what}s for {n:,} image{'s' * (n != 1)}",
            f"give one {what} for all, or one for each",
        )


@rows_of.register
def _text_rows(condition: Text, value: Any, n: int) -> Tensor:
    if getattr(value, "ndim", 0) == 2:
        return _encoded(condition, value, n)
    if not _is_list(value):
        return torch.tensor(condition.encode(value)).expand(n, condition.length)
    shape = tuple(getattr(value, "shape", (len(value),)))
    if len(shape) != 1:
        raise ArgumentError(
            f"a text for each image is a list of {n}, not an array of the shape {shape}",
            f"this model takes {condition.words}",
        )
    _check_number(value, n, "text")
    known: dict[str, list[int]] = {}  # the same few texts come again and again
    for text in value:
        if not isinstance(text, str) or text not in known:
            known[str(text)] = condition.encode(text if not hasattr(text, "item") else text.item())
    return torch.tensor([known[str(text)] for text in value])


def _encoded(condition: Text, value: Any, n: int) -> Tensor:
    """Return texts that are numbers already, (n, length), as data sets have them."""
    rows = value if isinstance(value, Tensor) else torch.as_tensor(value)
    whole = not (rows.is_floating_point() or rows.is_complex() or rows.dtype == torch.bool)
    if not whole or tuple(rows.shape) != (n, condition.length):
        raise ArgumentError(
            f"encoded texts are int64 of the shape {(n, condition.length)}, not {rows.dtype} of the shape "
            f"{tuple(rows.shape)}",
            f"this model takes {condition.words}",
        )
    if rows.numel() and not 0 <= int(rows.min()) <= int(rows.max()) <= len(condition.vocabulary):
        raise ArgumentError(
            f"numbers of words run from 0 to {len(condition.vocabulary):,}, not from {int(rows.min())} to "
            f"{int(rows.max())}",
            f"this model takes {condition.words}",
        )
    return rows.to(torch.int64)


@rows_of.register
def _picture_rows(condition: Picture, value: Any, n: int) -> Tensor:
    number = condition.drawn(value)
    if number is not None:
        return drawn_picture(condition.shape, number).expand(n, *condition.shape)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        _check_number(value, n, "picture")
        return torch.cat([_picture_rows(condition, each, 1) for each in value])
    if not hasattr(value, "shape"):
        raise ArgumentError(
            f"a picture must be an array {condition.shape}, not {safe_text(safe_repr(value), 100)}",
            f"this model takes {condition.words}",
        )
    pictures = sources(condition, value[None] if len(value.shape) == 3 else value)
    if len(pictures) not in (1, n):
        _check_number(pictures, n, "picture")
    return pictures.expand(n, *condition.shape)


def sources(condition: Picture, value: Any) -> Tensor:
    """Return pictures of the size that `condition` states as float32 (N, C, H, W) in [0, 1].

    Raises:
        ArgumentError: another shape, dtype or range.
    """
    try:
        return check_images(value, condition.shape, "the picture")
    except ArgumentError as error:
        channels = f"; {hint}" if (hint := channels_hint(tuple(value.shape), condition.shape[0])) else ""
        told = f"{error.hint}{channels}" if error.hint else channels.removeprefix("; ")
        raise ArgumentError(
            error.message, f"{told or 'see genzoo.images'}; this model takes {condition.words}"
        ) from error


def channels_hint(shape: tuple[int, ...], channels: int) -> str:
    """Return how pictures (N, C, H, W) get so many `channels`, "" where they have them."""
    if len(shape) != 4 or shape[1] == channels or shape[1] not in (1, 3):
        return ""
    if channels == 3:
        return "grey pictures become coloured ones by x.expand(-1, 3, -1, -1)"
    return "coloured pictures become grey ones by x.mean(1, keepdim=True)"


def drawn_picture(shape: tuple[int, int, int], number: int) -> Tensor:
    """Return picture `number` of those that are drawn by rule, (1, C, H, W) in [0, 1]: a few areas of plain
    colour, the same on every machine.
    """
    channels, height, width = shape
    cells = Rng(DRAWN, number, 1).uniform(channels, min(CELLS, height), min(CELLS, width)).float()
    return interpolate(cells, (height, width), mode="nearest")
