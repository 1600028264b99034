"""Randomness that is a function of (seed, image number), never of the batch that an image is in.

`torch.Generator` fills a tensor in blocks, so the third image of a batch of four differs from the third of a
batch of sixteen, and its streams differ between devices and may change with torch. genzoo draws from Philox
counters instead (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), whose raw stream NumPy
guarantees: image i of seed s owns the block of 2^128 counters that starts at (i, 0), whatever else is drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.devices import has_float64
from genzoo.whole import LARGEST_SEED as LARGEST_SEED
from genzoo.whole import check_seed as check_number
from genzoo.whole import whole as whole

_BELOW_ONE = 1 - 2.0**-24  # the largest float32 below 1
_BLOCK = 4  # words of 64 bits that Philox makes of one counter


def check_seed(seed: object) -> int:
    """Return `seed`, a random one for None, or the next number in [0, 2^63) of a torch.Generator: its state
    gives the seed and moves on, so that a second call with it gives other images.

    Raises:
        ArgumentError: anything but these and a whole number in [0, 2^63).
    """
    if isinstance(seed, torch.Generator):
        high, low = torch.randint(2**32, (2,), generator=seed, device=seed.device).tolist()
        return int(high << 31 | low >> 1)
    return check_number(seed)


def mix(*parts: int | str) -> int:
    """Return a seed in [0, 2^63) that is a function of `parts`; different parts, however similar, give
    unrelated seeds.
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch.Generator seeded by `mix(*parts)`: training noise is thus a function of (seed, step),
    without state to save.
    """
    return torch.Generator(device).manual_seed(mix(*parts))


class Rng:
    """The random numbers of images `first` … `first + n - 1` of `seed`, each image from its own stream.

    Every call continues the streams, so a sequential sampler can draw pixel by pixel and report its progress
    with `tell`.
    """

    def __init__(
        self,
        seed: int,
        first: int,
        n: int,
        device: torch.device | str = "cpu",
        watch: Callable[[int, int], object] | None = None,
    ) -> None:
        self.seed, self.n, self.device, self._watch = seed, n, torch.device(device), watch
        self._first, self._drawn = first, 0  # numbers that each stream has given so far
        self._philox = np.random.Philox(key=seed)

    def apart(self, purpose: str) -> Rng:
        """Return the random numbers of the same images for another `purpose`: what is drawn there does not
        move these streams.
        """
        return Rng(mix("apart", purpose, self.seed), self._first, self.n, self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Return (n, *shape) float64 in the open interval (0, 1): the middles of 2^52 equal parts of it, each
        exact in float64; on a device without float64 their float32, the largest below 1 at most.
        """
        values = self._uniform(*shape)
        if not has_float64(self.device):
            values = values.float().clamp_(max=_BELOW_ONE)
        return values.to(self.device)

    def _uniform(self, *shape: int) -> Tensor:
        size = int(np.prod(shape)) if shape else 1
        values = ((self._raw(size) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return torch.from_numpy(values).reshape(self.n, *shape)

    def normal(self, *shape: int) -> Tensor:
        """Return (n, *shape) float32, standard normal: the inverse distribution function of `uniform`."""
        values: Tensor = torch.special.ndtri(self._uniform(*shape))
        return values.float().to(self.device)

    def tell(self, done: int, total: int) -> None:
        """Report to the progress callback that `done` of `total` equal steps of sampling these images are
        finished.
        """
        if self._watch is not None:
            self._watch(done, total)

    def _raw(self, size: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Return the next `size` words of each stream, (n, size): one Philox whose counter is set, as making
        one per image is slow.
        """
        block, skip = divmod(self._drawn, _BLOCK)
        state = self._philox.state
        state["buffer_pos"] = _BLOCK  # nothing left of the block before
        raw = np.empty((self.n, skip + size), np.uint64)
        for i in range(self.n):
            state["state"]["counter"][:] = (block, 0, self._first + i, 0)
            self._philox.state = state
            raw[i] = self._philox.random_raw(skip + size)
        self._drawn += size
        return raw[:, skip:]


class BatchRng(Rng):
    """The random numbers of `n` images of a training batch, all from one `noise`: fast, for images that need
    not be the same in another batch. In a run of several processes they are those of its rows, see
    `genzoo.shares`.
    """

    def __init__(self, n: int, rng: torch.Generator) -> None:
        self.n, self.device, self._watch = n, rng.device, None
        self.noise = rng

    def uniform(self, *shape: int) -> Tensor:
        """Return (n, *shape) float32 in [0, 1)."""
        return torch.rand((self.n, *shape), generator=self.noise, device=self.device)

    def normal(self, *shape: int) -> Tensor:
        """Return (n, *shape) float32, standard normal."""
        return torch.randn((self.n, *shape), generator=self.noise, device=self.device)
