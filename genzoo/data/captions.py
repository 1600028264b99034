"""Captions: one or more texts about each image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Protocol, TypeAlias

import numpy as np

from genzoo.data.notes import note
from genzoo.errors import ArgumentError, DataError, safe_text

Captions: TypeAlias = "tuple[tuple[str, ...], ...]"

LONGEST = 10_000  # characters of one caption
UNUSED = "captions are not used: "  # why follows
MUST = "captions must be one or more texts per image"
_NEEDED: ContextVar[bool] = ContextVar("needed", default=False)


class _Images(Protocol):
    """What is asked here of `genzoo.data.Images`."""

    @property
    def name(self) -> str: ...
    @property
    def captions(self) -> Captions | None: ...
    @property
    def facts(self) -> Mapping[str, str]: ...


def read_captions(captions: object, count: int) -> Captions:
    """Return `captions` of `count` images as one tuple of texts per image; a single text is one of one.

    White space at both ends is removed, and that within a text becomes single spaces.

    Raises:
        ArgumentError: another number of entries, an image without a text, or a text that is empty, longer
            than 10,000 characters or has control characters.
    """
    if isinstance(captions, str) or not isinstance(captions, Iterable):
        raise ArgumentError(f"{MUST}, not {type(captions).__name__}", 'for example [("a red flower",), ...]')
    rows = list(captions)
    if len(rows) != count:
        raise ArgumentError(
            f"captions must have one entry per image: {len(rows):,} for {count:,} images",
            "pass as many captions as images",
        )
    return tuple(_texts(row, place) for place, row in enumerate(rows))


def _texts(row: object, place: int) -> tuple[str, ...]:
    texts = (row,) if isinstance(row, str) else row
    if not isinstance(texts, Sequence | np.ndarray) or not len(texts):
        raise ArgumentError(f"{MUST}, and image {place} has none", "leave it out, or describe it")
    try:
        return tuple(map(checked_caption, texts))
    except ArgumentError as error:
        raise ArgumentError(f"image {place}: {error.message}", error.hint) from error


def checked_caption(text: object) -> str:
    """Return `text` with single spaces, or raise ArgumentError if it is no caption."""
    if not isinstance(text, str):
        raise ArgumentError(
            f"a caption must be a text, not {type(text).__name__}", 'for example "a red flower"'
        )
    plain = " ".join(text.split())
    if not plain:
        raise ArgumentError("a caption is empty", "leave the image out, or describe it")
    if len(plain) > LONGEST:
        raise ArgumentError(f"a caption has {len(plain):,} characters, more than {LONGEST:,}", "shorten it")
    if not plain.isprintable():
        shown = safe_text(next(sign for sign in plain if not sign.isprintable()))
        raise ArgumentError(f"a caption has the control character {shown}", "remove it")
    return plain


@contextlib.contextmanager
def needed(really: bool = True) -> Iterator[None]:
    """Leave it to `lacking`, an error, to say why captions cannot be used: in this block no line on stderr
    does, if they are `really` needed.
    """
    token = _NEEDED.set(really or _NEEDED.get())
    try:
        yield
    finally:
        _NEEDED.reset(token)


def unused(source: object, why: object) -> str:
    """Return what `Images.facts` say of captions that cannot be used, and say it on stderr, unless an error
    will.
    """
    words = f"{UNUSED}{why}"
    if not _NEEDED.get():
        note(f"{source}: {words}")
    return words


def captions_for(images: _Images) -> Captions:
    """Return the captions of `images`.

    Raises:
        DataError: there are none; the message says why where that is known.
    """
    if images.captions is None:
        raise lacking(images)
    return images.captions


def lacking(images: _Images, more: str = "") -> DataError:
    """Return the error for `images` without captions: why they cannot be used, or where there are none,
    `more` and where captions are stored.
    """
    if why := images.facts.get("captions", "").removeprefix(UNUSED):
        message, _, hint = why.partition(" — ")
        return DataError(f"{images.name}: {message}", hint)
    return DataError(
        f"{images.name} has no captions{more}",
        "a folder has metadata.jsonl with file_name and text, or name.txt next to name.jpg",
    )
