"""Large arrays of an .npz file, which are written to a file of the cache, block by block, and mapped."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import torch

from genzoo.data.arrays import as_images, note_range
from genzoo.data.cache import Loaded, Room, cached, folder_of, key_of, place_of
from genzoo.data.frames import Task
from genzoo.data.index import SUFFIX, Index
from genzoo.data.keys import meaning
from genzoo.data.listing import Files, state_of
from genzoo.data.sealed import MAPPED
from genzoo.data.types import Array
from genzoo.files import sha256_of

HEAD = 1 << 16  # bytes of an array's header, at most
KEPT = 3  # blocks of an array that are in memory: threads read neighbours
BLOCK = 1 << 24  # bytes of one, about


def is_large(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether an array is one of bytes that may be images, and too large to be read into memory."""
    return dtype == np.uint8 and len(shape) in (3, 4) and int(np.prod(shape, dtype=np.int64)) > MAPPED


def header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape of an array, whether it is in Fortran order, and its type; its magic string was read.

    Raises:
        ValueError: a header that is too long.
    """
    old = file.read(2) == b"\x01\x00"
    length = int.from_bytes(file.read(2 if old else 4), "little")
    if length > HEAD:
        raise ValueError(f"a header of {length:,} bytes")
    file.seek(8)  # behind the magic string and the version
    read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    shape, order, dtype = read(file)
    return shape, bool(order), dtype


def large_arrays(
    archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of those arrays of images that are not to be read into memory."""
    found = {}
    for key, member in members.items():
        if member.file_size <= MAPPED or not (meaning(key)[1] == "images" or len(members) == 1):
            continue
        with archive.open(member) as file:
            shape, fortran, dtype = (
                header(file) if file.read(6) == b"\x93NUMPY" else ((), False, np.dtype("V"))
            )
        if is_large(shape, dtype) and not fortran:
            found[key] = shape
    return found


def mapped_member(path: Path, member: str, shape: tuple[int, ...]) -> Array:
    """Return the images (N, H, W), (N, C, H, W) or (N, H, W, C) uint8 of a `member` of the .npz file `path`
    as (N, C, H, W), in a mapped file of the cache; in memory where there is no cache.

    Raises:
        ArgumentError: another shape.
        DataError: no room for them.
    """
    name = member.removesuffix(".npy")
    axes = as_images(torch.empty(shape, dtype=torch.uint8, device="meta"), name)
    last = tuple(axes.shape) != shape and len(shape) == 4
    sizes = (int(axes.shape[1]), int(axes.shape[2]), int(axes.shape[3]))

    def make(room: Room) -> Loaded:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            stream = _Stream(file, shape)

            def load(row: int) -> Array:
                pixels = stream.row(row)
                return pixels.transpose(2, 0, 1) if last else pixels.reshape(sizes)

            return room(Task(count=shape[0], load=load, shape=sizes, what=f"{path.name}, {name}"))

    digest = _digest(path)
    found = cached(
        key_of("member", digest, member, shape) if digest else None,
        make,
        path.name,
        place_of("member", str(path.resolve()), member),
    )
    note_range(found.pixels, name)
    return found.pixels


def _digest(path: Path) -> str:
    """Return the sha256 of the file, which is read when it has changed; "" where there is no cache."""
    folder = folder_of()
    if folder is None:
        return ""
    files = Files.of([path.name], np.array([state_of(path.stat())], np.int64))
    index = Index(files, folder / f"{place_of('index', str(path.resolve()))}{SUFFIX}")
    index.read(lambda _: bytes.fromhex(sha256_of(path)), path.name)
    return bytes(index.digests[0]).hex()


class _Stream:
    """The rows of an array in a stream that is read forwards, block by block."""

    def __init__(self, file: Any, shape: tuple[int, ...]) -> None:
        self._file: BinaryIO = file
        self._shape = shape[1:]
        self._each = int(np.prod(self._shape))
        self._step = max(1, BLOCK // self._each)
        self._blocks: dict[int, Array] = {}
        self._next = 0
        self._lock = threading.Lock()
        _skip_header(file)

    def row(self, row: int) -> Array:
        """Return row `row`, which lies no more than a block before those that were asked for."""
        number, place = divmod(row, self._step)
        with self._lock:
            while self._next <= number:
                data = self._file.read(self._step * self._each)
                self._blocks[self._next] = np.frombuffer(data, np.uint8).reshape(-1, *self._shape)
                self._blocks.pop(self._next - KEPT, None)
                self._next += 1
            found: Array = self._blocks[number][place]
        return found


def _skip_header(file: BinaryIO) -> None:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        np.lib.format.read_array_header_1_0(file)
    else:
        np.lib.format.read_array_header_2_0(file)
