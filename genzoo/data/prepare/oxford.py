"""Flowers-102: photographs, found by their fingerprints, with the labels and the split of Oxford."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genzoo.data.prepare.albums import albums
from genzoo.data.prepare.made import Made, look_for, npz_of, refused
from genzoo.data.prepare.matlab import read_matlab
from genzoo.data.prepare.photographs import FLOWERS, encoded, find, folders_of, verdict
from genzoo.data.prepare.prints import known
from genzoo.data.types import Array

LABELS, SPLIT = "imagelabels.mat", "setid.mat"
SPLITS = ("trnid", "valid", "tstid")  # arrays of setid.mat: numbers of images, from 1


def flowers(name: str, sources: Sequence[str]) -> Made:
    """Return flowers102_64.npz: 8,189 photographs at 64x64, in the order of Oxford's numbers.

    A photograph has the label and the split that are known for it, whatever its file and folder are called.
    Where `sources` hold imagelabels.mat and setid.mat, they must say the same.

    Raises:
        DataError: not all photographs are in `sources`, or one of the two files differs.
    """
    shelves = albums(name, sources, FLOWERS.native)
    labels, split = known(f"{name}_labels"), known(f"{name}_split")
    checked = _checked(name, [str(folder) for folder in folders_of(shelves)], labels, split)
    found = encoded(name, find(name, shelves, FLOWERS, by_file=True), FLOWERS)
    arrays = {key: array for key, array in found.arrays.items() if key != "path"}
    arrays |= {"labels": labels, "split": split, "image_id": np.arange(1, len(labels) + 1, dtype=np.int32)}
    return Made({"flowers102_64.npz": npz_of(arrays, packed=False)}, (verdict(found, FLOWERS), checked))


def _checked(name: str, folders: Sequence[str], labels: Array, split: Array) -> str:
    """Return a remark on the files of labels and split in `folders`.

    Raises:
        DataError: one of them says something else.
    """
    wanted = {
        LABELS: {"labels": labels.astype(np.int64) + 1},
        SPLIT: {key: np.flatnonzero(split == number) + 1 for number, key in enumerate(SPLITS)},
    }
    seen = []
    for file, arrays in wanted.items():
        path = look_for(name, folders, file)
        if path is not None:
            _compare(name, path, arrays)
            seen.append(file)
    if seen:
        return f"labels and split as published, {' and '.join(seen)} agree"
    return f"labels and split as published; no {LABELS} or {SPLIT} to compare them with"


def _compare(name: str, path: Path, wanted: dict[str, Array]) -> None:
    found = read_matlab(path)
    for key, numbers in wanted.items():
        given = found.get(key, np.zeros(0)).ravel()
        # the numbers of a split may have any order
        same = np.array_equal(given if key == "labels" else np.sort(given), numbers)
        if not same:
            raise refused(
                name, f"the {len(given):,} numbers {key!r} of {path} are not the {len(numbers):,} published"
            )
