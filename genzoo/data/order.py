"""The order of the data, as a pure function of seed and epoch: a run that is resumed needs nothing but the
number of its step.

The permutation is the stable argsort of the raw 64-bit stream of Philox (Salmon et al. 2011), keyed with
(seed, epoch). NumPy promises that this stream never changes; it makes no such promise for
`Generator.permutation`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from genzoo.errors import ArgumentError

Order: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, n: int) -> Order:
    raw = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)).random_raw(n)
    permutation = np.argsort(raw, kind="stable").astype(np.int64)
    permutation.setflags(write=False)  # it is shared by everyone who asks
    return permutation


def order(seed: int, epoch: int, n: int) -> Order:
    """Return the order in which epoch number `epoch` shows `n` images: a read-only permutation of 0..n-1.

    Raises:
        ArgumentError: a negative or fractional number, or n = 0.
    """
    _whole(seed, "seed")
    _whole(epoch, "epoch")
    _whole(n, "n", least=1)
    return _permutation(seed, epoch, n)


def batch_indices(n: int, batch: int, number: int, seed: int) -> Order:
    """Return the indices of batch `number` (from 0) of an endless stream of epochs over `n` images: shape
    (batch,).

    Every epoch shows each image once; a batch may begin in one epoch and end in the next, so none is ever
    short. The cost is that of the batch: permutations of the last epochs are kept.

    Raises:
        ArgumentError: a number that is not whole, negative, or n or batch below 1.
    """
    _whole(n, "n", least=1)
    _whole(batch, "batch", least=1)
    _whole(number, "number")
    start, stop = number * batch, (number + 1) * batch
    parts = []
    while start < stop:
        epoch, offset = divmod(start, n)
        parts.append(order(seed, epoch, n)[offset : offset + stop - start])
        start += len(parts[-1])
    return np.concatenate(parts)


def _whole(value: object, what: str, least: int = 0) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value < 2**63:
        raise ArgumentError(f"{what} must be a whole number of at least {least}, not {value!r}")
