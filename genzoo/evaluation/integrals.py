"""The laws of a density of real numbers: ∫ p(x) dx = 1, at most 1 for a lower bound, and samples where p
says.

A density can exceed 1, so log p(x) > 0 proves nothing; its integral does. It is taken on builds of one or two
pixels by the midpoint rule, over the real line and not over [0, 1] alone: a density may have mass that no
image reaches, but never more than 1 in all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genzoo.evaluation.laws import CHUNK, SAMPLES, check_fit
from genzoo.law import hold
from genzoo.models.density import DensityModel
from genzoo.rng import Rng

MOST = 2  # dimensions that are integrated over
INTEGRAL_ERROR = 0.01  # of the midpoint rule; mistakes of a normaliser are larger
_REACH = 8.0  # how far beyond [0, 1] density is looked for: a Gaussian of deviation 1 has none left there
_CELLS = {1: (500, 1000, 500), 2: (24, 96, 24)}  # per dimension below, within and above [0, 1]
_BINS = 20  # of [0, 1], in which samples are counted


def check_integral(model: DensityModel, where: str) -> float:
    """Hold that ∫ p(x) dx over all x is 1, at most 1 for a bound, and return it; `model` has one dimension or
    two.

    Raises:
        LawError: the law is broken.
    """
    size = torch.Size(model.image_shape).numel()
    points, widths = _grid(size)
    total = float((_density(model, points) * widths).sum())
    seen = f"∫ p(x) dx = {total:.4f} over {size} real pixel{'s' if size > 1 else ''}"
    if model.exact:
        law = "an exact density integrates to 1"
        where = f"{where}: the log-determinant of each layer, the constants of the base density"
        hold(
            abs(total - 1) < INTEGRAL_ERROR,
            law,
            seen,
            f"{where}; for probabilities of 8-bit pixels set levels = 256",
        )
    else:
        where = f"{where}: the sign of the KL term, or a missing normaliser"
        hold(total < 1 + INTEGRAL_ERROR, "a lower bound integrates to at most 1", seen, where)
    return total


def check_places(model: DensityModel, where: str, samples: int = SAMPLES) -> None:
    """Hold by a chi-square test that `samples` samples of one pixel fall where an exact p(x) says; what lies
    beyond [0, 1] is drawn at its edge.

    Raises:
        LawError: the law is broken.
    """
    with torch.inference_mode(), model.asking() as asked:
        given = asked.check_condition(None, samples)
        drawn = asked._sample(Rng(0, 0, samples, model.device), *given).flatten().cpu().double().clamp(0, 1)
    points, widths = _grid(1)
    bins = (points.flatten().clamp(0, 1) * _BINS).long().clamp(max=_BINS - 1)
    masses = _density(model, points) * widths
    expected = torch.zeros(_BINS, dtype=torch.float64).index_add(0, bins, masses / masses.sum()) * samples
    found = torch.bincount((drawn * _BINS).long().clamp(max=_BINS - 1), minlength=_BINS).double()
    check_fit(found, expected, where)


def _density(model: DensityModel, points: Tensor) -> Tensor:
    """Return p of `points` (N, D) as (N,) float64; 0 where it has no value, as a logit has none beyond [0,
    1].
    """
    parts = []
    with model.asking() as asked:
        for part in points.split(16 * CHUNK):
            # Not log_prob, which takes images: the real line has points that are none.
            x = part.float().view(-1, *model.image_shape).to(model.device)
            parts.append(asked._log_prob(x, *asked.check_condition(None, len(x))).cpu().double().exp())
    return torch.cat(parts).nan_to_num(nan=0.0)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    """Return the midpoints (N, size) of cells that tile [-8, 9]^size, and their volumes (N,); the cells
    within [0, 1] are finer.
    """
    ends = ((-_REACH, 0.0), (0.0, 1.0), (1.0, 1 + _REACH))
    sides = [
        torch.full((n,), (b - a) / n, dtype=torch.float64)
        for (a, b), n in zip(ends, _CELLS[size], strict=True)
    ]
    middles = torch.cat([a + side.cumsum(0) - side / 2 for (a, _), side in zip(ends, sides, strict=True)])
    widths = torch.cat(sides)
    if size == 1:
        return middles[:, None], widths
    return torch.cartesian_prod(middles, middles), torch.cartesian_prod(widths, widths).prod(1)
