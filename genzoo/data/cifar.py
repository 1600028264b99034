"""CIFAR-10: from the files that `genzoo data prepare` makes, from mosaics, or from the official archive."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from genzoo.data import npz
from genzoo.data.arrays import conform, standard
from genzoo.data.asked import Asked
from genzoo.data.cache import Loaded, Room, cached, kept_frames, key_of, place_of
from genzoo.data.collection import Images
from genzoo.data.contents import digest_arrays
from genzoo.data.local import under_data
from genzoo.data.remote import fetch
from genzoo.data.splits import FIT, check_split, last_of
from genzoo.data.types import Array
from genzoo.datasets import NAMES
from genzoo.errors import DataError

NAME = "cifar10"
VALID = 5000  # the last of the training images
BATCH = 10_000  # images of a file
RECORD = 1 + 3 * npz.SIDE**2  # a label, then the three channels
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)


def open_cifar10(name: str, asked: Asked) -> Images:
    """Return a split. Its test images are all 10,000, or the lossless ones of a file that has fewer.

    Raises:
        ArgumentError: an unknown split.
        DataError: files that are damaged, or neither under GENZOO_DATA nor to be fetched.
    """
    return conform(_part(asked.split, asked.cache), asked.shape, asked.cache, asked.progress)


def _part(split: str, cache: bool) -> Images:
    check_split(split, name=NAME)
    if split in ("valid", FIT):
        return last_of(_part("train", cache), split, VALID)
    names = NAMES[NAME].files[:5] if split == "train" else NAMES[NAME].files[5:]
    paths = [path for path in map(under_data, names) if path is not None]
    if len(paths) < len(names):
        data = fetch(NAMES[NAME].homes["cifar-10-binary.tar.gz"], NAME)
        parts = list(read_batches(io.BytesIO(data), TRAIN if split == "train" else TEST))
        pixels, labels = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Images(pixels=pixels, name=NAME, split=split, labels=labels)
    files = [npz.read(path) for path in paths]
    try:
        pixels = _pixels(files, split, cache)
        labels = np.concatenate([arrays["labels"] for arrays in files])[: len(pixels)]
    except KeyError as error:
        raise DataError(
            f"cifar10: the key {error} is missing in {paths[0].parent}", "fetch the files again"
        ) from error
    return Images(pixels=pixels, name=NAME, split=split, labels=labels)


def _pixels(files: Sequence[Mapping[str, Array]], split: str, cache: bool) -> Array:
    if all("images" in arrays for arrays in files):
        return np.concatenate([standard(arrays["images"], NAME) for arrays in files])

    def make(room: Room) -> Loaded:
        return kept_frames(np.concatenate([npz.mosaics(arrays) for arrays in files]))

    contents = [digest_arrays(arrays["webp"], arrays["offsets"]) for arrays in files] if cache else []
    key = key_of(NAME, *contents) if cache else None
    return cached(key, make, NAME, place_of(NAME, split)).pixels


def read_batches(archive: BinaryIO, files: Sequence[str]) -> Iterator[tuple[Array, Array]]:
    """Yield images (10000, 3, 32, 32) uint8 and labels (10000,) uint8 of each of `files` in the official
    archive of the binary version. The Python version is pickle, and is not read.

    Raises:
        DataError: a file is missing or too short.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:gz") as opened:
            for file in files:
                member = opened.extractfile(f"cifar-10-batches-bin/{file}")
                content = b"" if member is None else member.read(BATCH * RECORD)
                rows = np.frombuffer(content, np.uint8).reshape(BATCH, RECORD)
                yield np.ascontiguousarray(rows[:, 1:]).reshape(-1, 3, npz.SIDE, npz.SIDE), rows[:, 0].copy()
    except (tarfile.TarError, KeyError, ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"cifar10: the archive is damaged: {error}", "fetch it again") from error
