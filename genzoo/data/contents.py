"""What images are, by their content: neither a name nor a time of change shows whether a file is still the
same.

`rsync -t`, `cp -p`, `tar` and an editor give a new file the size and time of the old one; inode and time of
status change are kept by local disks only, and no store through a memory map has to show in them. So files
are read: a tenth of what decoding them takes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.data.decode import recognised
from genzoo.data.pool import in_parallel
from genzoo.data.types import Array
from genzoo.safe_open import open_to_read

BLOCK = 1 << 20  # bytes read at a time
HEAD = 4096  # bytes read of a file that is no image: a film or an archive among the images is not read whole


def digest_file(path: Path) -> str:
    """Return the sha256 of the file at `path`; of its size and first bytes where it is no image; "" where it
    cannot be read.
    """
    try:
        with open_to_read(path) as file:
            # Enough for the magic number of every format.
            block = file.read(HEAD)
            if not recognised(block, path.name):
                return hashlib.sha256(
                    f"no image, {os.fstat(file.fileno()).st_size} bytes: ".encode() + block
                ).hexdigest()
            digest = hashlib.sha256(block)
            while block := file.read(BLOCK):
                digest.update(block)
            return digest.hexdigest()
    except (OSError, ValueError):
        return ""


def digest_files(paths: Sequence[Path], what: str) -> list[str]:
    """Return `digest_file` of each path; a bar says so when it takes long."""
    digests = [""] * len(paths)

    def work(row: int) -> None:
        digests[row] = digest_file(paths[row])

    in_parallel(len(paths), work, f"reading {what}")
    return digests


def digest_rows(images: Iterable[Any]) -> list[str]:
    """Return the sha256 of each of `images`: arrays (C, H, W), or encoded files as bytes."""
    return [
        hashlib.sha256(
            np.ascontiguousarray(image).data if isinstance(image, np.ndarray) else image
        ).hexdigest()
        for image in images
    ]


def digest_arrays(*arrays: Array) -> str:
    """Return one sha256 over the type, shape and values of `arrays`."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        step = max(1, BLOCK // max(1, array[:1].nbytes))
        for start in range(0, len(array), step):
            digest.update(np.ascontiguousarray(array[start : start + step]).data)
    return digest.hexdigest()
