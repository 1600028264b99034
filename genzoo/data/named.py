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

import io
import os
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from genzoo.data import idx, npz
from genzoo.data.arrays import conform
from genzoo.data.asked import Asked
from genzoo.data.binary import binarised
from genzoo.data.cache import Loaded, cached, kept_frames, key_of, place_of
from genzoo.data.collection import Images
from genzoo.data.contents import digest_arrays
from genzoo.data.flowers_file import open_flowers
from genzoo.data.labels import places_of
from genzoo.data.pairs_npz import open_npz_pairs, open_npz_sides
from genzoo.data.pool import Progress
from genzoo.data.remote import fetch
from genzoo.data.splits import FIT, check_split, hold_out, last_of, range_keys
from genzoo.data.types import Array, Shape
from genzoo.data.unpaired import joined
from genzoo.datasets import FRAMES, NAMES
from genzoo.errors import DataError

ROOM: Shape = (3, 64, 64)  # of rooms, where no shape is asked for: its files differ in size
CIFAR_VALID = 5000  # the last of the training images
CIFAR_TEST = 1000  # images that are lossless everywhere; see the note of cifar10


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
            Path(__file__).with_name("digits.npz") if name == "digits" else _at_home(name, known.files[0]),
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
    path = [_at_home("rooms", file) for file in NAMES["rooms"].files][1]
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
    return open_flowers(_at_home(name, NAMES[name].files[0]), name, asked)


def _pairs(name: str, asked: Asked) -> Images:
    known = NAMES[name]
    return open_npz_pairs(_at_home(name, known.files[0]), known.halves, asked, name)


def _domains(name: str, asked: Asked) -> Images:
    known = NAMES[name]
    first, second, _ = open_npz_sides(_at_home(name, known.files[0]), asked, name)
    sides = (
        side.replace(facts={**side.facts, **known.facts, "domain": domain})
        for side, domain in zip((first, second), known.domains, strict=True)
    )
    return joined(*sides)


def _digits(name: str, asked: Asked) -> Images:
    every = binarised(open_named("digits", None, "train", 0).replace(split="all"), "digits")
    every = every.replace(name=name, transform="static-binarised")
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


def _local(file: str) -> Path | None:
    """Return the path of `file` under GENZOO_DATA, if it is there."""
    root = os.environ.get("GENZOO_DATA")
    path = Path(root).expanduser() / file if root else None
    return path if path is not None and os.path.isfile(path) else None


def _at_home(name: str, file: str) -> Path:
    """Return the path of `file`, which the data set `name` needs and which cannot be fetched, or raise
    DataError.
    """
    if path := _local(file):
        return path
    root = os.environ.get("GENZOO_DATA")
    where = f"GENZOO_DATA={root} has no {file}" if root else "GENZOO_DATA is not set"
    every = " and ".join(NAMES[name].files)
    raise DataError(
        f"the data set {name!r} has no public home to fetch it from, and {where}",
        f"set GENZOO_DATA to the folder that holds {every}, or give a folder of images",
    )


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


def _cifar10(name: str, asked: Asked) -> Images:
    return conform(_cifar(asked.split, asked.cache), asked.shape, asked.cache, asked.progress)


def _cifar(split: str, cache: bool) -> Images:
    check_split(split, name="cifar10")
    if split in ("valid", FIT):
        return last_of(_cifar("train", cache), split, CIFAR_VALID)
    names = NAMES["cifar10"].files[:5] if split == "train" else NAMES["cifar10"].files[5:]
    paths = [path for path in map(_local, names) if path is not None]
    if len(paths) < len(names):
        pixels, labels = _cifar_archive(
            fetch(NAMES["cifar10"].homes["cifar-10-binary.tar.gz"], "cifar10"), split
        )
        return Images(pixels=pixels, name="cifar10", split=split, labels=labels)
    files = [npz.read(path) for path in paths]

    def make() -> Loaded:
        return kept_frames(np.concatenate([npz.mosaics(arrays) for arrays in files]))

    try:
        contents = [digest_arrays(arrays["webp"], arrays["offsets"]) for arrays in files] if cache else []
        pixels = cached(
            key_of("cifar10", *contents) if cache else None, make, "cifar10", place_of("cifar10", split)
        ).pixels
        labels = np.concatenate([arrays["labels"] for arrays in files])[: len(pixels)]
    except KeyError as error:
        raise DataError(
            f"cifar10: the key {error} is missing in {paths[0].parent}", "fetch the files again"
        ) from error
    return Images(pixels=pixels, name="cifar10", split=split, labels=labels)


def _cifar_archive(data: bytes, split: str) -> tuple[Array, Array]:
    """Read the binary version: 10,000 records of a label and 3x32x32 bytes in every file. The Python version
    is pickle.
    """
    files = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    size = 3 * npz.SIDE**2
    records = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for file in files:
                member = archive.extractfile(f"cifar-10-batches-bin/{file}")
                content = b"" if member is None else member.read(10_000 * (size + 1))
                records.append(np.frombuffer(content, np.uint8).reshape(10_000, size + 1))
    except (tarfile.TarError, KeyError, ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"cifar10: the archive is damaged: {error}") from error
    rows = np.concatenate(records)[: None if split == "train" else CIFAR_TEST]
    return np.ascontiguousarray(rows[:, 1:]).reshape(-1, 3, npz.SIDE, npz.SIDE), np.array(rows[:, 0])


# sets that are no single .npz of one picture per image -> what opens them
_OWN: Mapping[str, Callable[[str, Asked], Images]] = {
    "rooms": _rooms,
    "dynamic-binarized-mnist": _dynamic,
    "binarized-digits": _digits,
    "mnist": _idx_set,
    "fashion-mnist": _idx_set,
    "cifar10": _cifar10,
    "flowers102": _flowers,
    "flowers-unseen": _flowers,
    "facades": _pairs,
    "horse2zebra": _domains,
}
