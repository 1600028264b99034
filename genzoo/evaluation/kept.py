"""Features of real images, kept in the cache: the second model that is measured on a data set, and the second
measurement of a model, do not compute them again.

`GENZOO_CACHE/features/of-<user>/<key>.features` (see `genzoo.data.sealed`). The key covers all that the
features depend on: the pixels themselves, after every transform; the feature space with the digest of its
weights; torch, its instruction set and the kind of device. What is damaged is computed again; a cache that
cannot be written costs one line on stderr.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import genzoo
from genzoo.data.notes import note
from genzoo.data.sealed import own_folder, read_sealed, write_sealed
from genzoo.errors import StorageError
from genzoo.evaluation.inputs import Progress, as_pixels
from genzoo.evaluation.spaces import FeatureSpace
from genzoo.files import cache_dir
from genzoo.sharing import agreed, writes

BLOCK = 4096  # rows looked at, or images hashed, at a time


def described_once(space: FeatureSpace, images: Tensor, progress: Progress | None = None) -> Tensor:
    """Return the features (N, F) of real `images` (N, C, H, W) uint8, from the cache or computed and kept.

    Of several processes that share the work, all use the cache or none does.
    """
    pixels = as_pixels(images)
    key = _key(space, pixels)
    found = _read(key, len(pixels))
    if agreed(found is not None) and found is not None:
        return found
    rows = narrow(space.describe(pixels, progress))
    if writes():
        _keep(key, rows)
    return rows


def narrow(rows: Tensor) -> Tensor:
    """Return features (N, F) as float32 if that loses nothing: those of most networks were float32."""
    exact = all(torch.equal(part.float().double(), part.double()) for part in rows.split(BLOCK))
    return rows.float() if exact else rows


def _key(space: FeatureSpace, pixels: Tensor) -> str:
    about = (
        space.name,
        space.device,
        genzoo.__version__,
        torch.__version__,
        torch.backends.cpu.get_cpu_capability(),
        platform.machine(),
        list(pixels.shape),
    )
    digest = hashlib.sha256(json.dumps(about).encode())
    for part in pixels.split(BLOCK):
        digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()


def _path(key: str) -> Path:
    # A folder per user: in a shared cache no user reads features that another could have written.
    user = str(os.geteuid()) if hasattr(os, "geteuid") else "own"
    return cache_dir() / "features" / f"of-{user}" / f"{key}.features"


def _read(key: str, count: int) -> Tensor | None:
    found = read_sealed(_path(key), "features")
    if found is None or found.about.get("key") != key or found.about.get("dtype") not in ("<f4", "<f8"):
        return None
    rows = found.pixels.reshape(len(found.pixels), -1).view(str(found.about["dtype"]))
    return (
        torch.from_numpy(rows.astype(rows.dtype.newbyteorder("="), copy=False))
        if len(rows) == count
        else None
    )


def _keep(key: str, rows: Tensor) -> None:
    values = rows.numpy().astype("<f4" if rows.dtype == torch.float32 else "<f8", copy=False)
    words = np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, values.itemsize, 1)
    path = _path(key)
    try:
        own_folder(path.parent)
        about = {"key": key, "dtype": values.dtype.str}
        write_sealed(path, about, np.zeros(len(values), np.int64), words)
    except StorageError as error:
        note(f"features are not kept: {error.message}; set GENZOO_CACHE to a folder that can be written")
