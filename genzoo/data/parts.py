"""Large parts of mapped sets, which are mapped as well: no part is copied into memory."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from genzoo.data.cache import Loaded, Room, cached, key_of, place_of, stretch_of
from genzoo.data.collection import Images
from genzoo.data.columns import cut
from genzoo.data.frames import Task
from genzoo.data.sealed import MAPPED
from genzoo.data.types import Array


def part_of(images: Images, rows: Array, **changes: Any) -> Images:
    """Return the images at `rows` (ascending), as `Images.subset`; of a mapped set a large part is mapped as
    well.
    """
    stretch = stretch_of(images.pixels)
    if stretch is None or len(rows) * images.pixels[:1].nbytes <= MAPPED:
        return images.subset(rows, **changes)
    path, name = stretch
    pixels = images.pixels

    def make(room: Room) -> Loaded:
        job = Task(
            count=len(rows),
            load=lambda row: pixels[rows[row]],
            shape=images.shape,
            what=f"a part of {images.name}",
        )
        return room(job)

    asked = hashlib.sha256(np.ascontiguousarray(rows, "<i8").data).hexdigest()
    place = place_of("part", path.name.partition("-")[0], changes.get("split", ""))
    found = cached(key_of("part", path.name, name, asked), make, images.name, place)
    columns = {key: cut(column, rows, len(images)) for key, column in images.columns.items()}
    return images.replace(**{"pixels": found.pixels, **columns, **changes})
