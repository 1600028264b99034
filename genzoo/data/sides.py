"""Sets of two sides: which files, or which arrays, are the first and which the second.

Known names of sides are A and B (pix2pix, CycleGAN) and source and target. A split may be written before or
after: `trainA/`, `train/A/` and `A/train/` are all the training images of A.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import TypeAlias

from genzoo.data.layout import WORDS, is_image
from genzoo.data.listing import Files, Listing
from genzoo.data.notes import note
from genzoo.errors import DataError, safe_text

KNOWN = (("A", "B"), ("source", "target"))
DEEPEST = 3  # folders in which the name of a side is looked for
Names: TypeAlias = "tuple[str, str]"


def side_of(word: str, names: Sequence[str]) -> tuple[str, str] | None:
    """Return which of `names` the name of a folder or array means, and the split that stands before it
    ("" for none); None where it means neither.
    """
    for name in names:
        found = re.fullmatch(rf"(?:({'|'.join(WORDS)})[_-]?)?{re.escape(name.lower())}", word.lower())
        if found:
            return name, WORDS[found[1]] if found[1] else ""
    return None


def names_of(words: Iterable[str]) -> Names | None:
    """Return the known names of sides among `words`, of folders or arrays; None where there are none."""
    every = list(words)
    return next((names for names in KNOWN if any(side_of(word, names) for word in every)), None)


def folders_of(listing: Listing) -> set[str]:
    """Return the names of the folders, down to `DEEPEST`, that hold the images of `listing`."""
    return {word for path, _ in listing.files if is_image(path) for word in path.split("/")[:-1][:DEEPEST]}


def two_listings(folder: object, listing: Listing, names: Names) -> tuple[Listing, Listing]:
    """Return the images of the sides `names` in `listing`; in their names the folder of the side is left out
    and that of the split is called by its usual word. Images of neither side are counted on stderr.

    Raises:
        DataError: a side has no images.
    """
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in names}
    left_out = []
    for number, (path, _) in enumerate(listing.files):
        if not is_image(path):
            continue
        if told := _told(path, names):
            found[told[0]].append((told[1], number))
        else:
            left_out.append(path)
    for name, other in (names, names[::-1]):
        if not found[name]:
            raise DataError(
                f"the folder {folder} has no images of the side {name!r}, only of {other!r}",
                f"put them in {name}/ or train{name}/",
            )
    if left_out:
        files = f"{len(left_out):,} image{'s' * (len(left_out) != 1)}"
        sides = " and ".join(names)
        note(f"{folder}: {files} in no folder of {sides}: not used (one of them: {listed(left_out[:1])})")
    first, second = (_listing(listing, sorted(found[name]), name) for name in names)
    return first, second


def _told(path: str, names: Names) -> tuple[str, str] | None:
    """Return the side of the image at `path` and its name without the folder of that side, or None."""
    parts = path.split("/")
    for place, word in enumerate(parts[:-1][:DEEPEST]):
        if told := side_of(word, names):
            side, split = told
            return side, "/".join([*parts[:place], *([split] if split else []), *parts[place + 1 :]])
    return None


def _listing(listing: Listing, entries: Sequence[tuple[str, int]], side: str) -> Listing:
    numbers = [number for _, number in entries]
    files = Files.of([name for name, _ in entries], listing.files.states[numbers])
    return Listing(files, paths=[listing.path(number) for number in numbers], side=side)


def stem(name: str) -> str:
    """Return `name` without the suffix of its format: the two files of a pair may be of different formats."""
    return str(PurePosixPath(name).with_suffix("")) if is_image(name) else name


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return the first of `names`, and how many more there are, in one line."""
    shown = ", ".join(safe_text(os.fsencode(name).decode("utf-8", "replace"), 100) for name in names[:most])
    return shown + (f", … ({len(names) - most:,} more)" if len(names) > most else "")
