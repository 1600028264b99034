"""The law of every model that it answers from the weights that it has now: what is prepared once and kept
soon belongs to another model.
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
SHRINKING = 0.5  # what weights are multiplied by, so that nothing of them stays the same
CLOSE = 1e-3  # of the largest value: the same computation twice


def check_present(model: M, answer: Callable[[M], Tensor], where: str) -> None:
    """Hold that `answer` of a model whose weights were changed is that of another model that was built with
    these weights.

    They are changed by `parameter.data`, as moving averages of weights are: torch counts no version there.

    Raises:
        LawError: an answer from other weights.
    """
    changed = copy.deepcopy(model)
    answer(changed)
    for parameter in changed.parameters():
        parameter.data.mul_(SHRINKING)
    now, expected = answer(changed), answer(_rebuilt(changed))
    off = float((now - expected).detach().abs().max()) / max(float(expected.detach().abs().max()), 1e-6)
    law = "a model answers from its present weights"
    seen = f"an answer that is off by {off:.2g} after they changed by parameter.data"
    hold(
        off < CLOSE,
        law,
        seen,
        f"{where}: what is prepared from weights and kept (in attributes, dictionaries or lru_cache)",
    )


def suited_noise(model: Model, n: int) -> Tensor:
    """Return `n` images of noise (n, C, H, W) that `model` takes: black and white, or real numbers for a
    density of real numbers.
    """
    uniform = Rng(0, 0, n).uniform(*model.image_shape)
    return (uniform.float() if getattr(model, "levels", None) == 0 else (uniform < 0.5).float()).to(
        model.device
    )


def _rebuilt(model: M) -> M:
    """Return a new model of the class, config and weights of `model`."""
    with torch.random.fork_rng(devices=[]):
        made: M = type(model)(model.config)
    made.load_state_dict(model.state_dict())
    return fixed_alike(made.to(model.device).eval(), model)
