"""Frey faces: 1,965 frames of 28x20 grey levels, from the MATLAB file of their public home."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genzoo.data.contents import digest_arrays
from genzoo.data.prepare.made import Made, look_for, npz_of, refused
from genzoo.data.prepare.matlab import read_matlab
from genzoo.data.types import Array

FILE = "frey_rawface.mat"
SHAPE = (1965, 28, 20)
DIGEST = "bf68906b8d198526a3dce91b0ef1bb460cea00330862a2abf6997e995093c5e5"  # of `digest_arrays`


def frey(name: str, sources: Sequence[str]) -> Made:
    """Return frey_faces.npz, made from frey_rawface.mat, of which the array `ff` (560, 1965) has a frame in
    each column.

    Raises:
        DataError: the file is missing, is a pickle, or holds other images.
    """
    if any(source.endswith((".pkl", ".pickle")) for source in sources):
        raise refused(name, "a pickle can execute code when it is loaded, and is never loaded")
    path = look_for(name, sources, FILE)
    if path is None:
        raise refused(name, f"{', '.join(sources)} has no {FILE}")
    images = next((one for one in map(_frames, read_matlab(path).values()) if one is not None), None)
    if images is None or digest_arrays(images) != DIGEST:
        raise refused(name, f"{path} does not hold the 1,965 frames of 28x20 whose sha256 is {DIGEST[:16]}…")
    return Made(
        {"frey_faces.npz": npz_of({"images": images})}, ("1,965 frames of 28x20, sha256 as expected",)
    )


def _frames(array: Array) -> Array | None:
    """Return `array` (560, 1965), a frame in each column, as (1965, 28, 20) uint8; None for another size."""
    count, height, width = SHAPE
    if array.shape != (height * width, count):
        return None
    return np.ascontiguousarray(array.T.astype(np.uint8)).reshape(SHAPE)
