"""Images that are to be decoded, and where they go: here into memory, in `genzoo.data.growing` to disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from genzoo.data.memory import check_memory
from genzoo.data.types import Array, Shape

Progress: TypeAlias = "Callable[[int, int], None]"


class Store(Protocol):
    """Room for images, of which some may turn out to be none."""

    def keep(self, places: Sequence[int] | Array) -> None:
        """Keep the images at `places` (ascending) and forget the others."""


class Frames:
    """Room in memory for images (count, C, H, W) uint8."""

    def __init__(self, count: int, shape: Shape, what: str) -> None:
        check_memory(count * int(np.prod(shape)), what)
        self.pixels: Array = np.empty((count, *shape), np.uint8)

    def keep(self, places: Sequence[int] | Array) -> None:
        """Keep the images at `places` (ascending) and forget the others."""
        # In place, since a copy would need the memory twice; places ascend, so nothing is overwritten too
        # early.
        if len(places) < len(self.pixels):
            for new, old in enumerate(places):
                self.pixels[new] = self.pixels[old]
            self.pixels = self.pixels[: len(places)]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Images to be decoded.

    Attributes:
        count: how many.
        load: gives image i, from 0, as (C, H, W) uint8, or raises a `genzoo.data.decode.Skip`.
        shape: of each.
        what: the name of the data, for messages.
        progress: called with (done, total); by default a bar, or lines, say how far it is.
        tags: (count, T) uint8, from what each image is made: images of equal tags and equal `manner` are
            equal, so that none is decoded twice. None: that is not known.
        manner: how they are decoded.
        arrival: the places in the order in which they are best read, a permutation; None: their own.
        steady: whether what image i is made from is still what `tags` says; asked after it was decoded.
    """

    count: int
    load: Callable[[int], Array]
    shape: Shape
    what: str
    progress: Progress | None = None
    tags: Array | None = None
    manner: str = ""
    arrival: Array | None = None
    steady: Callable[[int], bool] | None = None


@dataclass
class Loaded:
    """What became of a `Task`.

    Attributes:
        frames: where the images are.
        rows: of those that there are: their places in `frames`, or whatever numbers their source gives them.
        skipped: how many are none, by the reason.
        columns: arrays of one entry per image that are kept with them.
        about: facts that are kept with them, as JSON.
    """

    frames: Store
    rows: Sequence[int] | Array
    skipped: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, Array] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


Room: TypeAlias = "Callable[[Task], Loaded]"


def kept_frames(pixels: Array) -> Loaded:
    """Return what became of images that are in memory already, `pixels` (N, C, H, W)."""
    # Room for nothing: no memory is asked for.
    frames = Frames(0, (1, 1, 1), "")
    frames.pixels = pixels
    return Loaded(frames, range(len(pixels)))
