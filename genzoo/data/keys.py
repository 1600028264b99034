"""What the arrays of an .npz file are, by their keys: the images and labels of which split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genzoo.data.arrays import standard
from genzoo.data.cache import stretch_of
from genzoo.data.collection import Images
from genzoo.data.labels import check_names, read_labels, usable_labels
from genzoo.data.layout import WORDS, check
from genzoo.data.splits import hold_out
from genzoo.data.types import Array
from genzoo.errors import ArgumentError

IMAGES = ("images", "image", "imgs", "x", "data", "samples", "arr_0")
LABELS = ("labels", "label", "y", "targets", "target", "classes", "arr_1")
OTHERS = {
    "blocks",
    "alphabet",
    "character",
    "jpeg",
    "webp",
    "offsets",
    "attr",
    "attr_names",
    "path",
    "class_names",
}


def found_parts(arrays: Mapping[str, Array]) -> dict[str, tuple[str, str]]:
    """Return split -> the keys of its images and of its labels ("" for none); a set that is not split has the
    one split "all".

    Raises:
        ArgumentError: two arrays that may each be the images, or the labels.
    """
    keys = _places(arrays)
    if "images" in arrays:
        return {"all": ("images", keys.get(("all", "labels"), ""))}
    parts = {
        split: (key, keys.get((split, "labels"), ""))
        for (split, kind), key in keys.items()
        if kind == "images"
    }
    named = {split: part for split, part in parts.items() if split != "all"}
    # A file with train and one more split is split; x_train alone is a whole set under an odd name.
    if "train" in named and len(named) > 1:
        return named
    if len(parts) == 1:
        return {"all": next(iter(parts.values()))}
    if len(arrays) == 1 and not keys:
        key, array = next(iter(arrays.items()))
        return {"all": (key, "")} if array.ndim in (3, 4) else {}
    return {}


def _places(arrays: Mapping[str, Array]) -> dict[tuple[str, str], str]:
    """Return split and kind ("images", "labels") -> the one key that means it, or raise ArgumentError."""
    found: dict[tuple[str, str], list[str]] = {}
    for key in arrays:
        split, kind = meaning(key)
        if kind:
            found.setdefault((split, kind), []).append(key)
    if "images" in arrays:  # the name that decides
        found[("all", "images")] = ["images"]
    for (_, kind), names in found.items():
        if len(names) > 1:
            raise ArgumentError(
                f"{' and '.join(names)} may each be the {kind}", f"keep one of them, under the name {kind!r}"
            )
    return {place: names[0] for place, names in found.items()}


def meaning(key: str) -> tuple[str, str]:
    """Return the split ("all" for none) and the kind of what people keep under `key`: "images", "labels", or
    "" for neither.
    """
    words = key.lower().split("_")
    splits = [WORDS[word] for word in words if word in WORDS]
    what = "_".join(word for word in words if word not in WORDS)
    # x, y and data are common; so is a bare "train", which then holds the images.
    kind = "labels" if what in LABELS else "images" if what in IMAGES or (splits and not what) else ""
    return splits[0] if splits else "all", kind if len(splits) < 2 else ""


def part_of(
    arrays: Mapping[str, Array], parts: Mapping[str, tuple[str, str]], name: str, split: str
) -> Images:
    """Return the images of a split, of all where the set is not split; classes are those of the whole
    file.
    """
    asked = check(split, parts, name) if len(parts) > 1 else next(iter(parts))
    # validation images that do not lie apart are a part of the training images
    chosen = asked if asked in parts else "train"
    key = parts[chosen][0]
    labels, names, why = _labels(arrays, parts, chosen)
    images = Images(
        # what lies in a file of the cache was brought into its form before
        pixels=arrays[key] if stretch_of(arrays[key]) else standard(arrays[key], key, last=True),
        name=name,
        split=chosen,
        labels=labels,
        class_names=names,
        facts={"labels": why} if why else {},
    )
    return images if asked == chosen else hold_out(images, None, asked, 0.0)


def labelled(images: Images, arrays: Mapping[str, Array], key: str) -> Images:
    """Return `images` with the labels under `key`, if there are any that can be used, and the names of their
    classes.
    """
    if key not in arrays:
        return images
    _check_count(arrays[key], key, len(images))
    labels, names, why = usable_labels(arrays[key], len(images), repr(key))
    if labels is None:
        return images.replace(facts={**images.facts, "labels": why})
    return images.replace(labels=labels, class_names=names or _given_names(arrays))


def _check_count(labels: Array, key: str, count: int) -> None:
    if labels.shape[:1] != (count,):
        raise ArgumentError(
            f"{key} must have one entry per image: {labels.size:,} for {count:,} images",
            "pass as many labels as images",
        )


def _given_names(arrays: Mapping[str, Array]) -> tuple[str, ...]:
    return tuple(map(str, arrays["class_names"].ravel().tolist())) if "class_names" in arrays else ()


def _labels(
    arrays: Mapping[str, Array], parts: Mapping[str, tuple[str, str]], chosen: str
) -> tuple[Array | None, tuple[str, ...], str]:
    """Return the labels of the split `chosen` and the names of the classes, or None, () and why the labels
    cannot be used.
    """
    # Omniglot: a class is a character of an alphabet
    if {"alphabet", "character"} <= set(arrays) and chosen == "all":
        pairs = zip(arrays["alphabet"], arrays["character"], strict=True)
        return *read_labels(
            [f"{alphabet}/{character}" for alphabet, character in pairs], len(arrays["alphabet"])
        ), ""
    if not parts[chosen][1]:
        return None, (), ""
    known = {split: part for split, part in parts.items() if part[1]}
    for images, labels in known.values():
        _check_count(arrays[labels], labels, len(arrays[images]))
    # Classes are numbered over all splits: a class that is absent from one must not shift the others.
    whole = [arrays[labels] for _, labels in known.values()]
    found, names, why = usable_labels(np.concatenate(whole), sum(map(len, whole)), repr(parts[chosen][1]))
    if found is None:
        return None, (), why
    start = sum(len(arrays[known[split][1]]) for split in list(known)[: list(known).index(chosen)])
    # those of the whole file, where they are numbers too: a part may lack the last ones
    names = check_names(names or _given_names(arrays), found)
    return found[start : start + len(arrays[known[chosen][1]])], names, ""
