"""Opens Flowers-102 with template captions, by its official split or by combinations of colour and flower."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genzoo.data import npz
from genzoo.data.arrays import conform
from genzoo.data.asked import Asked
from genzoo.data.cache import Loaded, Room, cached, kept_frames, key_of, place_of
from genzoo.data.collection import Images
from genzoo.data.flowers import COLOURS, VERSION, captions_of, colours_of, held_out
from genzoo.data.splits import hold_out
from genzoo.data.types import Array
from genzoo.datasets import NAMES
from genzoo.errors import DataError


def open_flowers(path: Path, name: str, asked: Asked) -> Images:
    """Return a split of the flowers in `path`: the official one, or that of `flowers-unseen`.

    Raises:
        ArgumentError: a split that there is not.
        DataError: the file is damaged, or has no labels.
    """
    known = NAMES[name]
    arrays = npz.read(path, known.sides)
    place = str(path.resolve()) if asked.cache else None
    with npz.told_with(path):
        whole, contents = npz.jpegs(arrays, name, asked.shape, place, asked.progress)
        labels = whole.labels
        if labels is None:
            raise DataError(f"{name} has no labels", "fetch the file again")
        colours = _colours(npz.Slices(arrays, "jpeg"), contents, place, asked)
        names = known.classes
        whole = whole.replace(captions=captions_of(colours, labels, names), class_names=names)
        if known.sides:
            return conform(npz.side_part(whole, arrays[known.sides], asked.split), asked.shape)
        both = zip(colours.tolist(), labels.tolist(), strict=True)
        unseen = np.array([held_out(COLOURS[colour], names[label]) for colour, label in both], bool)
        rows = np.flatnonzero(unseen if asked.split == "test" else ~unseen)
        part = whole.subset(rows, split=asked.split)
        if asked.split == "test":
            return part
        return hold_out(part, [contents[row] for row in rows], asked.split, 0.0)


def _colours(files: npz.Slices, contents: list[str], place: str | None, asked: Asked) -> Array:
    """Return the colour of each flower; measured at the size in the file, whatever size is asked for."""

    def make(room: Room) -> Loaded:
        pixels, _ = npz.decoded(files, "the colours of flowers", None, place, asked.progress)
        return kept_frames(colours_of(pixels).reshape(-1, 1, 1, 1))

    key = key_of("colours of flowers", VERSION, tuple(contents)) if place else None
    codes = cached(key, make, "the colours of flowers", place_of("colours", place)).pixels
    return codes.reshape(-1)
