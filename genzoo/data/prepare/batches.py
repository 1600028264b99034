"""CIFAR-10 from the official archive of the binary version: all 50,000 training and 10,000 test images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genzoo.data.cifar import TEST, TRAIN, read_batches
from genzoo.data.prepare.made import Made, look_for, npz_of, refused
from genzoo.datasets import NAMES
from genzoo.files import sha256_of

ARCHIVE = NAMES["cifar10"].homes["cifar-10-binary.tar.gz"]
PYTHON = ("cifar-10-python.tar.gz", "cifar-10-batches-py")


def cifar10(name: str, sources: Sequence[str]) -> Made:
    """Return the six files of `name`, each with 10,000 images.

    Raises:
        DataError: the archive is missing or another one; the Python version, which is pickle, is refused.
    """
    path = look_for(name, sources, ARCHIVE.name)
    if path is None:
        if any(Path(source).name in PYTHON or _holds_python(Path(source)) for source in sources):
            raise refused(
                name, "the Python version holds pickles, which can execute code and are never loaded"
            )
        raise refused(name, f"{', '.join(sources)} has no {ARCHIVE.name}")
    if (path.stat().st_size, sha256_of(path)) != (ARCHIVE.size, ARCHIVE.sha256):
        raise refused(name, f"{path} is not the official archive of {ARCHIVE.size:,} bytes")
    with path.open("rb") as archive:
        batches = list(read_batches(archive, (*TRAIN, *TEST)))
    classes = np.array(NAMES[name].classes)
    files = {
        file: npz_of(
            {"images": images.transpose(0, 2, 3, 1), "labels": labels, "class_names": classes}, packed=False
        )
        for file, (images, labels) in zip(NAMES[name].files, batches, strict=True)
    }
    return Made(files, ("50,000 training and 10,000 test images, the archive's sha256 as expected",))


def _holds_python(source: Path) -> bool:
    return os.path.isdir(source) and any(os.path.exists(source / name) for name in PYTHON)
