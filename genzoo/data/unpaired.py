"""`unpaired:`: images of two domains without partners (Zhu et al. 2017, CycleGAN).

* `unpaired:FOLDER` with `trainA/ trainB/ testA/ testB/`, with `A/` and `B/` (or `source/` and `target/`), or
  with two folders of any names, which then name the domains.
* `unpaired:SPEC,SPEC`: any two data sets, such as `unpaired:./horses,./zebras`.
* `unpaired:FILE.npz` with two arrays of images, called A and B (`trainA`, ... are splits) or anything else,
  of any two lengths; or with `images` (or `jpeg` and `offsets`) and `domain`, 0 or 1 for each image.

The images of the first domain have those of the second as `other`. Each domain is divided by its own
contents.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from genzoo.data.asked import Asked
from genzoo.data.collection import Images
from genzoo.data.folder import read_folder
from genzoo.data.layout import check, is_image
from genzoo.data.listing import Listing, list_files
from genzoo.data.notes import once
from genzoo.data.pairs_npz import open_npz_sides
from genzoo.data.sides import KNOWN, folders_of, names_of, two_listings
from genzoo.errors import ArgumentError, DataError

FORMS = "a folder with trainA/ and trainB/, an .npz with two arrays, or SPEC,SPEC"


def open_unpaired(spec: str, asked: Asked, opened: Callable[[str, Asked], Images]) -> Images:
    """Return a split of the two domains that `spec` (without "unpaired:") names; `opened` opens any other
    data.

    Raises:
        DataError: nothing there, one domain missing, or images of different shapes while none is asked for.
        ArgumentError: a split that there is not.
    """
    path = Path(spec).expanduser()
    with once():
        if os.path.isdir(path):
            first, second = _folder(path, asked)
        elif os.path.isfile(path) and path.suffix.lower() == ".npz":
            *parts, names = open_npz_sides(path, asked)
            first, second = (_named(part, name) for part, name in zip(parts, names, strict=True))
        else:
            first, second = _two(spec, asked, opened)
    return joined(first, second)


def joined(first: Images, second: Images) -> Images:
    """Return the domains `first` and `second` as one set, or raise DataError if their shapes differ."""
    if first.shape != second.shape:
        one, other = ("x".join(map(str, side.shape)) for side in (first, second))
        raise DataError(
            f"the domains of {first.name} have different shapes, {one} and {other}", "give an image_shape"
        )
    return first.replace(other=second)


def _named(images: Images, domain: str) -> Images:
    return images.replace(facts={**images.facts, "domain": domain})


def _two(spec: str, asked: Asked, opened: Callable[[str, Asked], Images]) -> tuple[Images, Images]:
    specs = [part.strip() for part in spec.split(",")]
    if len(specs) == 1 and ("/" in spec or os.sep in spec or Path(spec).suffix):
        raise DataError(f"no such file or folder: {spec!r}", f"write unpaired:PATH, {FORMS}")
    if len(specs) != 2 or not all(specs):
        count = len([part for part in specs if part])
        raise DataError(
            f"unpaired: takes two data sets with a comma between them, not {count}", f"expected {FORMS}"
        )
    parts = [opened(part, asked) for part in specs]
    if any(part.other is not None for part in parts):
        raise ArgumentError("an unpaired set cannot be one side of another", "name two sets of one domain")
    first, second = (part.replace(source=None) for part in parts)
    names = (first.name, second.name) if first.name != second.name else KNOWN[0]
    return _named(first, names[0]), _named(second, names[1])


def _folder(path: Path, asked: Asked) -> tuple[Images, Images]:
    listing = list_files(path)
    names = names_of(folders_of(listing))
    if names is None:
        return _by_classes(path, listing, asked)
    first, second = two_listings(path, listing, names)
    parts = []
    for view, name in ((first, names[0]), (second, names[1])):
        check(asked.split, view.layout.splits, f"{path.name} ({name})")
        folder = read_folder(path, asked.shape, asked.cache, asked.progress, view)
        parts.append(_named(folder.part(asked.split, asked.share), name))
    return parts[0], parts[1]


def _by_classes(path: Path, listing: Listing, asked: Asked) -> tuple[Images, Images]:
    """Return the images of the two folders of classes that there are."""
    paths = [name for name, _ in listing.files if is_image(name)]
    names = listing.layout.classes(paths).names
    if len(names) != 2:
        raise DataError(
            f"the folder {path} must have two domains, and has {len(names) or 'no'} folders of images",
            f"expected {FORMS}",
        )
    check(asked.split, listing.layout.splits, path.name)
    whole = read_folder(path, asked.shape, asked.cache, asked.progress, listing)
    part = whole.part(asked.split, asked.share)
    first, second = (_named(part.of_class(name).replace(labels=None, class_names=()), name) for name in names)
    return first, second
