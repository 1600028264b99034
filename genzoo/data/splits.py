"""Which images are held out, where a set has no official test split.

There is one rule for data of every kind. Where a set publishes a training and a test split, they are taken as
they are. Otherwise the whole is divided: an image is held out when the hash of its key falls below the share.
That depends on nothing but the key, so that adding, renaming or reordering images moves none of the old ones.
The key is the content of the image as it was given (a file's bytes, an array's pixels), so that two equal
ones never lie on both sides. A few sets with a name have other keys for what must not be torn apart, the
person on a photograph or a block of video frames, or the place in the set, on which published records rest.

Settings are chosen by validation images, `valid`, so that the test images are used once. Where a set has no
official ones they are a part of the training images: the next share of the same hashes, or the last rows of
an official training part. `train` holds them, since published models were trained so; `fit` is `train`
without them, and is what `genzoo train --set validation=true` trains on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from genzoo.data.collection import Images
from genzoo.data.contents import digest_rows
from genzoo.data.labels import note_lost
from genzoo.data.parts import part_of
from genzoo.data.types import Array
from genzoo.errors import ArgumentError, DataError

SPLITS = ("train", "valid", "test")
FIT = "fit"  # the training images less the validation images
VALID = 0.1  # share of the training images that validation takes, where a set has no official one


def fractions(keys: Iterable[str]) -> Array:
    """Return a number in [0, 1) for every key: the first 53 bits of its sha256, the same on every machine for
    ever.
    """
    digests = (hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest() for key in keys)
    # 53 bits are what a float64 holds: every fraction is exact, and equal on every machine.
    return np.fromiter(
        ((int.from_bytes(digest[:8], "big") >> 11) / 2**53 for digest in digests), dtype=np.float64
    )


def held_out_mask(places: Array, share: float) -> Array:
    """Return which of `places` (from `fractions`) are held out: (N,) bool.

    Both sides get at least one key where there are two keys to give, however small the set.
    """
    if share == 0 or len(places) == 0:
        return np.zeros(len(places), bool)
    mask = places < share
    low, high = places.min(), places.max()
    if low < high:
        # The lowest is always held out and the highest never, so both sides have one.
        mask = (mask | (places == low)) & (places != high)
    elif mask.all():
        mask[:] = False  # one key alone stays with the training images
    return mask


def check_share(val_split: object) -> float:
    """Return `val_split` as a float in [0, 0.9], or raise ArgumentError."""
    if isinstance(val_split, bool) or not isinstance(val_split, int | float) or not 0 <= val_split <= 0.9:
        raise ArgumentError(f"val_split must be a number between 0 and 0.9, not {val_split!r}")
    return float(val_split)


def check_split(split: object, known: Sequence[str] = (*SPLITS, FIT), name: str = "") -> str:
    """Return `split` if it is one of `known`, or raise ArgumentError naming those that there are."""
    if split not in known:
        of = f"{name} has no split" if name else "split must be one of train, valid, test, not"
        raise ArgumentError(f"{of} {split!r}", f"there are {', '.join(known)}")
    return str(split)


def hold_out(
    images: Images, keys: Sequence[str] | None, split: str, share: float, *, together: bool = False
) -> Images:
    """Return a part of `images`; `keys` are their contents where None is given. With `together` keys say
    which images depend on each other.

    Images with `blocks` of their own are divided by them.

    Raises:
        ArgumentError: an unknown split.
        DataError: nothing is held out, and the test or the validation split is asked for.
    """
    check_split(split, name=images.name)
    if keys is None and images.blocks is not None:
        # Images of one block (a person, a stretch of film) depend on each other and stay on one side.
        keys, together = [str(block) for block in images.blocks], True
    if keys is not None and together and len(set(keys)) < len(keys):
        images = images.replace(blocks=np.unique(np.asarray(keys), return_inverse=True)[1])
    if keys is None and (share > 0 or split in ("valid", FIT)):
        keys = _contents(images)
    mask = split_mask(fractions(keys if keys is not None else range_keys(len(images))), split, share)
    if split in ("test", "valid") and not mask.any():
        raise nothing_held_out(images.name, share, len(images), split)
    if images.other is not None:  # each domain is divided by its own contents
        second = images.other
        second = hold_out(second, None, split, share) if second.split == "all" else second
        images = images.replace(other=second)
    if mask.all():
        return images.replace(split=split)
    part = part_of(images, np.flatnonzero(mask), split=split)
    note_lost(f"{images.name} ({split})", images.labels, part.labels, images.class_names)
    return part


def _contents(images: Images) -> list[str]:
    """Return a digest of the content of each image, of both halves of a pair."""
    # The grey values, if there are some: binarised pixels are drawn again each time, and their hash changes.
    own = digest_rows(images.pixels if images.grey is None else images.grey)
    if images.source is None:
        return own
    return [pair_key(*both) for both in zip(own, digest_rows(images.source), strict=True)]


def pair_key(one: str, other: str) -> str:
    """Return the key by which a pair is held out, of the digests of its halves in either order."""
    return hashlib.sha256(" ".join(sorted((one, other))).encode("utf-8", "surrogateescape")).hexdigest()


def split_mask(places: Array, split: str, share: float) -> Array:
    """Return which of `places` (from `fractions`) are in `split`, where `share` is held out for tests: (N,)
    bool.
    """
    test = held_out_mask(places, share)
    if split == "test":
        return test
    valid = np.zeros(len(places), bool)
    # The next share of the same hashes: the test images are the same with and without validation images.
    valid[~test] = held_out_mask(places[~test], share + VALID * (1 - share))
    return {"train": ~test, "valid": valid, FIT: ~(test | valid)}[split]


def last_of(train: Images, split: str, count: int) -> Images:
    """Return of official training images all ("train"), the last `count` ("valid") or the others ("fit")."""
    start, stop = {
        "train": (0, len(train)),
        "valid": (len(train) - count, len(train)),
        FIT: (0, len(train) - count),
    }[split]
    return train.subset(slice(start, stop), split=split)


def range_keys(count: int) -> list[str]:
    """Return the places in the set as keys: for sets with a name, whose published records rest on that
    division.
    """
    return [str(place) for place in range(count)]


def published(names: Sequence[str], split: str) -> str | None:
    """Return which of the published splits `names` is `split`, or None where they are no training and test
    split: then one is divided.

    A set without a test split has none but what is held out of its training split, and that must be held out
    of both.
    """
    if split == "valid" and "train" in names:
        return next((name for name in ("valid", "validation", "val", "dev") if name in names), None)
    return split if split in names and {"train", "test"} <= set(names) else None


def nothing_held_out(name: str, share: float, count: int, split: str = "test") -> DataError:
    """Return the error for a test or validation split that has no images."""
    if split == "valid":
        return DataError(f"{name} has no validation images: {count} cannot be divided", "give it more images")
    if share == 0:
        return DataError(
            f"{name} has no test images: val_split is 0",
            "set val_split=0.1 to keep a tenth of the images for tests",
        )
    return DataError(
        f"{name} has no test images: {count} cannot be divided", "give it more images that differ"
    )
