"""The laws of ordinary models, for conditional ones: under one condition, p(x|c) is an ordinary model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from genzoo.models import Model
from genzoo.models.conditions import each_given

M = TypeVar("M", bound=Model)
P = ParamSpec("P")
R = TypeVar("R")


def first_given(check: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """Let `check(model)` hold a conditional model to its laws under the first of its conditions."""

    @functools.wraps(check)
    def checked(model: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        # whatever is no model at all is named by the check itself
        return check(each_given(model, 1)[0] if isinstance(model, Model) else model, *args, **kwargs)

    return checked
