"""Images: a set of pictures in memory, with what is known of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from genzoo.data.captions import Captions
from genzoo.data.columns import cut, read_columns
from genzoo.data.labels import check_names, number_of
from genzoo.data.types import Array
from genzoo.errors import ArgumentError, DataError

Indices: TypeAlias = "slice | Sequence[int] | Array | Tensor"


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Images:
    """A set of images, all of one shape.

    Attributes:
        pixels: (N, C, H, W) uint8 in 0..255; may be read-only.
        name: what people typed, or the folder's name.
        split: "train", "valid" or "test"; "all" before anything was held out.
        transform: "8-bit", or "static-binarised" or "dynamic-binarised" for pixels that are 0 or 255;
            likelihoods are only compared within one.
        columns: what is known of each image, by name; those that there are. They are given by keyword, read
            as properties, and taken along whenever images are chosen:

            * labels: (N,) int64 classes, counted from 0. `genzoo.data.labels.read_labels` says what else is
              taken for them.
            * blocks: (N,) whole numbers, equal for images that belong together, such as frames of one stretch
              of film or photographs of one person; none where images are independent. Standard errors count
              blocks, and no block is torn apart by a split.
            * attributes: name -> (N,) float32, NaN where absent (faces).
            * grey: (N, C, H, W) uint8, the probabilities of white in 255ths that `pixels` is one draw of:
              training draws new ones.
            * source: (N, C, H, W) uint8, the other half of each pair, what an image is made from; its shape
              may differ from that of the images.
            * captions: one tuple of one or more texts per image.
        class_names: the name of each class, `class_names[label]`, also of those that have no image here;
            "0", "1", ... where classes have only numbers; empty without labels. Texts as labels name them.
        facts: one line each: "source", "terms", "note" where there is something to know, "labels" and
            "captions" where there are none and why.
        skipped: reason -> number of files that were not readable as images.
        other: the images of the second domain of an unpaired set, with a length of their own; None for sets
            of one domain. `facts["domain"]` is the name of each domain.
    """

    pixels: Array
    name: str
    split: str
    transform: str
    columns: Mapping[str, Any]
    facts: Mapping[str, str]
    skipped: Mapping[str, int]
    class_names: tuple[str, ...]
    other: Images | None

    def __init__(
        self,
        *,
        pixels: Array,
        name: str = "images",
        split: str = "all",
        transform: str = "8-bit",
        labels: Any = None,
        blocks: Array | None = None,
        attributes: Mapping[str, Array] | None = None,
        grey: Array | None = None,
        source: Array | None = None,
        captions: Iterable[Any] | None = None,
        facts: Mapping[str, str] | None = None,
        skipped: Mapping[str, int] | None = None,
        class_names: Iterable[object] = (),
        other: Images | None = None,
    ) -> None:
        _check_pixels(pixels)
        given = {"labels": labels, "blocks": blocks, "attributes": attributes, "grey": grey}
        given |= {"source": source, "captions": captions}
        columns, names = read_columns(given, pixels)
        fields = {
            "pixels": pixels,
            "name": name,
            "split": split,
            "transform": transform,
            "columns": columns,
            "facts": MappingProxyType(dict(facts or {})),
            "skipped": MappingProxyType(dict(skipped or {})),
            "class_names": check_names(names or class_names, columns.get("labels")),
            "other": _checked_other(other),
        }
        for key, value in fields.items():
            object.__setattr__(self, key, value)

    @property
    def domains(self) -> tuple[Images, ...]:
        """Return the images of each domain: of two for an unpaired set, else these alone."""
        return (self,) if self.other is None else (self.replace(other=None), self.other)

    @property
    def labels(self) -> Array | None:
        """Return the classes, (N,) int64, or None."""
        return self.columns.get("labels")

    @property
    def blocks(self) -> Array | None:
        """Return which images belong together, (N,) whole numbers, or None."""
        return self.columns.get("blocks")

    @property
    def attributes(self) -> Mapping[str, Array] | None:
        """Return name -> (N,) float32, or None."""
        return self.columns.get("attributes")

    @property
    def grey(self) -> Array | None:
        """Return the probabilities of white, (N, C, H, W) uint8, or None."""
        return self.columns.get("grey")

    @property
    def source(self) -> Array | None:
        """Return the other half of each pair, (N, C, H, W) uint8, or None."""
        return self.columns.get("source")

    @property
    def captions(self) -> Captions | None:
        """Return the texts about each image, or None."""
        return self.columns.get("captions")

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
        columns = {key: cut(column, rows, len(self)) for key, column in self.columns.items()}
        return self.replace(**{"pixels": self[indices], **columns, **changes})

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
        """Return a copy with `changes`: fields or columns, None for a column that is dropped."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["columns"]
        return Images(**{**fields, **self.columns, **changes})


def _checked_other(other: object) -> Images | None:
    if other is None:
        return None
    if not isinstance(other, Images) or other.other is not None:
        raise ArgumentError("other must be Images of one domain", "there are two domains at most")
    return other


def _check_pixels(pixels: object) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise ArgumentError(
            "pixels must be a uint8 array (N, C, H, W)", "open_data brings other arrays into this form"
        )
    if pixels.shape[1] not in (1, 3):
        raise ArgumentError(f"images have 1 (grey) or 3 (red, green, blue) channels, not {pixels.shape[1]}")


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
