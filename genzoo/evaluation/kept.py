"""Features of real images, kept in the cache: the second model that is measured on a data set, and the second
measurement of a model, do not compute them again.

`GENZOO_CACHE/features/of-<user>/<key>.features` is a safetensors file, and then the sha256 of the key and
that file. The key covers all that the features depend on: the pixels themselves, after every transform; the
feature space with the digest of its weights; torch, its instruction set and the kind of device. What is
damaged is computed again; a cache that cannot be written costs one line on stderr.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

import genzoo
from genzoo.data.notes import note
from genzoo.data.sealed import own_folder
from genzoo.errors import StorageError
from genzoo.evaluation.inputs import Progress, as_pixels
from genzoo.evaluation.spaces import FeatureSpace
from genzoo.files import atomic_write, cache_dir, read_capped
from genzoo.sharing import agreed, writes

BLOCK = 4096  # rows looked at, or images hashed, at a time
LARGEST = 2**33  # bytes of a file
_DIGEST = hashlib.sha256().digest_size


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
    """Return the features that are kept under `key`, None where there are none that are whole and ours."""
    path = _path(key)
    try:
        if not os.path.isfile(path):
            return None
        own_folder(path.parent)  # nobody else can have written there
        blob = read_capped(path, LARGEST)
        tensors, digest = blob[:-_DIGEST], blob[-_DIGEST:]
        if hashlib.sha256(key.encode() + tensors).digest() != digest:
            return None
        rows: Tensor = load(tensors)["features"]
    except (StorageError, SafetensorError, KeyError, ValueError, OSError):
        return None
    return rows if rows.shape[:1] == (count,) and rows.is_floating_point() else None


def _keep(key: str, rows: Tensor) -> None:
    path = _path(key)
    tensors = save({"features": rows.contiguous()})

    def write(file: BinaryIO) -> None:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o600)  # they may come from data that others must not read
        file.write(tensors)
        file.write(hashlib.sha256(key.encode() + tensors).digest())

    try:
        own_folder(path.parent)
        atomic_write(path, write)
    except StorageError as error:
        note(f"features are not kept: {error.message}; set GENZOO_CACHE to a folder that can be written")
