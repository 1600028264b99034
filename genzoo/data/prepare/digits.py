"""The idx files of MNIST and Fashion-MNIST, and the fixed binarisation of MNIST."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.data import idx
from genzoo.data.contents import digest_arrays
from genzoo.data.local import under_data
from genzoo.data.prepare.made import Made, look_for, npz_of, refused
from genzoo.data.prepare.matlab import is_matlab, read_matlab
from genzoo.data.prepare.prints import known
from genzoo.data.remote import fetch
from genzoo.data.types import Array
from genzoo.datasets import IDX_FILES, NAMES
from genzoo.errors import DataError
from genzoo.files import read_capped, sha256_of

IDX_CAP = 1 << 26  # bytes: the largest, unpacked, has 47,040,016
TEXT_CAP = 1 << 28  # bytes of an .amat file in text: 50,000 lines have 157 MB
PIXELS = 784
# data set -> sha256 of its idx files when unpacked, in the order of IDX_FILES
UNPACKED = {
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion-mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
# split of the fixed binarisation -> number of images, and sha256 of its packed rows in lexicographic order:
# copies differ in the order of the images
BINARISED = {
    "train": (50_000, "1461954ec98946159b924a1010895ed5e08e555616e388ac33d3f57c363c37f0"),
    "valid": (10_000, "b84339669f7fb6a76e23c9fb5cfaa9cce7da095ee4b4498424157c1dcbedf515"),
    "test": (10_000, "653b98c9485cb89d5df36a056e8a1e571451e69db30e31a31d79d0f2f64fe825"),
}


def idx_files(name: str, sources: Sequence[str]) -> Made:
    """Return the four idx files of `name`, gzipped; their unpacked contents are checked.

    Raises:
        DataError: one is missing, or is another one.
    """
    files = {}
    for file, expected in zip(IDX_FILES, UNPACKED[name], strict=True):
        path = look_for(name, sources, file)
        if path is None:
            raise refused(name, f"{', '.join(sources)} has no {file} or {file}.gz")
        plain = _unpacked(path)
        if sha256_of(plain) != expected:
            raise refused(name, f"{path} is another file: its unpacked sha256 is not {expected[:16]}…")
        packed = path.suffix == ".gz"
        files[f"{name}/{file}.gz"] = (
            read_capped(path, IDX_CAP) if packed else gzip.compress(plain, 6, mtime=0)
        )
    return Made(files, ("60,000 training and 10,000 test images, all four sha256 as expected",))


def _unpacked(path: Path) -> bytes:
    data = read_capped(path, IDX_CAP)
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.open(io.BytesIO(data)) as file:
            return file.read(IDX_CAP + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}", "fetch it again") from error


def binarized(name: str, sources: Sequence[str]) -> Made:
    """Return binarized_mnist.npz, made from the three .amat files: text, or MATLAB 5 files of that name.

    Labels are those of the MNIST images from which the binary ones were drawn; they are added where MNIST is
    under GENZOO_DATA or can be fetched.

    Raises:
        DataError: a file is missing, or holds other images.
    """
    arrays: dict[str, Array] = {}
    orders: dict[str, Array] = {}
    for split, (count, expected) in BINARISED.items():
        path = look_for(name, sources, f"binarized_mnist_{split}.amat")
        if path is None:
            raise refused(name, f"{', '.join(sources)} has no binarized_mnist_{split}.amat")
        rows = _bits(path)
        orders[split] = order = np.lexsort(rows.T[::-1])
        if len(rows) != count or digest_arrays(rows[order]) != expected:
            raise refused(name, f"{path} does not hold the {count:,} images of the {split} split")
        arrays[split] = rows
    labels, remark = _labels(orders)
    counts = "50,000 training, 10,000 validation and 10,000 test images, all as expected"
    return Made({"binarized_mnist.npz": npz_of({**arrays, **labels})}, (counts, remark))


def _bits(path: Path) -> Array:
    """Return the images of an .amat file as packed bits: (N, 98) uint8."""
    try:
        values = _matrix(path) if is_matlab(path) else _text(path)
    except ValueError as error:
        raise DataError(
            f"{path} is not lines of {PIXELS} zeros and ones: {error}", "fetch it again"
        ) from error
    packed: Array = np.packbits(values, axis=1)
    return packed


def _matrix(path: Path) -> Array:
    for values in read_matlab(path).values():
        if values.ndim == 2 and values.shape[1] == PIXELS and np.isin(values[:1], (0, 1)).all():
            return values.astype(bool)
    raise ValueError(f"no array of {PIXELS} columns is in it")


def _text(path: Path) -> Array:
    digits = np.frombuffer(read_capped(path, TEXT_CAP), np.uint8)
    digits = digits[(digits == ord("0")) | (digits == ord("1"))]
    if not len(digits) or len(digits) % PIXELS:
        raise ValueError(f"{len(digits):,} digits")
    ones: Array = (digits == ord("1")).reshape(-1, PIXELS)
    return ones


def _labels(orders: dict[str, Any]) -> tuple[dict[str, Array], str]:
    """Return `<split>_labels` of each split, and a remark; no labels where those of MNIST cannot be had."""
    found = {}
    for split, order in orders.items():
        part = "t10k" if split == "test" else "train"
        try:
            of_mnist = _mnist_labels(f"{part}-labels-idx1-ubyte")
        except DataError as error:
            return {}, f"no labels, which few-labels needs: prepare mnist first ({error.message})"
        labels = np.zeros(len(order), np.uint8)
        labels[order] = of_mnist[known(f"binarized_{split}")]
        found[f"{split}_labels"] = labels
    return found, "labels are those of the MNIST images from which they were drawn"


def _mnist_labels(file: str) -> Array:
    local = under_data(f"mnist/{file}.gz") or under_data(f"mnist/{file}")
    return idx.read(local) if local else idx.parse(fetch(NAMES["mnist"].homes[f"{file}.gz"], "mnist"), file)
