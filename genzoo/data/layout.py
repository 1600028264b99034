"""What the folders between a folder of images and its images mean: splits, and classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from genzoo.data.labels import class_order
from genzoo.data.splits import check_split

Array: TypeAlias = "np.ndarray[Any, Any]"

SPLITS = ("test", "valid", "train")  # the order in which they lie in memory
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train", "training": "train",
        "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
        "test": "test", "testing": "test",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Classes:
    """Labels (N,) int64 and the names of their classes, or None, () and why there are none ("" where nothing looks like classes)."""

    labels: Array | None = None
    names: tuple[str, ...] = ()
    why: str = ""


def split_of(path: str) -> str | None:
    """Return the split whose folder the relative path `path` begins with, None for none."""
    first, slash, _ = path.partition("/")
    return WORDS.get(first.lower()) if slash else None


def official(paths: Iterable[str]) -> dict[str, str]:
    """Return split -> folder where `paths` lie in folders for training and for at least one other split; else nothing."""
    found: dict[str, str] = {}
    for path in paths:
        if (split := split_of(path)) is not None:
            found.setdefault(split, path.partition("/")[0])
    return found if "train" in found and len(found) > 1 else {}


def check(split: str, known: Mapping[str, object], name: str) -> str:
    """Return the split that `split` means for a set that has the splits `known`, or that is divided where it has none.

    Where no test images lie beside training and validation images, those of validation are the ones held out.

    Raises:
        ArgumentError: a split that there is not.
    """
    if not known:
        return check_split(split, ("train", "test"), name)
    if split == "test" and "test" not in known:
        return "valid"
    return check_split(split, [word for word in reversed(SPLITS) if word in known], name)


def classes(paths: Sequence[str]) -> Classes:
    """Return the classes of images by their relative paths: those of their folders, where each image lies in one folder of at least two.

    Folders of splits, and a single folder that holds everything, do not count.
    """
    inner = _inner(paths)
    parts = [path.split("/") for path in inner]
    named = {part[0] for part in parts if len(part) == 2}
    if len(named) < 2:
        return Classes()
    outside = [path for path, part in zip(inner, parts, strict=True) if len(part) != 2]
    if outside:
        few = f"{len(outside):,} of {len(inner):,} images do not lie directly in one of its {len(named):,} folders"
        return Classes(why=f"no labels: {few} (one of them: {min(outside)})")
    names = class_order(named)
    number = {name: place for place, name in enumerate(names)}
    return Classes(np.array([number[part[0]] for part in parts], np.int64), tuple(map(_printable, names)))


def notes(paths: Sequence[str]) -> list[str]:
    """Return what people should know of how the images at `paths` are read, one line each."""
    found, splits = classes(paths), official(paths)
    lines = [found.why] if found.why else []
    if splits:
        lines.append(f"split by its folders: {', '.join(f'{splits[word]}/' for word in reversed(SPLITS) if word in splits)}")
        if "test" not in splits:
            lines[-1] += f"; {splits['valid']}/ is held out for the scores"
    if found.names:
        lines.append(f"{len(found.names):,} classes by its folders: {_few(found.names)}")
    return lines


def _inner(paths: Sequence[str]) -> list[str]:
    """Return `paths` without the folders of splits, and without a folder that all of them share."""
    splits = official(paths)
    inner = [path.partition("/")[2] for path in paths] if splits else list(paths)
    while inner and len({path.partition("/")[0] for path in inner}) == 1 and all("/" in path for path in inner):
        inner = [path.partition("/")[2] for path in inner]
    return inner


def _few(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f", … ({len(names) - most:,} more)" if len(names) > most else "")


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
