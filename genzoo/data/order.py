"""The order of the data, as a pure function of seed and epoch: a run that is resumed needs nothing but the
number of its step.

The permutation is the stable argsort of the raw 64-bit stream of Philox (Salmon et al. 2011), keyed with
(seed, epoch). NumPy promises that this stream never changes; it makes no such promise for
`Generator.permutation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from genzoo.errors import ArgumentError

Order: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, n: int, side: int = 0) -> Order:
    # The counter of Philox has 256 bits, of which a stream uses the lowest: each side has a stream apart.
    counter = np.array([0, 0, 0, side], dtype=np.uint64)
    key = np.array([seed, epoch], dtype=np.uint64)
    raw = np.random.Philox(key=key, counter=counter).random_raw(n)
    permutation = np.argsort(raw, kind="stable").astype(np.int64, copy=False)
    permutation.setflags(write=False)  # it is shared by everyone who asks
    return permutation


def order(seed: int, epoch: int, n: int, side: int = 0) -> Order:
    """Return the order in which epoch number `epoch` shows `n` images: a read-only permutation of 0..n-1.

    `side` 1 is the second domain of an unpaired set, whose order is independent of that of the first.

    Raises:
        ArgumentError: a negative or fractional number, or n = 0.
    """
    _whole(seed, "seed")
    _whole(epoch, "epoch")
    _whole(n, "n", least=1)
    _whole(side, "side")
    return _permutation(seed, epoch, n, side)


def batch_indices(n: int, batch: int, number: int, seed: int, side: int = 0) -> Order:
    """Return the indices of batch `number` (from 0) of an endless stream of epochs over `n` images: shape
    (batch,). `side` as in `order`.

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
        parts.append(order(seed, epoch, n, side)[offset : offset + stop - start])
        start += len(parts[-1])
    return np.concatenate(parts)


def side_indices(counts: Sequence[int], batch: int, number: int, seed: int) -> tuple[Order, ...]:
    """Return the indices of batch `number` for each domain of an unpaired set, whose numbers of images are
    `counts`: one array (batch,) each.

    Each domain has an endless stream of permutations of its own, so that who meets whom is random, and the
    first is shown as it would be alone. The shorter one starts again while an epoch, see `epoch_size`, lasts.

    Raises:
        ArgumentError: see `batch_indices`.
    """
    return tuple(batch_indices(n, batch, number, seed, side) for side, n in enumerate(counts))


def epoch_size(counts: Sequence[int]) -> int:
    """Return how many images of each domain an epoch shows: all of the largest domain once."""
    return max(counts)


def _whole(value: object, what: str, least: int = 0) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value < 2**63:
        raise ArgumentError(f"{what} must be a whole number of at least {least}, not {value!r}")
