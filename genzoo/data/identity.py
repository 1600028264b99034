"""What data are, by their content: a digest that stays the same wherever the images are and whatever their
path is called.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from genzoo.data.collection import Images
from genzoo.data.types import Array

_BLOCK = 1 << 24  # bytes of pixels hashed at a time: what is not contiguous is never copied as a whole


def identity(images: Images, conditions: np.ndarray[Any, Any] | None = None) -> str:
    """Return 64 hexadecimal digits that are equal for two sets exactly where a training run could not tell
    them apart.

    They cover pixels as decoded (and the grey values that dynamic binarisation draws from), the other half of
    pairs, labels, captions, the second domain, shape, transform, split and the `conditions` that a model
    takes with them, one row per image, not name, path or facts. Order counts: a batch is chosen by the index
    of its images, so the same images in another order train to other weights. The cost is that of one sha256
    over the pixels, about a second per gigabyte.
    """
    digest = hashlib.sha256()
    head: dict[str, Any] = {
        "shape": list(images.pixels.shape),
        "split": images.split,
        "transform": images.transform,
    }
    head |= {"labels": images.labels is not None, "grey": images.grey is not None}
    digest.update(json.dumps(head, sort_keys=True).encode())
    for pixels in (images.pixels, images.grey):
        if pixels is not None:
            _add(digest, pixels)
    if images.labels is not None:
        digest.update(_column(np.asarray(images.labels)))
    # What a set has not leaves no trace: its digest stays what it was before there were such columns.
    if images.source is not None:
        digest.update(json.dumps({"source": list(images.source.shape)}).encode())
        _add(digest, images.source)
    if images.captions is not None:
        digest.update(json.dumps({"captions": images.captions}).encode())
    if images.other is not None:
        digest.update(json.dumps({"other": identity(images.other)}).encode())
    if conditions is not None:
        digest.update(_column(conditions))
    return digest.hexdigest()


def _add(digest: Any, pixels: Array) -> None:
    rows = max(1, _BLOCK // max(1, pixels[:1].nbytes))
    for begin in range(0, len(pixels), rows):
        digest.update(np.ascontiguousarray(pixels[begin : begin + rows]).data)


def _column(labels: Array) -> bytes:
    """Return labels as bytes that do not depend on the width in which whole numbers are kept."""
    if labels.dtype.kind in "iub":
        return labels.astype("<i8").tobytes()
    return json.dumps([str(label) for label in labels.reshape(-1).tolist()]).encode()
