"""What a condition must refuse, kind by kind, and how a text must be read."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import torch

from genzoo.condition import Condition, Labels, Picture, Text
from genzoo.models.rows import rows_of
from genzoo.testing.law import hold


@functools.singledispatch
def wrong_values(condition: Condition, n: int) -> dict[str, tuple[Any, bool]]:
    """Return values that a condition must refuse for `n` images, by what they are, and whether the error must
    name what there is.
    """
    return {
        "no condition": (None, True),
        "an object": (object(), True),
        "an empty list": ([], False),
        "one for each of fewer images": (condition.examples(n - 1), False),
    }


@wrong_values.register
def _wrong_labels(condition: Labels, n: int) -> dict[str, tuple[Any, bool]]:
    return {
        **wrong_values.dispatch(Condition)(condition, n),
        "a label that does not exist": ("no such label \x1b[2J\n", True),
        "a number beyond the last": (len(condition), True),
        "-1": (-1, True),
        "a float": (0.0, True),
        "NaN": (float("nan"), True),
        "True": (True, True),
        "a wrong one among others": ([*condition.examples(n - 1), len(condition)], True),
        "floats": (torch.zeros(n), True),
        "a picture for each": (torch.zeros(n, 1, 8, 8), True),
    }


@wrong_values.register
def _wrong_texts(condition: Text, n: int) -> dict[str, tuple[Any, bool]]:
    unknown = "".join(chr(ord("a") + i % 26) for i in range(max(map(len, condition.vocabulary)) + 1))
    known = condition.vocabulary[0]
    return {
        **wrong_values.dispatch(Condition)(condition, n),
        "an empty text": ("", True),
        "a text without a word": ("12 \x1b[2!\n", True),
        "an unknown word": (unknown, True),
        "an unknown word among others": ([*condition.examples(n - 1), unknown], True),
        "a text that is too long": (" ".join([known] * (condition.length + 1)), True),
        "a text of 10,000 words": (" ".join([known] * 10_000), True),
        "bytes": (known.encode(), True),
        "NaN": (float("nan"), True),
        "a number": (3, True),
        "floats": (torch.zeros(n, condition.length), True),
        "numbers of words that do not exist": (
            torch.full((n, condition.length), len(condition.vocabulary) + 1),
            True,
        ),
        "one number for each": (torch.zeros(n, dtype=torch.int64), True),
    }


@wrong_values.register
def _wrong_pictures(condition: Picture, n: int) -> dict[str, tuple[Any, bool]]:
    channels, height, width = condition.shape
    return {
        **wrong_values.dispatch(Condition)(condition, n),
        "a text": ("no such picture \x1b[2J\n", True),
        "bytes": (b"\x89PNG", True),
        "a number": (0, True),
        "other channels": (torch.zeros(n, 4 - channels, height, width), True),
        "another size": (torch.zeros(n, channels, height + 1, width), True),
        "values below 0": (torch.full((n, channels, height, width), -1.0), True),
        "NaN": (torch.full((n, channels, height, width), float("nan")), True),
        "whole numbers": (torch.zeros(n, channels, height, width, dtype=torch.int64), True),
        "more pictures than images": (torch.zeros(n + 1, channels, height, width), False),
        "a wrong one among others": ([*condition.examples(n - 1), 0], True),
    }


def check_alike(condition: Text, where: str) -> None:
    """Hold that a text is read alike however it is written, and that its numbers say the same as its words.

    Raises:
        LawError: the law is broken.
    """
    law = "a text has the same numbers in any case, spacing and Unicode form"
    for text in condition.examples(3):
        row = rows_of(condition, text, 1)
        hold(
            row.dtype == torch.int64 and row.shape == (1, condition.length),
            "a text is encoded as int64 (n, length)",
            f"{row.dtype} {tuple(row.shape)}",
            where,
        )
        for written in (text.upper(), f"  {text}!\n", unicodedata.normalize("NFD", text), *_spaced(text)):
            same = torch.equal(rows_of(condition, written, 1), row)
            hold(same, law, f"others for {written!r}", where)
        again = rows_of(condition, condition.decode(row[0].tolist()), 1)
        hold(torch.equal(again, row), "decode gives the words back", text, where)
        many = rows_of(condition, [text, *condition.examples(2)], 3)
        law_ = "a text is encoded alike alone and among others"
        hold(torch.equal(many[:1], row), law_, f"other numbers for {text!r}", where)


def _spaced(text: str) -> list[str]:
    return [text.replace(" ", separator) for separator in ("  ", "-", "\t", ", ")]
