"""ImportanceModel: a density that is the mean of importance weights, and the bounds of K draws that follow
(Burda et al. 2016).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from genzoo.devices import doubled
from genzoo.errors import ArgumentError
from genzoo.models.conditions import conditional
from genzoo.models.density import DensityModel
from genzoo.models.model import public
from genzoo.rng import check_seed
from genzoo.whole import check_draws


class Importance(NamedTuple):
    """The importance-weighted bound of each image in nats, (N,), and its standard error over draws, NaN for
    one draw.
    """

    bound: Tensor
    stderr: Tensor


class ImportanceModel(DensityModel):
    """p(x) = E[w] with w = p(x, z) / q(z|x) and z ~ q(z|x): `log_prob` is a lower bound, K draws of z give a
    tighter one.
    """

    exact: ClassVar[bool] = False

    @property
    def weighing_chunk(self) -> int:
        """How many images are weighted at a time, which bounds the memory together with the blocks of
        `_log_weights`.
        """
        return 16

    @public
    def iwae(
        self, x: Any, k: int = 5000, seed: int | torch.Generator | None = 0, condition: Any = None
    ) -> Importance:
        """Return the importance-weighted lower bound on log p(x) with `k` draws of z per image, in nats.

        A conditional model bounds log p(x|c), for the `condition` of each image or one for all. Draws are a
        function of the image and the seed, so neither the batch nor a bound with more draws
        changes them. Memory does not grow with k or with the number of images. `stderr` is the first-order
        error of the logarithm of a mean.

        Raises:
            ArgumentError: wrong images; k is not a whole number ≥ 1; a missing, invalid or superfluous
                condition.
        """
        return self.iwae_bounds(x, (k,), seed, condition)[0]

    @public
    def iwae_bounds(
        self, x: Any, ks: Sequence[int], seed: int | torch.Generator | None = 0, condition: Any = None
    ) -> list[Importance]:
        """Return `iwae(x, k, seed)` for each k of `ks`, at the cost of the largest: fewer draws are the first
        ones of more.

        Raises:
            ArgumentError: wrong images; no k, or one that is not a whole number ≥ 1; a missing, invalid or
                superfluous condition.
        """
        counts, start = check_draws(ks), check_seed(seed)
        images, most = self.check_images(x), max(counts)
        given = self.check_condition(condition, len(images))
        with self.asking() as model:
            parts = [
                _bounds(model._log_weights(part, most, start, *rows), counts)
                for part, *rows in _parted(self.weighing_chunk, images, *given)
            ]
        return [
            Importance(*(torch.cat([part[k][i] for part in parts]).float() for i in (0, 1))) for k in counts
        ]

    @abstractmethod
    @conditional
    def _log_weights(self, x: Tensor, k: int, seed: int, *condition: Tensor) -> Iterator[Tensor]:
        """Yield log w = log p(x|z) + log p(z) - log q(z|x) in nats, (m, N) at a time and (k, N) in all, of
        checked images (N, C, H, W).

        The draws of an image must be a function of the image and the seed, and the first of many draws those
        of few. A conditional class writes `_log_weights(self, x, k, seed, condition)`.
        """


def _parted(size: int, *values: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(value.split(size) for value in values), strict=True)


def _bounds(blocks: Iterator[Tensor], ks: Sequence[int]) -> dict[int, tuple[Tensor, Tensor]]:
    """Return bound and standard error, (N,) float64 each, of the first k log-weights for each k of `ks`, by
    two running sums.
    """
    found: dict[int, tuple[Tensor, Tensor]] = {}
    wanted, seen, first, second = sorted(set(ks)), 0, torch.tensor(-math.inf), torch.tensor(-math.inf)
    for block in blocks:
        rest = doubled(block)
        while len(rest) and wanted:
            part, rest = rest[: wanted[0] - seen], rest[wanted[0] - seen :]
            first = torch.logaddexp(first.to(part), part.logsumexp(0))  # log Σ w
            second = torch.logaddexp(second.to(part), (2 * part).logsumexp(0))  # log Σ w²
            seen += len(part)
            if seen == wanted[0]:
                found[wanted.pop(0)] = _bound(first, second, seen)
    if wanted:
        raise ArgumentError(
            f"_log_weights yielded {seen} draws instead of {wanted[-1]}", "it must yield k draws in all"
        )
    return found


def _bound(first: Tensor, second: Tensor, k: int) -> tuple[Tensor, Tensor]:
    spread = torch.exp(second - 2 * first) - 1 / k  # Var(w) / (k · mean²), by the delta method
    stderr = spread.clamp(min=0).sqrt() if k > 1 else torch.full_like(spread, torch.nan)
    return first - math.log(k), stderr
