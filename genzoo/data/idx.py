"""The idx format of MNIST (LeCun): two zero bytes, a type, the number of axes, their sizes, the numbers;
gzipped or not.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from genzoo.data.collection import Images
from genzoo.data.memory import check_memory, short_of_memory
from genzoo.data.splits import check_split, last_of
from genzoo.data.types import Array
from genzoo.datasets import IDX_FILES
from genzoo.errors import DataError
from genzoo.files import open_to_read

PARTS = {"train": "train", "valid": "train", "fit": "train", "test": "t10k"}
BLOCK = 1 << 20  # bytes unpacked at a time
_UNSIGNED_BYTES = 8


def parse(data: bytes | BinaryIO, what: str) -> Array:
    """Return the uint8 array in `data`, the bytes of an idx file or one that is open, gzipped or not; exactly
    as long as its header says.

    Raises:
        DataError: another format or type, a wrong length, or more than the free memory; `what` names the
            file.
    """
    try:
        source = io.BytesIO(data) if isinstance(data, bytes) else data
        # By its first bytes: MNIST is often unpacked under the .gz name, or packed without it.
        packed = source.read(2) == b"\x1f\x8b"
        source.seek(0)
        with gzip.GzipFile(fileobj=source) if packed else contextlib.nullcontext(source) as file:
            zero, kind, axes = struct.unpack(">HBB", file.read(4))
            if zero != 0 or kind != _UNSIGNED_BYTES or not 1 <= axes <= 4:
                magic = f"{zero << 16 | kind << 8 | axes:08x}"
                raise DataError(
                    f"{what} is not an idx file of unsigned bytes: it begins with {magic}",
                    "expected 00000801 or 00000803",
                )
            sizes = struct.unpack(f">{axes}I", file.read(4 * axes))
            expected = math.prod(sizes)
            # The header may declare any size, and it is the only thing read so far.
            check_memory(expected, what)
            values = np.empty(expected, np.uint8)  # which takes no memory before it is filled
            came = _fill(values, file)
            more = bool(file.read(1))  # what is too long is seen, not unpacked
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise DataError(f"{what} is truncated or damaged: {error}", "fetch it again") from error
    except MemoryError as error:
        raise short_of_memory(f"there is not enough memory to read {what}") from error
    if came < expected or more:
        least = "more than " if more else ""
        raise DataError(
            f"{what} should hold {'x'.join(map(str, sizes))} = {expected:,} bytes, not {least}{came:,}",
            "fetch it again",
        )
    return values.reshape(sizes)


def _fill(values: Array, file: BinaryIO | gzip.GzipFile) -> int:
    """Read `file` into `values` (N,) and return how many bytes came."""
    room, came = values.data, 0
    while came < len(room) and (part := file.read(min(BLOCK, len(room) - came))):
        room[came : came + len(part)] = part
        came += len(part)
    return came


def read(path: Path) -> Array:
    """Return the array in the idx file `path`; see `parse`."""
    try:
        with open_to_read(path) as file:
            return parse(file, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def find(folder: Path, file: str) -> Path | None:
    """Return `file` or `file.gz` in `folder`, whichever is there."""
    return next((path for path in (folder / f"{file}.gz", folder / file) if os.path.isfile(path)), None)


def is_pair(folder: Path) -> bool:
    """Return whether `folder` holds the four files of MNIST under their own names."""
    return all(find(folder, file) for file in IDX_FILES)


def images_of(pixels: Array, labels: Array, name: str, split: str) -> Images:
    """Return images with labels from the two arrays of one split; validation images are the last sixth of the
    training images.

    Raises:
        DataError: axes that are not (N, H, W) and (N,).
    """
    if pixels.ndim != 3 or labels.shape != pixels.shape[:1]:
        raise DataError(f"{name}: images {pixels.shape} and labels {labels.shape} do not belong together")
    found = Images(pixels=pixels[:, None], name=name, split=split, labels=labels)
    # A sixth: 10,000 of the 60,000 of MNIST, as in the literature.
    return last_of(found, split, len(found) // 6) if PARTS.get(split) == "train" else found


def open_pair(folder: Path, name: str, split: str) -> Images:
    """Return a split of the four files in `folder`.

    Raises:
        ArgumentError: an unknown split.
        DataError: a file that is absent or broken.
    """
    part = PARTS[check_split(split, tuple(PARTS), name)]
    paths = [find(folder, f"{part}-images-idx3-ubyte"), find(folder, f"{part}-labels-idx1-ubyte")]
    if None in paths:
        names = f"{part}-images-idx3-ubyte(.gz) and {part}-labels-idx1-ubyte(.gz)"
        raise DataError(f"{folder} lacks the {split} files of {name}", f"expected {names}")
    pixels, labels = (read(path) for path in paths if path is not None)
    return images_of(pixels, labels, name, split)


def open_file(path: Path) -> Images:
    """Return the images in one idx file, with the labels beside it under the matching name."""
    pixels = read(path)
    if pixels.ndim != 3:
        raise DataError(
            f"{path} holds {pixels.ndim} axes, not images (N, H, W)",
            "give the file with 'images-idx3' in its name",
        )
    beside = path.with_name(
        path.name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1")
    )
    if beside == path or not os.path.isfile(beside):
        return Images(pixels=pixels[:, None], name=path.name)
    return images_of(pixels, read(beside), path.name, "all")
