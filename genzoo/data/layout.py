"""What the folders between a folder of images and its images mean: splits, and classes."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from genzoo.data.formats import SUFFIXES
from genzoo.data.labels import NONE, class_order, few
from genzoo.data.splits import FIT, check_split
from genzoo.data.types import Array

SPLITS = ("test", "valid", "train")  # their order in memory
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "valid": "valid",
        "val": "valid",
        "validation": "valid",
        "dev": "valid",
        "test": "test",
        "testing": "test",
    }
)
# also test_set, val2017
_FOLDER = re.compile(rf"({'|'.join(WORDS)})(?:[_ -]?(?:set|images|imgs|data|split|\d{{4}}))?")
_PAGE = re.compile(r"#\d+$")
_DEEPEST = 2  # folders above those of the splits: one may stand for each class, or for each kind of object


@dataclass(frozen=True)
class Classes:
    """Labels (N,) int64 and the names of their classes, or None, () and why there are none ("" where nothing
    looks like classes).
    """

    labels: Array | None = None
    names: tuple[str, ...] = ()
    why: str = ""


@dataclass
class _Folder:
    """A folder of images: its number, its first image, the parts of the path of one, and how many it has."""

    number: int
    first: str
    parts: list[str]
    count: int = 0


@dataclass(frozen=True)
class FolderLayout:
    """Where in the paths of a folder's images splits stand: `depth` folders below `shared`; with no `splits`
    it is not split.

    Attributes:
        shared: the folders that all images share.
        depth: folders between them and those of the splits.
        splits: split -> its folder.
        folders: the paths of all folders, also of those without images.
    """

    shared: int = 0
    depth: int = 0
    splits: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()

    def split_of(self, path: str) -> str | None:
        """Return the split of the image at `path`, None if it is in none of them."""
        return _split_at(path.split("/")[self.shared :], self.depth) if self.splits else None

    def inner(self, path: str) -> list[str]:
        """Return the parts of `path` without the folders that all share and those of splits."""
        parts = path.split("/")[self.shared :]
        if split := self.split_of(path):
            while _split_at(parts, self.depth) == split:  # test_set/test_set/cat, as some archives have it
                del parts[self.depth]
        return parts

    def classes(self, paths: Iterable[str]) -> Classes:
        """Return the classes of the images at `paths`: those of their folders, if each is in one of at least
        two folders.
        """
        found: dict[str, _Folder] = {}  # few, of which what follows is asked once, not for each image
        order = array("q")
        for path in paths:
            folder = path.rpartition("/")[0]
            if folder not in found:
                found[folder] = _Folder(len(found), path, self.inner(path))
            known = found[folder]
            known.first, known.count = min(known.first, path), known.count + 1
            order.append(known.number)
        folders, above = list(found.values()), list[str]()
        # A folder that all share, such as images/, is no class.
        while (
            folders
            and all(len(one.parts) > 1 for one in folders)
            and len({one.parts[0] for one in folders}) == 1
        ):
            above.append(folders[0].parts[0])
            for one in folders:
                del one.parts[0]
        named = {one.parts[0] for one in folders if len(one.parts) == 2}
        if len(named) < 2:
            return Classes()
        if outside := [one for one in folders if len(one.parts) != 2]:
            stray = (
                f"{sum(one.count for one in outside):,} of {len(order):,} images are not directly in one of "
                f"its {len(named):,} folders"
            )
            return Classes(why=f"{NONE}{stray} (one of them: {min(one.first for one in outside)})")
        if bare := self._beside(folders[0].first, above) - named:
            # to number the others without it would give their numbers another meaning elsewhere
            listed = few([f"{_printable(name)}/" for name in class_order(bare)])
            return Classes(why=f"{NONE}no readable image in {listed}; add images or remove the folder")
        names = class_order(named)
        number = {name: place for place, name in enumerate(names)}
        places = np.array([number[one.parts[0]] for one in folders], np.int64)
        return Classes(places[np.frombuffer(order, np.int64)], tuple(map(_printable, names)))

    def _beside(self, path: str, above: Sequence[str]) -> set[str]:
        """Return the names of the folders in which `path` and those of other classes lie, where `above` are
        the folders that all classes share.
        """
        shared = path.split("/")[: self.shared]
        found = set()
        for folder in self.folders:
            if folder.split("/")[: self.shared] == shared:
                inner = self._inside(folder)
                if len(inner) == len(above) + 1 and inner[:-1] == above:
                    found.add(inner[-1])
        return found

    def _inside(self, folder: str) -> list[str]:
        """Return the parts of `folder` as `inner` does; none for the folder of a split, or one outside of all
        splits.
        """
        parts = folder.split("/")[self.shared :]
        if not self.splits or len(parts) <= self.depth:
            return parts
        inner = self.inner(folder) if self.split_of(folder) else []
        return [] if len(inner) == self.depth + 1 and _FOLDER.fullmatch(inner[-1].lower()) else inner

    def notes(self, found: Classes, left_out: Sequence[str]) -> list[str]:
        """Return what people should know of how images with the classes `found` are read, one line each;
        `left_out` lie in no split.
        """
        lines = []
        if self.splits:
            lines.append(
                "split by its folders: "
                f"{', '.join(f'{self.splits[word]}/' for word in reversed(SPLITS) if word in self.splits)}"
            )
            if "test" not in self.splits:
                lines[-1] += f"; {self.splits['valid']}/ is held out for the scores"
        if stray := sorted(path for path in left_out if is_image(path)):
            files = f"{len(stray):,} image{'s' * (len(stray) != 1)}"
            lines.append(f"{files} in none of these folders: not used (one of them: {stray[0]})")
        if found.why:
            lines.append(found.why)
        if found.names:
            lines.append(f"{len(found.names):,} classes by its folders: {few(found.names)}")
        return lines


def layout_of(paths: Iterable[str], folders: Sequence[str] = ()) -> FolderLayout:
    """Return the layout of the files at `paths`, which lie in `folders`; those that are no images by their
    names do not count where others are.
    """
    # An iterator would be used up by the first pass.
    every = list(paths)
    images = [path for path in every if is_image(path)] or every
    parts = [path.split("/") for path in images]
    shared = 0
    while (
        parts and all(len(part) > shared + 1 for part in parts) and len({part[shared] for part in parts}) == 1
    ):
        shared += 1
    below = [part[shared:] for part in parts]
    for depth in range(_DEEPEST):
        found: dict[str, str] = {}
        for part in below:
            if split := _split_at(part, depth):
                found.setdefault(split, part[depth])
        # Beside train/ and test/ there may be strays; deeper, where words are less sure to mean splits, all
        # must lie in one.
        if (
            # Without training images there is nothing to learn from, so test/ alone is no split.
            "train" in found
            and len(found) > 1
            and (depth == 0 or all(_split_at(part, depth) for part in below))
        ):
            return FolderLayout(shared, depth, found, folders)
    return FolderLayout(shared, folders=folders)


def check(split: str, known: Mapping[str, object], name: str) -> str:
    """Return the split that `split` means for a set that has the splits `known`, or that is divided where it
    has none.

    Where there are no test images beside training and validation images, those of validation are the ones
    held out.

    Raises:
        ArgumentError: a split that there is not.
    """
    if not known:
        return check_split(split, name=name)
    if split == "test" and "test" not in known:
        return "valid"
    if split == FIT and "valid" in known:
        return "train"  # the validation images have a folder of their own
    divided = ("valid", FIT) if "train" in known else ()
    return check_split(split, [*(word for word in reversed(SPLITS) if word in known), *divided], name)


def is_image(path: str) -> bool:
    """Whether `path`, maybe with the number of a page, has the name of an image."""
    # A page of a file is named scan.tif#1.
    return os.path.splitext(_PAGE.sub("", path))[1].lower() in SUFFIXES


def _split_at(parts: Sequence[str], depth: int) -> str | None:
    """Return the split that the folder at `depth` is named after."""
    # More parts than depth + 1: the file itself may be called test.png.
    found = _FOLDER.fullmatch(parts[depth].lower()) if len(parts) > depth + 1 else None
    return WORDS[found[1]] if found else None


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
