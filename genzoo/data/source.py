"""A source of image files, a folder or what is like one, and its images once they are decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from genzoo.data.cache import Decoded
from genzoo.data.captions import Captions
from genzoo.data.collection import Images
from genzoo.data.decode import decode, decoder
from genzoo.data.depth import Scale
from genzoo.data.formats import FORMATS
from genzoo.data.labels import note_lost
from genzoo.data.layout import SPLITS, Classes, FolderLayout, check
from genzoo.data.listing import Files
from genzoo.data.splits import nothing_held_out, split_mask
from genzoo.data.survey import PAGES
from genzoo.data.types import Array, Shape
from genzoo.errors import DataError

Captioned: TypeAlias = "tuple[Captions | None, str]"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Files of images, in their order.

    Attributes:
        path: the folder or file that people named.
        files: their names and states.
        layout: gives what the folders in the names mean; asked only where images are decoded.
        digest: gives the sha256 of file i, b"" where it cannot be read.
        content: gives the path or the bytes of file i, or raises a `genzoo.data.decode.Skip`.
        decode: gives the image in such a content, see `genzoo.data.decode.decode`.
        steady: whether file i is still what it was when it was listed.
        classes: gives the classes of the images of some files, each named by its number.
        captions: gives the captions of images, by their rows, or None and why there are none.
        inside: gives the path of a file, by its name, in which folders mean splits and classes.
        view: what is made of the files besides: the half of each picture, the side of a set.
        told: what changes when that which is told of the images (classes, captions) may have changed, where
            it is not a part of `files`: then captions are kept with the images. "" where they are read each
            time.
        apart: numbers of files that are no images and known to be none, such as captions.
        half: "left" or "right" where that half of each picture is an image.
        facts: of the set.
    """

    path: Path
    files: Files
    layout: Callable[[], FolderLayout]
    digest: Callable[[int], bytes]
    content: Callable[[int], Path | bytes]
    steady: Callable[[int], bool]
    classes: Callable[[Array], Classes]
    captions: Callable[[Array], Captioned]
    decode: Callable[[Path | bytes, Shape, Scale, str], Array] = field(default_factory=lambda: decode)
    inside: Callable[[str], str] = field(default_factory=lambda: str)
    view: tuple[str, ...] = ()
    told: str = ""
    apart: Sequence[int] = ()
    half: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def name(self, row: int) -> str:
        """Return the name of the image `row`: number of its file times PAGES, and its page."""
        number, page = divmod(row, PAGES)
        return f"{self.files.name(number)}#{page + 1}" if page else self.files.name(number)


@dataclass(frozen=True)
class Folder:
    """All images of a source, decoded: those of a split follow each other, so that each part is a view of one
    array.

    The columns of `decoded` are `places`, the fraction by which each image is held out (see
    `genzoo.data.splits`), `ranks`, its split as a place in `genzoo.data.layout.SPLITS`, and `labels`.
    """

    path: Path
    decoded: Decoded
    captions: Captions | None = None
    uncaptioned: str = ""  # why there are no captions, "" where there is no file of them
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def splits(self) -> Mapping[str, str]:
        """Return split -> its folder, of a set that is split by its folders."""
        found: Mapping[str, str] = self.decoded.about["splits"]
        return found

    def part(self, split: str, val_split: float) -> Images:
        """Return the images of a split: that of its own folder where there are such folders, else the rest of
        `val_split` or that share.

        Raises:
            ArgumentError, DataError: see `genzoo.data.folder.open_folder`.
        """
        split = check(split, self.splits, self.path.name)
        rows = np.flatnonzero(self._mask(split, val_split))
        if not len(rows):
            raise self._none(split, val_split)
        chosen = slice(int(rows[0]), int(rows[-1]) + 1)
        about, name = self.decoded.about, self.path.resolve().name
        every = self.decoded.columns.get("labels")
        names = tuple(about["class_names"])
        labels = None if every is None else every[chosen]
        note_lost(f"{name} ({split})", every, labels, names)
        reasons = {"labels": about["why"], "captions": self.uncaptioned}
        return Images(
            pixels=self.decoded.pixels[chosen],
            name=name,
            split=split,
            labels=labels,
            class_names=names,
            captions=None if self.captions is None else self.captions[chosen],
            facts={**self.facts, "decoder": decoder(), **{key: why for key, why in reasons.items() if why}},
            skipped=self.decoded.skipped,
        )

    def _none(self, split: str, val_split: float) -> DataError:
        """Return the error for a split without images."""
        if split in self.splits:
            empty = f"{self.splits[split]}/ of the folder {self.path}"
            return DataError(f"{empty} holds no readable image", f"formats: {', '.join(FORMATS)}")
        rows = self.decoded.rows
        if val_split and len(rows) > len(np.unique(rows // PAGES)) == 1:
            words = f"{self.path} has no {split} images: the pages of its one file stay together"
            return DataError(words, "give it more files")
        return nothing_held_out(f"the folder {self.path}", val_split, len(rows), split)

    def _mask(self, split: str, val_split: float) -> Array:
        """Return which images are in `split`: (N,) bool, one stretch."""
        places, ranks = self.decoded.columns["places"], self.decoded.columns["ranks"]
        if not self.splits:
            return split_mask(places, split, val_split)
        own: Array = ranks == SPLITS.index(split if split in self.splits else "train")
        # a share of the training images, where no validation images lie apart
        if split not in self.splits:
            own[own] = split_mask(places[own], split, 0.0)
        return own
