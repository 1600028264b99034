"""Copies of a model with noise in every parameter, in which nothing is hidden behind weights that start at
zero.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch

from genzoo.models import Model

M = TypeVar("M", bound=Model)
STRENGTHS = (0.3, 1.0, 3.0)  # of the noise, tried in this order


def stirred(model: M, strength: float) -> M:
    """Return a copy of `model` in evaluation mode, with normal noise added to each parameter: its standard
    deviation is `strength` times that of the parameter, or, where all its values are equal, times the mean of
    those of the others, so that biases of 0 do not drown small weights.
    """
    made = copy.deepcopy(model).eval()
    noise = torch.Generator().manual_seed(0)
    spreads = [spread for spread in map(_spread, made.parameters()) if spread > 0]
    usual = sum(spreads) / len(spreads) if spreads else 1.0
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.is_floating_point():
                drawn = torch.randn(parameter.shape, generator=noise).to(parameter)
                parameter.add_(drawn * (strength * (_spread(parameter) or usual)))
    return made


def _spread(values: torch.Tensor) -> float:
    return float(values.detach().float().std()) if values.numel() > 1 else 0.0
