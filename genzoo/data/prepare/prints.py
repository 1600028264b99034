"""Fingerprints of photographs: 128 bits that stay nearly the same when a photograph is encoded again, and
from which it cannot be drawn again. They say which photographs the published models were trained on, without
holding any.

Bits are the signs of the differences between neighbours in a grey 9x9 version: 64 across and 64 down (the
"difference hash" of N. Krawetz, in two directions).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from genzoo.data.types import Array

GRID = 9
LIMIT = 8  # bits in which two prints of one photograph may differ; those of different ones differ in more
ROWS = 128  # prints compared with all others at a time
KNOWN = Path(__file__).with_name("known.npz")


def known(name: str) -> Array:
    """Return an array of known.npz: the prints (N, 2) uint64 of the photographs of a data set, in their
    order, or the numbers of the MNIST images that the rows of a binarised split were drawn from.
    """
    with np.load(KNOWN, allow_pickle=False) as file:
        found: Array = file[name]
        return found


def print_of(image: Image.Image) -> Array:
    """Return the fingerprint of `image`: (2,) uint64."""
    grey = np.asarray(image.convert("L").resize((GRID, GRID), Image.Resampling.BOX), np.int16)  # (9, 9)
    across = grey[:-1, 1:] > grey[:-1, :-1]  # (8, 8)
    down = grey[1:, :-1] > grey[:-1, :-1]  # (8, 8)
    packed: Array = np.packbits(np.concatenate([across.ravel(), down.ravel()])).view(np.uint64)
    return packed


def matched(wanted: Array, seen: Array) -> Array:
    """Return for each print of `wanted` (N, 2) the row of `seen` (M, 2) that is the same photograph, -1 for
    none: (N,) int64.

    The nearest pairs are made first, and no row of `seen` is taken twice.
    """
    near = []
    for start in range(0, len(wanted), ROWS):
        found = _near(wanted[start : start + ROWS], seen)
        found[0] += start
        near.append(found)
    pairs = np.concatenate(near, axis=1) if near else np.zeros((3, 0), np.int64)
    rows = np.full(len(wanted), -1, np.int64)
    free = np.ones(len(seen), bool)
    for want, see, _ in pairs[:, np.lexsort((pairs[1], pairs[0], pairs[2]))].T:
        if rows[want] < 0 and free[see]:
            rows[want], free[see] = see, False
    return rows


def _near(wanted: Array, seen: Array) -> Array:
    """Return (3, K) int64: row of `wanted`, row of `seen` and number of different bits, of all near pairs."""
    apart = np.zeros((len(wanted), len(seen)), np.uint8)  # (N, M)
    for half in range(2):
        apart += np.bitwise_count(wanted[:, None, half] ^ seen[None, :, half])
    pairs = np.nonzero(apart <= LIMIT)
    return np.stack([*pairs, apart[pairs]]).astype(np.int64)
