"""Images: a set of pictures in memory, with what is known of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from genzoo.data.labels import check_names, number_of, read_labels
from genzoo.data.types import Array
from genzoo.errors import ArgumentError, DataError

Indices: TypeAlias = "slice | Sequence[int] | Array | Tensor"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Images:
    """A set of images, all of one shape.

    Attributes:
        pixels: (N, C, H, W) uint8 in 0..255; may be read-only.
        name: what people typed, or the folder's name.
        split: "train", "valid" or "test"; "all" before anything was held out.
        transform: "8-bit", or "static-binarised" or "dynamic-binarised" for pixels that are 0 or 255;
            likelihoods are only compared within one.
        labels: (N,) int64 classes, counted from 0, or None. `genzoo.data.labels.read_labels` says what else
            is taken for them.
        class_names: the name of each class, `class_names[label]`, also of those that have no image here;
            "0", "1", ... where classes have only numbers; empty without labels. Texts as labels name them.
        blocks: (N,) whole numbers, equal for images that belong together, such as frames of one stretch of
            film or photographs of one person; None where images are independent. Standard errors count
            blocks, and no block is torn apart by a split.
        attributes: name -> (N,) float32, NaN where absent (faces), or None.
        facts: one line each: "source", "terms", "note" where there is something to know, "labels" where there
            are none and why.
        skipped: reason -> number of files that were not readable as images.
        grey: (N, C, H, W) uint8, the probabilities of white in 255ths that `pixels` is one draw of, or None:
            training draws new ones.
    """

    pixels: Array
    name: str = "images"
    split: str = "all"
    transform: str = "8-bit"
    labels: Array | None = None
    blocks: Array | None = None
    attributes: Mapping[str, Array] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    grey: Array | None = None
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.pixels, np.ndarray) or self.pixels.dtype != np.uint8 or self.pixels.ndim != 4:
            raise ArgumentError(
                "pixels must be a uint8 array (N, C, H, W)", "open_data brings other arrays into this form"
            )
        if self.pixels.shape[1] not in (1, 3):
            raise ArgumentError(
                f"images have 1 (grey) or 3 (red, green, blue) channels, not {self.pixels.shape[1]}"
            )
        if self.grey is not None and self.grey.shape != self.pixels.shape:
            raise ArgumentError(
                f"grey must have the shape of pixels, {self.pixels.shape}, not {self.grey.shape}"
            )
        self._read_labels()
        for key, column in {"blocks": self.blocks, **(self.attributes or {})}.items():
            if column is not None and len(column) != len(self.pixels):
                raise ArgumentError(
                    f"{key} must have one entry per image: {len(column)} for {len(self.pixels)} images"
                )
        for key in ("attributes", "facts", "skipped"):
            value = getattr(self, key)
            object.__setattr__(self, key, None if value is None else MappingProxyType(dict(value)))

    def _read_labels(self) -> None:
        names: tuple[str, ...] = ()
        if self.labels is not None:
            labels, names = read_labels(self.labels, len(self.pixels))
            object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", check_names(names or self.class_names, self.labels))

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        return (
            f"<Images {self.name!r}, {self.split}: {len(self):,} of {'x'.join(map(str, self.shape))}, "
            f"{self.transform}>"
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (C, H, W) of every image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def __getitem__(self, indices: Indices) -> Array:
        """Return uint8 pixels (n, C, H, W) of a slice, an array of indices or a mask."""
        chosen: Array = self.pixels[_plain(indices)]
        if chosen.ndim != 4:
            raise ArgumentError(
                "images are taken by a slice or an array of indices", "for one image write images[i : i + 1]"
            )
        return chosen

    def float(self, indices: Indices | None = None) -> Tensor:
        """Return images (n, C, H, W) as float32 in [0, 1]; all of them without `indices`."""
        chosen = self[slice(None) if indices is None else indices]
        return torch.from_numpy(np.array(chosen)).to(torch.float32).div_(255)

    def subset(self, indices: Indices, **changes: Any) -> Images:
        """Return the images at `indices` with their labels and attributes, and `changes` to other fields."""
        rows = _plain(indices)
        labels, blocks = (None if column is None else column[rows] for column in (self.labels, self.blocks))
        attributes = (
            None
            if self.attributes is None
            else {key: column[rows] for key, column in self.attributes.items()}
        )
        grey = None if self.grey is None else self.grey[rows]
        chosen = {
            "pixels": self[indices],
            "labels": labels,
            "blocks": blocks,
            "attributes": attributes,
            "grey": grey,
        }
        return dataclasses.replace(self, **{**chosen, **changes})

    def of_class(self, which: str | int) -> Images:
        """Return the images of one class, by its name or its number; labels and class_names are those of the
        whole.

        Raises:
            DataError: no labels, or no image of that class.
            UnknownNameError, ArgumentError: no such class.
        """
        number = number_of(which, self)
        rows = np.flatnonzero(self.labels == number)
        if not len(rows):
            raise DataError(f"{self.name} ({self.split}) has no image of {self.class_names[number]!r}")
        return self.subset(rows)

    def replace(self, **changes: Any) -> Images:
        """Return a copy with `changes`."""
        return dataclasses.replace(self, **changes)


def skipped_text(skipped: Mapping[str, int]) -> str:
    """Return `"skipped 3: 2 corrupt, 1 too large"`, or an empty string when nothing was."""
    parts = ", ".join(
        f"{count:,} {reason}"
        for reason, count in sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
    )
    return f"skipped {sum(skipped.values()):,}: {parts}" if skipped else ""


def _plain(indices: Indices) -> Any:
    if isinstance(indices, Tensor):
        return indices.cpu().numpy()
    if isinstance(indices, slice | np.ndarray):
        return indices
    return np.asarray(indices, dtype=np.int64) if isinstance(indices, Sequence) else indices
