"""What images are, by their content: neither a name nor a time of change shows whether two files are the
same. Which files have to be read again to know it, `genzoo.data.index` says.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.data.decode import recognised
from genzoo.data.types import Array
from genzoo.safe_open import open_to_read

BLOCK = 1 << 20  # bytes read at a time
HEAD = 4096  # bytes read of a file that is no image: a film or an archive among the images is not read whole


def digest_file(path: Path) -> bytes:
    """Return the sha256 of the file at `path`, 32 bytes; of its size and first bytes where it is no image;
    b"" where it cannot be read.
    """
    try:
        with open_to_read(path) as file:
            # Enough for the magic number of every format.
            block = file.read(HEAD)
            if not recognised(block, path.name):
                return digest_of_other(os.fstat(file.fileno()).st_size, block)
            digest = hashlib.sha256(block)
            while block := file.read(BLOCK):
                digest.update(block)
            return digest.digest()
    except (OSError, ValueError):
        return b""


def digest_of_other(size: int, head: bytes) -> bytes:
    """Return what stands for the sha256 of a file of `size` bytes that begins with `head` and is no image."""
    return hashlib.sha256(f"no image, {size} bytes: ".encode() + head).digest()


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
