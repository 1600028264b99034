"""What the commands that look into a model share: where the picture goes, the seed, the model itself, and
lists of numbers.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from genzoo.card import Card
from genzoo.catalogue import Entry
from genzoo.cli.options import FRESH_SEEDS, F, collect_garbage
from genzoo.cli.output import Progress
from genzoo.cli.pictures import check_file, free_file

_NUMBER = re.compile(r"-?\d{1,19}", re.ASCII)


def out_option(stem: str) -> Callable[[F], F]:
    """Add -o; without it the picture is NAME-`stem`.png, or the first of NAME-`stem`-2.png … that is not
    there yet.
    """
    return click.option(
        "-o", "--out", type=click.Path(), help=f"PNG file to write. Default: NAME-{stem}.png."
    )


def target(out: str | None, card: Card, stem: str) -> Path:
    """Return the path of the picture, checked before any work."""
    return check_file(out) if out is not None else free_file(f"{card.name}-{stem}")


def drawn(seed: int | None) -> int:
    """Return `seed`, or a fresh one that is short enough to be typed again."""
    # Not check_seed, whose seeds of 19 digits are tedious to type.
    return secrets.randbelow(FRESH_SEEDS) if seed is None else seed


def loaded(entry: Entry, device: str | None) -> Any:
    """Return the model of `entry` with its published weights."""
    from genzoo import zoo

    with Progress(entry.card.name) as progress:
        model = zoo.load(entry, device=device, progress=progress)
    collect_garbage()
    return model


def read_numbers(context: click.Context, parameter: click.Parameter, texts: Sequence[str]) -> list[int]:
    """Return `0,3` and further such texts as one list of whole numbers."""
    words = [word.strip() for text in texts for word in text.split(",")]
    for word in words:
        if not _NUMBER.fullmatch(word):
            raise click.BadParameter(
                f"{word!r} is not a whole number; write 3, or several with commas: 0,3", context, parameter
            )
    return [int(word) for word in words]


def several(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun: "1 image", "2 images"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
