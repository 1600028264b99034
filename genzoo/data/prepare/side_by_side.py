"""The facades of pix2pix: photographs, found by their fingerprints, and the maps beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from genzoo.data.pool import in_parallel
from genzoo.data.prepare.albums import Album, Half, albums
from genzoo.data.prepare.made import Made, end_to_end, npz_of, refused
from genzoo.data.prepare.photographs import Place, Print, encoded, find, verdict
from genzoo.data.prepare.prints import known
from genzoo.data.types import Array
from genzoo.datasets import NAMES
from genzoo.files import sha256_of

PHOTOGRAPHS = Print(
    side=128,
    quality=93,
    native=256,
    sha256="9a35cd471e5deb8facbe18f3cbd73d0a5b84483ea282cc8ed616b47233a8aeae",
    optimised=False,
)
MAPS = "d7d773cac5b5735d60c153ab51f9f01543c09a0a4dbbe082a75fb76b11e1957c"  # sha256 of the PNG files
# the colours of the maps, which came as JPEG: each pixel is set to the nearest
_COLOURS = NAMES["facades"].legend.values()
PALETTE = np.array([list(bytes.fromhex(colour)) for colour in _COLOURS], np.uint8)  # (12, 3)
CELLS = 8  # of a side, in which the most frequent colour is compared with the known one
ALIKE = 0.875  # of these cells, at least: files that are encoded again differ in a few


def facades(name: str, sources: Sequence[str]) -> Made:
    """Return facades_128.npz: 506 pairs of photograph and map at 128x128, with the published split.

    Pictures have the photograph on the left and the map on the right.

    Raises:
        DataError: not all photographs are in `sources`, or some have another map.
    """
    whole = albums(name, sources, PHOTOGRAPHS.native, 2 * PHOTOGRAPHS.native)
    halves: dict[Album, Album] = {Half(album, right=False): Half(album, right=True) for album in whole}
    places = find(name, list(halves), PHOTOGRAPHS)
    found = encoded(name, places, PHOTOGRAPHS)
    maps, remark = _maps(name, [(halves[shelf], number) for shelf, number in places])
    photo, photo_offsets = end_to_end(found.files)
    drawn, offsets = end_to_end(maps)
    arrays = {
        "photo": photo,
        "photo_offsets": photo_offsets,
        "map": drawn,
        "map_offsets": offsets,
        "test": known(f"{name}_test"),
        "palette": PALETTE,
    }
    return Made({"facades_128.npz": npz_of(arrays, packed=False)}, (verdict(found, PHOTOGRAPHS), remark))


def _maps(name: str, places: Sequence[Place]) -> tuple[list[bytes], str]:
    """Return the maps as PNG files, and a remark on them."""
    files = [b""] * len(places)
    wanted = known(f"{name}_maps")  # (N, 8, 8)
    alike = np.zeros(len(places))

    def make(row: int) -> None:
        shelf, number = places[row]
        classes = classes_of(shelf.image(number))
        alike[row] = (coarse(classes) == wanted[row]).mean()
        files[row] = _png(classes)

    in_parallel(len(places), make, f"reading the maps of {name}")
    others = int((alike < ALIKE).sum())
    if others:
        raise refused(name, f"{others:,} of {len(files):,} photographs have another map beside them")
    if sha256_of(b"".join(files)) == MAPS:
        return files, f"{len(files):,} maps, the same bytes too"
    return files, f"{len(files):,} maps, of which some pixels may have a neighbouring class"


def classes_of(image: Image.Image) -> Array:
    """Return the class of each pixel of a map in RGB at 128x128, a row of PALETTE: (128, 128) uint8."""
    small = image.resize((PHOTOGRAPHS.side, PHOTOGRAPHS.side), Image.Resampling.BOX)
    pixels = np.asarray(small, np.int32)[:, :, None]  # (128, 128, 1, 3)
    apart = ((pixels - PALETTE.astype(np.int32)) ** 2).sum(-1)  # (128, 128, 12)
    nearest: Array = apart.argmin(-1).astype(np.uint8)
    return nearest


def coarse(classes: Array) -> Array:
    """Return the most frequent class in each of 8x8 cells of a map (128, 128): (8, 8) uint8."""
    side = len(classes) // CELLS
    cells = classes.reshape(CELLS, side, CELLS, side, 1) == np.arange(len(PALETTE))  # (8, 16, 8, 16, 12)
    frequent: Array = cells.sum((1, 3)).argmax(-1).astype(np.uint8)
    return frequent


def _png(classes: Array) -> bytes:
    image = Image.fromarray(classes)
    image.putpalette(PALETTE.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
