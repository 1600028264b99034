"""What data are, by their content: a digest that stays the same wherever the images are and whatever their
path is called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from genzoo.data.cache import stretch_of
from genzoo.data.collection import Images
from genzoo.data.sealed import release
from genzoo.data.seen import identity_of, note_identity
from genzoo.data.types import Array

_BLOCK = 1 << 24  # bytes of pixels hashed at a time: what is not contiguous is never copied as a whole
_Part: TypeAlias = "bytes | Array"


def identity(images: Images, conditions: np.ndarray[Any, Any] | None = None) -> str:
    """Return 64 hexadecimal digits that are equal for two sets exactly where a training run could not tell
    them apart.

    They cover pixels as decoded (and the grey values that dynamic binarisation draws from), the other half of
    pairs, labels, captions, the second domain, shape, transform, split and the `conditions` that a model
    takes with them, one row per image, not name, path or facts. Order counts: a batch is chosen by the index
    of its images, so the same images in another order train to other weights. The cost is that of one sha256
    over the pixels, about a second per gigabyte; for images in a mapped file of the cache it is paid once.
    """
    parts = list(_parts(images, conditions))
    stretch = stretch_of(images.pixels)
    if stretch is None:
        return _digest(parts)
    name = _name(parts)
    known = identity_of(stretch[0], name)
    if known is None:
        known = _digest(parts)
        note_identity(stretch[0], name, known)
    return known


def _parts(images: Images, conditions: np.ndarray[Any, Any] | None) -> Iterator[_Part]:
    """Yield what the identity is made of, in its order."""
    head: dict[str, Any] = {
        "shape": list(images.pixels.shape),
        "split": images.split,
        "transform": images.transform,
    }
    head |= {"labels": images.labels is not None, "grey": images.grey is not None}
    yield json.dumps(head, sort_keys=True).encode()
    yield images.pixels
    if images.grey is not None:
        yield images.grey
    if images.labels is not None:
        yield _column(np.asarray(images.labels))
    # What a set has not leaves no trace: its digest stays what it was before there were such columns.
    if images.source is not None:
        yield json.dumps({"source": list(images.source.shape)}).encode()
        yield images.source
    if images.captions is not None:
        yield json.dumps({"captions": images.captions}).encode()
    if images.other is not None:
        yield json.dumps({"other": identity(images.other)}).encode()
    if conditions is not None:
        yield _column(conditions)


def _digest(parts: list[_Part]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            digest.update(part)
        else:
            _add(digest, part)
    return digest.hexdigest()


def _name(parts: list[_Part]) -> str:
    """Return a name for the images of these parts that is found without reading a mapped file."""
    digest = hashlib.sha256()
    for part in parts:
        stretch = None if isinstance(part, bytes) else stretch_of(part)
        name = hashlib.sha256(f"{stretch[0].name} {stretch[1]}".encode()).hexdigest() if stretch else ""
        digest.update((name or _digest([part])).encode())
    return digest.hexdigest()


def _add(digest: Any, pixels: Array) -> None:
    rows = max(1, _BLOCK // max(1, pixels[:1].nbytes))
    for begin in range(0, len(pixels), rows):
        block = pixels[begin : begin + rows]
        digest.update(np.ascontiguousarray(block).data)
        release(block)


def _column(labels: Array) -> bytes:
    """Return labels as bytes that do not depend on the width in which whole numbers are kept."""
    if labels.dtype.kind in "iub":
        return labels.astype("<i8").tobytes()
    return json.dumps([str(label) for label in labels.reshape(-1).tolist()]).encode()
