"""The law that a model uses its present weights: whatever it prepares from them and caches becomes stale when
they change.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from genzoo.models import Model
from genzoo.models.conditions import fixed_alike
from genzoo.rng import Rng
from genzoo.testing.law import hold

M = TypeVar("M", bound=Model)
SHRINKING = 0.5  # weights are multiplied by this, so that every output changes
CLOSE = 1e-3  # share of the largest value; the same computation is done twice


def check_present(model: M, answer: Callable[[M], Tensor], where: str) -> None:
    """Check that after a change of weights `answer(model)` equals that of a new model with the same weights.

    The change goes through `parameter.data`, as in moving averages of weights: torch does not count a new
    version there, so a cache that relies on versions misses it.

    Raises:
        LawError: the answer comes from other weights.
    """
    changed = copy.deepcopy(model)
    answer(changed)
    for parameter in changed.parameters():
        parameter.data.mul_(SHRINKING)
    now, expected = answer(changed), answer(_rebuilt(changed))
    off = float((now - expected).detach().abs().max()) / max(float(expected.detach().abs().max()), 1e-6)
    law = "a model uses its present weights"
    seen = f"an answer that is off by {off:.2g} after they changed by parameter.data"
    hold(
        off < CLOSE,
        law,
        seen,
        f"{where}: values computed from weights and kept in attributes, dictionaries or lru_cache",
    )


def suited_noise(model: Model, n: int) -> Tensor:
    """Return `n` images of noise (n, C, H, W) that `model` accepts: black and white, or real numbers for a
    density of real numbers.
    """
    uniform = Rng(0, 0, n).uniform(*model.image_shape)
    return (uniform.float() if getattr(model, "levels", None) == 0 else (uniform < 0.5).float()).to(
        model.device
    )


def _rebuilt(model: M) -> M:
    """Return a new model with the class, config and weights of `model`."""
    with torch.random.fork_rng(devices=[]):
        made: M = type(model)(model.config)
    made.load_state_dict(model.state_dict())
    return fixed_alike(made.to(model.device).eval(), model)
