"""Opens the data sets of `genzoo.datasets`.

They are looked for under `GENZOO_DATA` first; those with a stable public home are then fetched from it.
`digits` is embedded: the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak;
UCI Machine Learning Repository, 1998, CC BY 4.0) as scikit-learn ships it (BSD), 1,797 scans of 8x8 counts in
0..16. The file was made once, by

    digits = sklearn.datasets.load_digits()
    images, labels = np.rint(digits.images * 255 / 16).astype(np.uint8), digits.target.astype(np.uint8)
    np.savez_compressed("digits.npz", images=images, labels=labels)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from genzoo.data import idx, npz
from genzoo.data.arrays import conform
from genzoo.data.asked import Asked
from genzoo.data.binary import binarised
from genzoo.data.cifar import open_cifar10
from genzoo.data.collection import Images
from genzoo.data.flowers_file import open_flowers
from genzoo.data.labels import places_of
from genzoo.data.local import at_home
from genzoo.data.pairs_npz import open_npz_pairs, open_npz_sides
from genzoo.data.pool import Progress
from genzoo.data.remote import fetch
from genzoo.data.splits import FIT, check_split, hold_out, range_keys
from genzoo.data.types import Array, Shape
from genzoo.data.unpaired import joined
from genzoo.datasets import FRAMES, NAMES
from genzoo.errors import DataError

ROOM: Shape = (3, 64, 64)  # of rooms, where no shape is asked for: its files differ in size


def _place(arrays: Mapping[str, Array]) -> list[str]:
    return range_keys(len(arrays["images"]) if "images" in arrays else len(arrays["offsets"]) - 1)


def _person(arrays: Mapping[str, Array]) -> list[str]:
    return [str(path).split("/")[0] for path in arrays["path"]]


def _block(arrays: Mapping[str, Array]) -> list[str]:
    return [f"block {frame // FRAMES}" for frame in range(len(arrays["images"]))]


# `Dataset.grouped` -> the key of each image; those with one key stay in one split
_KEYS: Mapping[str, npz.Keys] = {"": _place, "person": _person, "block": _block}


def open_named(
    name: str,
    shape: Shape | None,
    split: str,
    val_split: float,
    cache: bool = True,
    progress: Progress | None = None,
) -> Images:
    """Return a split of the data set `name`, one of NAMES.

    Raises:
        ArgumentError: a split that the set has not.
        DataError: its files are neither under GENZOO_DATA nor to be fetched.
    """
    known = NAMES[name]
    asked = Asked(shape=shape, split=split, share=val_split, cache=cache, progress=progress)
    if name in _OWN:
        images = _OWN[name](name, asked)
    else:
        images = npz.open_npz(
            Path(__file__).with_name("digits.npz") if name == "digits" else at_home(name, known.files[0]),
            shape,
            split,
            val_split,
            cache=cache,
            progress=progress,
            name=name,
            keys=_KEYS[known.grouped],
            sides=known.sides,
        )
    classes = () if images.labels is None else known.classes or images.class_names
    return images.replace(name=name, facts={**images.facts, **known.facts}, class_names=classes)


def _rooms(name: str, asked: Asked) -> Images:
    """Return the bedrooms of `bedrooms`, held out as there, and the other kinds of room, held out by their
    contents.
    """
    shape, split, val_split, cache, progress = asked.usual
    shape = shape or ROOM
    path = [at_home("rooms", file) for file in NAMES["rooms"].files][1]
    names = NAMES["rooms"].classes
    bedrooms = open_named("bedrooms", shape, split, val_split, cache, progress)
    others = npz.open_npz(path, shape, split, val_split, cache=cache, progress=progress, name="rooms")
    places = places_of(others.class_names, names)
    if others.labels is None or None in places:
        found = ", ".join(others.class_names) or "rooms without labels"
        raise DataError(f"{path} must hold {', '.join(names[1:])}, not {found}", "fetch it again")
    kinds = np.array(places, np.int64)[others.labels]
    return Images(
        pixels=np.concatenate([bedrooms.pixels, others.pixels]),
        split=bedrooms.split,
        labels=np.concatenate([np.full(len(bedrooms), names.index("bedroom"), np.int64), kinds]),
        facts=others.facts,
    )


def _flowers(name: str, asked: Asked) -> Images:
    return open_flowers(at_home(name, NAMES[name].files[0]), name, asked)


def _pairs(name: str, asked: Asked) -> Images:
    known = NAMES[name]
    return open_npz_pairs(at_home(name, known.files[0]), known.halves, asked, name)


def _domains(name: str, asked: Asked) -> Images:
    known = NAMES[name]
    first, second, _ = open_npz_sides(at_home(name, known.files[0]), asked, name)
    sides = (
        side.replace(facts={**side.facts, **known.facts, "domain": domain})
        for side, domain in zip((first, second), known.domains, strict=True)
    )
    return joined(*sides)


def _domains_as_classes(name: str, asked: Asked) -> Images:
    """Return the images of both domains as one set, each labelled with its own."""
    sides = open_npz_sides(at_home(name, NAMES[name].files[0]), asked, name)[:2]
    return sides[0].replace(
        pixels=np.concatenate([side.pixels for side in sides]),
        labels=np.repeat(np.arange(2), [len(side) for side in sides]),
    )


def _digits(name: str, asked: Asked) -> Images:
    shape = _grey(asked.shape, name) if asked.shape and asked.shape[0] != 3 else None
    # resized while it is grey, and then made black and white
    grey = open_named("digits", shape, "train", 0, asked.cache)
    every = binarised(grey.replace(split="all"), "digits").replace(name=name, transform="static-binarised")
    part = hold_out(every, range_keys(len(every)), asked.split, asked.share)
    return conform(part, asked.shape, asked.cache, asked.progress)


def _grey(shape: Shape | None, name: str) -> Shape | None:
    if shape is not None and shape[0] != 1:
        raise DataError(
            f"{name} is drawn again from grey levels and has one channel, not {shape[0]}",
            "use 'binarized-mnist' for three",
        )
    return shape


def _dynamic(name: str, asked: Asked) -> Images:
    shape, split, share, cache, progress = asked.usual
    images = open_named("mnist", _grey(shape, name), split, share, cache, progress)
    training = split in ("train", FIT)
    drawn = binarised(images, f"mnist/{'train' if training else split}").replace(
        transform="dynamic-binarised"
    )
    return drawn.replace(grey=images.pixels) if training else drawn


def _idx_set(name: str, asked: Asked) -> Images:
    split = asked.split
    part = idx.PARTS[check_split(split, tuple(idx.PARTS), name)]
    root = os.environ.get("GENZOO_DATA")
    arrays = []
    for file in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
        path = idx.find(Path(root).expanduser() / name, file) if root else None
        arrays.append(
            idx.read(path) if path else idx.parse(fetch(NAMES[name].homes[f"{file}.gz"], name), f"{file}.gz")
        )
    pixels, labels = arrays
    images = idx.images_of(pixels, labels, name, split)
    return conform(images, asked.shape, asked.cache, asked.progress)


# sets that are no single .npz of one picture per image -> what opens them
_OWN: Mapping[str, Callable[[str, Asked], Images]] = {
    "rooms": _rooms,
    "dynamic-binarized-mnist": _dynamic,
    "binarized-digits": _digits,
    "mnist": _idx_set,
    "fashion-mnist": _idx_set,
    "cifar10": open_cifar10,
    "flowers102": _flowers,
    "flowers-unseen": _flowers,
    "facades": _pairs,
    "horse2zebra": _domains,
    "horses-zebras": _domains_as_classes,
}
