"""The sets of photographs: bedrooms, rooms and faces, found by their fingerprints and made small exactly as
those were that the published models were trained on.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genzoo.data.decode import Skip, decoder
from genzoo.data.pool import in_parallel
from genzoo.data.prepare.albums import Album, Folder, albums
from genzoo.data.prepare.made import Made, npz_of, refused
from genzoo.data.prepare.prints import known, matched, print_of
from genzoo.data.types import Array
from genzoo.errors import DataError
from genzoo.files import read_capped, sha256_of

JSON_CAP = 1 << 20  # bytes of the file of one face's attributes
KINDS = ("living_room", "kitchen", "dining_room")  # of rooms, 4,000 each, in this order
EACH = 4000
_NAMES = """
    Smiling, Male, Eyeglasses, Mouth_Slightly_Open, High_Cheekbones, Young, Bald, Bangs, Black_Hair,
    Blond_Hair, Brown_Hair, Gray_Hair, Straight_Hair, Wavy_Hair, Receding_Hairline, No_Beard, Goatee,
    Mustache, Sideburns, 5_o_Clock_Shadow, Heavy_Makeup, Wearing_Lipstick, Wearing_Earrings,
    Wearing_Necklace, Wearing_Necktie, Wearing_Hat, Narrow_Eyes, Rosy_Cheeks, Pale_Skin, Blurry
"""
ATTRIBUTES = tuple(_NAMES.replace(",", " ").split())


@dataclass(frozen=True)
class Print:
    """How the photographs of a set are made small.

    Attributes:
        side: pixels of a side of the result.
        quality: of the JPEG files, which keep all colours (4:4:4).
        native: pixels of a side of the photographs where they come as a data set, not as files.
        box: what is cut out first (left, top, right, bottom), None for all.
        sha256: of the JPEG files end to end, as the published models were trained on them.
    """

    side: int
    quality: int
    native: int
    sha256: str
    box: tuple[int, int, int, int] | None = None

    def small(self, image: Image.Image) -> Image.Image:
        """Return `image` with its shorter side resized to `side` and the middle cut out."""
        whole = image if self.box is None else image.crop(self.box)
        shorter = min(whole.size)
        across, down = (round(length * self.side / shorter) for length in whole.size)
        left, top = (across - self.side) // 2, (down - self.side) // 2
        resized = whole.resize((across, down), Image.Resampling.LANCZOS)
        return resized.crop((left, top, left + self.side, top + self.side))

    def encoded(self, image: Image.Image) -> bytes:
        """Return the small version of `image` as a JPEG file."""
        buffer = io.BytesIO()
        self.small(image).save(buffer, "JPEG", quality=self.quality, subsampling=0, optimize=True)
        return buffer.getvalue()


BEDROOMS = Print(
    side=96, quality=95, native=256, sha256="13a96698425df50019fcca407c72a81ada916cf70c2d862341ec8f224c39f3c6"
)
ROOMS = Print(
    side=64, quality=86, native=256, sha256="9a4e6fb0b84d4c3185c2a3d5928cd0d212e9e94ddece67604425003644e01ad3"
)
FACES = Print(
    side=64,
    quality=95,
    native=250,
    sha256="462a240619b93b6b732f856e8d718129cece31466ae01139ae4f9be8cbc6d896",
    box=(53, 50, 197, 194),
)


@dataclass(frozen=True)
class Found:
    """The photographs of a set in their order: small JPEG files, and their paths."""

    files: list[bytes]
    paths: list[str]

    @property
    def arrays(self) -> dict[str, Array]:
        """Return the files end to end with their offsets, and the paths."""
        offsets = np.cumsum([0, *map(len, self.files)]).astype(np.int64)
        return {
            "jpeg": np.frombuffer(b"".join(self.files), np.uint8),
            "offsets": offsets,
            "path": np.array(self.paths),
        }


def bedrooms(name: str, sources: Sequence[str]) -> Made:
    """Return bedrooms_96.npz: 4,379 photographs at 96x96.

    Raises:
        DataError: not all of them are in `sources`.
    """
    found = find(name, albums(name, sources, BEDROOMS.native), BEDROOMS)
    return Made({"bedrooms_96.npz": npz_of(found.arrays, packed=False)}, (_verdict(found, BEDROOMS),))


def rooms(name: str, sources: Sequence[str]) -> Made:
    """Return rooms3_64.npz: 4,000 living rooms, kitchens and dining rooms each, at 64x64.

    Raises:
        DataError: not all of them are in `sources`.
    """
    found = find(name, albums(name, sources, ROOMS.native), ROOMS)
    labels = np.arange(len(found.files), dtype=np.int64) * len(KINDS) // max(len(found.files), 1)
    arrays = {**found.arrays, "labels": labels.astype(np.uint8), "class_names": np.array(KINDS)}
    also = "the data set rooms also needs bedrooms_96.npz: genzoo data prepare bedrooms"
    return Made({"rooms3_64.npz": npz_of(arrays, packed=False)}, (_verdict(found, ROOMS), also))


def faces(name: str, sources: Sequence[str]) -> Made:
    """Return faces_lfw_64.npz: 11,898 faces at 64x64, with their attributes where a folder of `sources` holds
    feature_embeddings_lfw.

    Raises:
        DataError: not all of them are in `sources`.
    """
    shelves = albums(name, sources, FACES.native)
    found = find(name, shelves, FACES)
    files = [Path(path).name for path in found.paths]
    # nobody is in two splits, so the person must be known, whatever the folders are called
    people = [f"{file.rpartition('_')[0]}/{file}" for file in files]
    arrays = {**found.arrays, "path": np.array(people)}
    values = _attributes([shelf.folder for shelf in shelves if isinstance(shelf, Folder)], files)
    remark = "no attributes: without feature_embeddings_lfw, arithmetic cannot find --plus Smiling"
    if values is not None:
        arrays |= {"attr": values, "attr_names": np.array(ATTRIBUTES)}
        remark = f"{len(ATTRIBUTES)} attributes; {int(np.isnan(values[:, 0]).sum()):,} faces have none"
    return Made({"faces_lfw_64.npz": npz_of(arrays, packed=False)}, (_verdict(found, FACES), remark))


def find(name: str, shelves: Sequence[Album], how: Print) -> Found:
    """Return the photographs of the data set `name` among those of `shelves`.

    Raises:
        DataError: some are not there.
    """
    wanted = known(name)
    places = [(shelf, number) for shelf in shelves for number in range(len(shelf))]
    prints = np.zeros((len(places), 2), np.uint64)
    readable = np.zeros(len(places), bool)

    def look(row: int) -> None:
        shelf, number = places[row]
        try:
            prints[row] = print_of(how.small(shelf.image(number)))
            readable[row] = True
        except Skip:  # it is counted as not found
            return

    in_parallel(len(places), look, f"looking for {name}")
    taken = matched(wanted, prints[readable])
    missing = int((taken < 0).sum())
    if missing:
        seen = f"among the {int(readable.sum()):,} images given"
        raise refused(name, f"{len(wanted) - missing:,} of {len(wanted):,} photographs were found {seen}")
    rows = np.flatnonzero(readable)[taken]
    files = [b""] * len(rows)

    def make(row: int) -> None:
        shelf, number = places[rows[row]]
        files[row] = how.encoded(shelf.image(number))

    in_parallel(len(rows), make, f"resizing {name}")
    return Found(files, [shelf.path(number) for shelf, number in (places[row] for row in rows)])


def _verdict(found: Found, how: Print) -> str:
    """Return one line on whether the images are the very ones behind the published figures."""
    count = f"{len(found.files):,} photographs"
    if sha256_of(b"".join(found.files)) == how.sha256:
        return f"{count}, the same bytes as those that the published models were trained on"
    grey = f"pixels may differ by a few grey levels, {decoder()}"
    return f"{count}, those that the published models were trained on; {grey}"


def _attributes(folders: Sequence[Path], files: Sequence[str]) -> Array | None:
    """Return the attributes (N, 30) float16 of the faces, NaN where there are none; None if there are none at
    all.
    """
    homes = [home for folder in folders for home in sorted(folder.rglob("feature_embeddings_lfw"))]
    if not homes:
        return None
    return np.array([_of_face(homes[0] / f"{file}.json") for file in files], np.float16)


def _of_face(path: Path) -> list[float]:
    if not os.path.isfile(path):
        return [np.nan] * len(ATTRIBUTES)
    try:
        values: Any = json.loads(read_capped(path, JSON_CAP))
        return [float(values[key]) for key in ATTRIBUTES]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} does not hold the attributes of a face: {type(error).__name__} {error}", "fetch it again"
        ) from error
