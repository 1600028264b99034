"""Which images are held out, where a set has no official test split.

There is one rule for data of every kind. Where a set publishes a training and a test split, they are taken as they are. Otherwise the
whole is divided: an image is held out when the hash of its key falls below the share. That depends on nothing but the key, so that
adding, renaming or reordering images moves none of the old ones. The key is the content of the image as it was given (a file's bytes,
an array's pixels), so that two equal ones never lie on both sides. A few sets with a name have other keys for what must not be torn
apart, the person on a photograph or a block of video frames, or the place in the set, on which published records rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from genzoo.data.collection import Images
from genzoo.data.contents import digest_rows
from genzoo.errors import ArgumentError, DataError

Array: TypeAlias = "np.ndarray[Any, Any]"
SPLITS = ("train", "valid", "test")


def fractions(keys: Iterable[str]) -> Array:
    """Return a number in [0, 1) for every key: the first 53 bits of its sha256, the same on every machine for ever."""
    digests = (hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest() for key in keys)
    return np.array([(int.from_bytes(digest[:8], "big") >> 11) / 2**53 for digest in digests], dtype=np.float64)


def held_out_mask(places: Array, share: float) -> Array:
    """Return which of `places` (from `fractions`) are held out: (N,) bool.

    Both sides get at least one key where there are two keys to give, however small the set.
    """
    if share == 0 or len(places) == 0:
        return np.zeros(len(places), bool)
    mask = places < share
    low, high = places.min(), places.max()
    if low < high:
        mask = (mask | (places == low)) & (places != high)
    elif mask.all():
        mask[:] = False  # one key alone stays with the training images
    return mask


def check_share(held_out: object) -> float:
    """Return `held_out` as a float in [0, 0.9], or raise ArgumentError."""
    if isinstance(held_out, bool) or not isinstance(held_out, int | float) or not 0 <= held_out <= 0.9:
        raise ArgumentError(f"held_out must be a number between 0 and 0.9, not {held_out!r}")
    return float(held_out)


def check_split(split: object, known: Sequence[str] = SPLITS, name: str = "") -> str:
    """Return `split` if it is one of `known`, or raise ArgumentError naming those that there are."""
    if split not in known:
        of = f"{name} has no split" if name else "split must be one of train, valid, test, not"
        raise ArgumentError(f"{of} {split!r}", f"there are {', '.join(known)}")
    return str(split)


def hold_out(images: Images, keys: Sequence[str] | None, split: str, share: float) -> Images:
    """Return the training or the held-out part of `images`; `keys` are the contents of the images where None is given.

    Raises:
        ArgumentError: a split other than train and test.
        DataError: nothing is held out, and the test split is asked for.
    """
    check_split(split, ("train", "test"), images.name)
    if share > 0 and keys is None:
        keys = digest_rows(images.pixels if images.grey is None else images.grey)
    mask = held_out_mask(fractions(keys if keys is not None else range_keys(len(images))), share)
    if split == "test" and not mask.any():
        raise nothing_held_out(images.name, share, len(images))
    if not mask.any():
        return images.replace(split=split)
    return images.subset(np.flatnonzero(mask == (split == "test")), split=split)


def range_keys(count: int) -> list[str]:
    """Return the places in the set as keys: for sets with a name, whose published records rest on that division."""
    return [str(place) for place in range(count)]


def published(names: Sequence[str], split: str) -> str | None:
    """Return which of the published splits `names` is `split`, or None where they are no training and test split: then one is divided.

    A set without a test split has none but what is held out of its training split, and that must be held out of both.
    """
    if split == "valid" and "train" in names:
        return next((name for name in ("valid", "validation", "val", "dev") if name in names), None)
    return split if split in names and {"train", "test"} <= set(names) else None


def nothing_held_out(name: str, share: float, count: int) -> DataError:
    """Return the error for a test split that has no images."""
    if share == 0:
        return DataError(f"{name} has no test images: held_out is 0", "set held_out=0.1 to keep a tenth of the images for tests")
    return DataError(f"{name} has no test images: {count} cannot be divided", "give it more images that differ")
