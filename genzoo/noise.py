"""Randomness that is a function of (seed, image number), never of the batch an image happens to be in.

`torch.Generator` fills a tensor in blocks, so the third image of a batch of four differs from the third of a batch of sixteen,
and its streams differ between devices and may change with torch. genzoo draws from Philox counters instead (Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3"), whose raw stream NumPy guarantees: image i of seed s owns the block of 2^128
counters that starts at (i, 0), whatever else is drawn.
"""

from __future__ import annotations

import hashlib
import operator
import secrets

import numpy as np
import torch
from torch import Tensor

from genzoo.errors import ArgumentError, safe_repr

LARGEST_SEED = 2**63 - 1


def check_seed(seed: object) -> int:
    """Return `seed`, or a fresh one where it is None; raise ArgumentError for anything but a whole number in [0, 2^63)."""
    if seed is None:
        return secrets.randbits(63)
    value = whole(seed)
    if value is None:
        raise ArgumentError(f"seed must be a whole number or None, not {safe_repr(seed)}", "for example seed=0")
    if not 0 <= value <= LARGEST_SEED:
        raise ArgumentError(f"seed must lie between 0 and {LARGEST_SEED}, not {safe_repr(value)}", "for example seed=0")
    return value


def whole(value: object) -> int | None:
    """Return `value` as an int, or None where it is no whole number; NumPy's integers are, booleans and 3.0 are not."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def mix(*parts: int | str) -> int:
    """Return a seed in [0, 2^63) that is a function of `parts`; other parts, however near, give an unrelated one."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch.Generator seeded by `mix(*parts)`: training noise, a function of (seed, step, rank), has no state to lose."""
    return torch.Generator(device).manual_seed(mix(*parts))


class Draws:
    """The random numbers of images `first` … `first + n - 1` of `seed`, each image from its own stream.

    Every call continues the streams, so a sequential sampler may draw pixel by pixel.
    """

    def __init__(self, seed: int, first: int, n: int, device: torch.device | str = "cpu") -> None:
        self.seed, self.n, self.device = seed, n, torch.device(device)
        self._streams = [np.random.Philox(key=seed, counter=[0, 0, first + i, 0]) for i in range(n)]

    def uniform(self, *shape: int) -> Tensor:
        """Return (n, *shape) float64 in the open interval (0, 1): the middles of 2^52 equal parts of it, each exact in float64."""
        size = int(np.prod(shape)) if shape else 1
        raw = np.stack([stream.random_raw(size) for stream in self._streams])
        values = ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return torch.from_numpy(values).reshape(self.n, *shape).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        """Return (n, *shape) float32, standard normal: the inverse distribution function of `uniform`."""
        return torch.special.ndtri(self.uniform(*shape).cpu()).float().to(self.device)
