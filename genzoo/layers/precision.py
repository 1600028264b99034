"""Copies of a model in another number format, for computations that a model in half precision cannot do
itself.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from genzoo.layers.plain import renew

M = TypeVar("M", bound=nn.Module)
_HALVES = {torch.float16, torch.bfloat16}


def in_float32(model: M) -> M:
    """Return `model` if its weights are in float32, the default, else a float32 copy for this one call.

    After `half()`, `bfloat16()` and `double()` the weights keep their rounded values, and all arithmetic is
    in float32. So every model works, whichever operators torch has for its format. A model with only some
    float64 weights is returned unchanged.
    """
    kinds = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    return converted(model, torch.float32) if kinds & _HALVES or kinds == {torch.float64} else model


def converted(model: M, dtype: torch.dtype) -> M:
    """Return a copy of `model` with its floating-point tensors in `dtype`; gradients flow through to the
    original, hooks are shared.

    Unlike `copy.deepcopy` it copies pruned and normed modules too, whose weights are results of others.
    """
    memo: dict[int, object] = {}
    for module in model.modules():
        for value in (*module._parameters.values(), *module._buffers.values(), *vars(module).values()):
            if isinstance(value, torch.Tensor):
                memo[id(value)] = value.to(dtype if value.is_floating_point() else value.dtype, copy=True)
        for name in ("_forward_hooks", "_forward_pre_hooks"):
            memo[id(getattr(module, name))] = getattr(module, name)
    made = copy.deepcopy(model, memo)
    for module in made.modules():
        renew(module)
    return made
