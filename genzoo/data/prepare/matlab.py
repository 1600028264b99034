"""Reads the numeric arrays of a MATLAB 5 file (.mat): header, tagged elements, some of them compressed.
Nothing else in such a file is read, and nothing in it can be executed.

The format: "MAT-File Format", MathWorks 2019, chapter 1 (level 5).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from genzoo.data.types import Array
from genzoo.errors import DataError
from genzoo.files import read_capped

CAP = 1 << 29  # bytes of a file, and of what one of its arrays is unpacked to
HEADER = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMERIC = range(6, 16)  # classes of arrays: double, single and whole numbers


def is_matlab(path: Path) -> bool:
    """Return whether `path` begins as a MATLAB 5 file does."""
    with path.open("rb") as file:
        return file.read(10) == b"MATLAB 5.0"


def read_matlab(path: Path) -> dict[str, Array]:
    """Return the numeric arrays of `path` by their names.

    Raises:
        DataError: it is no MATLAB 5 file, is damaged, or unpacks to more than CAP bytes.
        StorageError: it cannot be read.
    """
    data = read_capped(path, CAP)
    if data[:10] != b"MATLAB 5.0" or data[126:128] not in (b"IM", b"MI"):
        raise DataError(f"{path} is not a MATLAB 5 file", "fetch it again")
    order = "<" if data[126:128] == b"IM" else ">"
    try:
        return dict(_arrays(data[HEADER:], order))
    except (struct.error, zlib.error, ValueError, KeyError, UnicodeDecodeError, StopIteration) as error:
        raise DataError(f"{path} is damaged: {error or 'an element is missing'}", "fetch it again") from error


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each element."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        if kind >> 16:  # a small element: its content is in the tag
            yield kind & 0xFFFF, data[place + 4 : place + 4 + (kind >> 16)]
            place += 8
            continue
        content = data[place + 8 : place + 8 + size]
        if len(content) < size:
            raise ValueError("it ends inside an element")
        yield kind, content
        place += 8 + size + (0 if kind == COMPRESSED else -size % 8)


def _arrays(data: bytes, order: str) -> Iterator[tuple[str, Array]]:
    for kind, content in _elements(data, order):
        if kind == COMPRESSED:
            unpack = zlib.decompressobj()
            plain = unpack.decompress(content, CAP)
            if unpack.unconsumed_tail:
                raise ValueError(f"an array unpacks to more than {CAP:,} bytes")
            yield from _arrays(plain, order)
        elif kind == MATRIX:
            yield from _matrix(content, order)


def _matrix(content: bytes, order: str) -> Iterator[tuple[str, Array]]:
    """Yield name and array of a matrix; nothing for one that is not numeric."""
    parts = _elements(content, order)
    flags = struct.unpack_from(f"{order}I", next(parts)[1])[0]
    if flags & 0xFF not in NUMERIC:
        return
    shape = tuple(map(int, np.frombuffer(next(parts)[1], f"{order}i4")))
    name = next(parts)[1].decode("ascii")
    kind, values = next(parts)
    array = np.frombuffer(values, order + NUMBERS[kind])
    if len(array) != math.prod(shape):
        raise ValueError(f"{name} has {len(array):,} numbers, not {math.prod(shape):,}")
    yield name, array.reshape(shape, order="F")
