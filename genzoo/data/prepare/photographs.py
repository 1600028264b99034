"""The sets of photographs: bedrooms, rooms, faces, horses and zebras, flowers. They are found by their
fingerprints and made small exactly as those were that the published models were trained on.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from genzoo.data.decode import Skip, decoder
from genzoo.data.pool import in_parallel
from genzoo.data.prepare.albums import Album, AlbumFolder, albums
from genzoo.data.prepare.made import Made, end_to_end, npz_of, refused
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
        quality: of the JPEG files.
        native: pixels of a side of the photographs where they come as a data set, not as files.
        box: what is cut out first (left, top, right, bottom), None for all.
        sha256: of the JPEG files end to end, as the published models were trained on them.
        colours: their chroma subsampling.
        optimised: whether their Huffman tables are.
        between: quality of the JPEG files from which they were encoded once more, 0 for none.
        kept: whether JPEG files that have this side already are taken as they are.
    """

    side: int
    quality: int
    native: int
    sha256: str
    box: tuple[int, int, int, int] | None = None
    colours: str = "4:4:4"
    optimised: bool = True
    between: int = 0
    kept: bool = False

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
        small = self.small(image)
        if self.between:
            small = Image.open(io.BytesIO(self._file(small, self.between)))
        return self._file(small, self.quality)

    def _file(self, image: Image.Image, quality: int) -> bytes:
        buffer = io.BytesIO()
        how = {"quality": quality, "subsampling": self.colours, "optimize": self.optimised}
        image.save(buffer, "JPEG", **how)
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
HORSES = Print(
    side=96,
    quality=88,
    native=256,
    sha256="32c954a37bba721affc8070688e75e05e57fef7ad6c90bb341842f7e36c881c3",
    between=95,
)
FLOWERS = Print(
    side=64,
    quality=75,
    native=500,
    sha256="688b731204733d1bc2838111cb96ba61a89fd406986b77b51aafac805577db3d",
    colours="4:2:0",
    optimised=False,
    kept=True,
)
Place: TypeAlias = tuple[Album, int]  # a photograph: the album, and its number there


@dataclass(frozen=True)
class Found:
    """The photographs of a set in their order: small JPEG files, and their paths."""

    files: list[bytes]
    paths: list[str]

    @property
    def arrays(self) -> dict[str, Array]:
        """Return the files end to end with their offsets, and the paths."""
        data, offsets = end_to_end(self.files)
        return {"jpeg": data, "offsets": offsets, "path": np.array(self.paths)}


def bedrooms(name: str, sources: Sequence[str]) -> Made:
    """Return bedrooms_96.npz: 4,379 photographs at 96x96.

    Raises:
        DataError: not all of them are in `sources`.
    """
    found = encoded(name, find(name, albums(name, sources, BEDROOMS.native), BEDROOMS), BEDROOMS)
    return Made({"bedrooms_96.npz": npz_of(found.arrays, packed=False)}, (verdict(found, BEDROOMS),))


def rooms(name: str, sources: Sequence[str]) -> Made:
    """Return rooms3_64.npz: 4,000 living rooms, kitchens and dining rooms each, at 64x64.

    Raises:
        DataError: not all of them are in `sources`.
    """
    found = encoded(name, find(name, albums(name, sources, ROOMS.native), ROOMS), ROOMS)
    labels = np.arange(len(found.files), dtype=np.int64) * len(KINDS) // max(len(found.files), 1)
    arrays = {**found.arrays, "labels": labels.astype(np.uint8), "class_names": np.array(KINDS)}
    also = "the data set rooms also needs bedrooms_96.npz: genzoo data prepare bedrooms"
    return Made({"rooms3_64.npz": npz_of(arrays, packed=False)}, (verdict(found, ROOMS), also))


def faces(name: str, sources: Sequence[str]) -> Made:
    """Return faces_lfw_64.npz: 11,898 faces at 64x64, with their attributes where a folder of `sources` holds
    feature_embeddings_lfw.

    Raises:
        DataError: not all of them are in `sources`.
    """
    shelves = albums(name, sources, FACES.native)
    found = encoded(name, find(name, shelves, FACES), FACES)
    files = [Path(path).name for path in found.paths]
    # nobody is in two splits, so the person must be known, whatever the folders are called
    people = [f"{file.rpartition('_')[0]}/{file}" for file in files]
    arrays = {**found.arrays, "path": np.array(people)}
    values = _attributes(folders_of(shelves), files)
    remark = "no attributes: without feature_embeddings_lfw, arithmetic cannot find --plus Smiling"
    if values is not None:
        arrays |= {"attr": values, "attr_names": np.array(ATTRIBUTES)}
        remark = f"{len(ATTRIBUTES)} attributes; {int(np.isnan(values[:, 0]).sum()):,} faces have none"
    return Made({"faces_lfw_64.npz": npz_of(arrays, packed=False)}, (verdict(found, FACES), remark))


def horses(name: str, sources: Sequence[str]) -> Made:
    """Return horse2zebra_96.npz: 1,187 horses and 1,474 zebras at 96x96, with the published split.

    Raises:
        DataError: not all of them are in `sources`.
    """
    found = encoded(name, find(name, albums(name, sources, HORSES.native), HORSES), HORSES)
    arrays = found.arrays
    arrays |= {"domain": known(f"{name}_domain"), "test": known(f"{name}_test"), "path": arrays.pop("path")}
    arrays["path"] = np.array(["/".join(path.split("/")[-2:]).encode() for path in found.paths])
    return Made({"horse2zebra_96.npz": npz_of(arrays, packed=False)}, (verdict(found, HORSES),))


def find(name: str, shelves: Sequence[Album], how: Print, by_file: bool = False) -> list[Place]:
    """Return where the photographs of the data set `name` are among those of `shelves`, in their order.

    Of several with one fingerprint, the first is the one whose path comes first, or with `by_file` the one
    whose file does, in whatever folder it is.

    Raises:
        DataError: some are not there.
    """
    wanted = known(name)
    places = [(shelf, number) for shelf in shelves for number in range(len(shelf))]
    if by_file:
        places.sort(key=lambda place: place[0].path(place[1]).rpartition("/")[2])
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
    return [places[row] for row in np.flatnonzero(readable)[taken]]


def encoded(name: str, places: Sequence[Place], how: Print) -> Found:
    """Return the photographs at `places` made small, in this order."""
    files = [b""] * len(places)

    def make(row: int) -> None:
        shelf, number = places[row]
        same = shelf.jpeg(number, how.side) if how.kept else b""
        files[row] = same or how.encoded(shelf.image(number))

    in_parallel(len(places), make, f"resizing {name}")
    return Found(files, [shelf.path(number) for shelf, number in places])


def folders_of(shelves: Sequence[Album]) -> list[Path]:
    """Return the folders of those of `shelves` that are folders."""
    return [shelf.folder for shelf in shelves if isinstance(shelf, AlbumFolder)]


def verdict(found: Found, how: Print) -> str:
    """Return one line on whether the images are the very ones behind the published figures."""
    count = f"{len(found.files):,} photographs"
    if sha256_of(b"".join(found.files)) == how.sha256:
        return f"{count}, the same bytes as those behind the published figures"
    grey = f"pixels may differ by a few grey levels, {decoder()}"
    return f"{count}, those behind the published figures; {grey}"


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
