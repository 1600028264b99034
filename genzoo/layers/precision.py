"""A model in another number format, as a copy: for answers that a model in half precision cannot give
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
    """Return `model` if its weights are in float32, as they are by default, else a copy that is, for this one
    question.

    After `half()`, `bfloat16()` and `double()` the weights are what they were rounded to, and all arithmetic
    is in float32. So every model can be asked, whatever operators torch has for its format. A model with a
    few float64 weights among others is left as it is.
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
