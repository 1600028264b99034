"""The methods that take a condition, and what is said and made where one is missing, superfluous or fixed.

A conditional class sets `condition_type` and writes the same underscored methods as any other class, each
with one more argument at the end: the condition, already checked, one row per image. A class without a
condition writes them without it.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from torch import Tensor

from genzoo.condition import Condition
from genzoo.errors import ArgumentError, CardError, GenzooError

S = TypeVar("S")
A = TypeVar("A")
R = TypeVar("R")
P = ParamSpec("P")
M = TypeVar("M", bound=Any)

SEVERAL = 10  # conditions that a property of all of them is checked for

_ARGUMENTS: dict[str, int] = {}  # method → number of its arguments without self and without the condition


def conditional(method: Callable[Concatenate[S, A, P], R]) -> Callable[Concatenate[S, A, ...], R]:
    """Mark a method of a base class that conditional classes write with the condition as a last argument.

    Its type leaves open what follows the first argument, so that both forms are valid overrides.
    """
    kinds = [parameter.kind for parameter in inspect.signature(method).parameters.values()]
    _ARGUMENTS[method.__name__] = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) - 1
    return method


def check_methods(cls: type[Any]) -> None:
    """Raise CardError if a method that `conditional` marks lacks the condition in a class that has one, or
    requires one in a class that has none.
    """
    told: type[Condition] | None = cls.condition_type
    for name, count in _ARGUMENTS.items():
        method = getattr(cls, name, None)
        if method is None or getattr(method, "__isabstractmethod__", False):
            continue
        given = (None,) * (1 + count + (told is not None))
        try:
            inspect.signature(method).bind(*given)
        except TypeError as error:
            raise CardError(*_misfit(cls, name, told)) from error


def _misfit(cls: type[Any], name: str, told: type[Condition] | None) -> tuple[str, str]:
    if told is None:
        return (
            f"{cls.__name__}.{name} has an argument more than it is called with",
            "a class that takes a condition sets condition_type = Labels; any other has no such argument",
        )
    return (
        f"{cls.__name__} has condition_type {told.__name__}, but {name} takes no condition",
        f"write def {name}(self, …, condition): one row per image, already checked",
    )


def absent(cls: type[Any], what: str = "") -> GenzooError:
    """Return the error for a condition that a model cannot take."""
    return ArgumentError(
        f"{cls.__name__} takes no condition{what}",
        "leave condition out; genzoo list names the condition of each model that takes one",
    )


def required(cls: type[Any], condition: Condition) -> GenzooError:
    """Return the error for a conditional model that is called without a condition."""
    return ArgumentError(f"{cls.__name__} needs a condition: it takes {condition.words}", condition.argument)


def fixed(model: M, rows: Tensor) -> M:
    """Return `model` with its condition fixed to `rows` (1, …); it shares the weights."""
    made: M = copy.copy(model)
    vars(made).update(_fixed=rows, _origin=model._origin or model)
    return made


def fixed_alike(model: M, other: Any) -> M:
    """Return `model` with the condition that `other`, of the same class, has fixed; itself if it has none."""
    return model if other._fixed is None else fixed(model, other._fixed)


def examples_of(condition: Condition, n: int = SEVERAL) -> list[Any]:
    """Return at most `n` different values of a condition, from the first to the last."""
    found = condition.examples(n)
    return [value for i, value in enumerate(found) if value not in found[:i]]


def each_given(model: M, n: int = SEVERAL) -> list[M]:
    """Return a conditional model with each of at most `n` values of its condition fixed; of any other model,
    the model.
    """
    if model.condition is None:
        return [model]
    return [model.given(value) for value in examples_of(model.condition, n)]


def example_rows(model: Any, n: int) -> tuple[Tensor, ...]:
    """Return what underscored methods take after their other arguments for `n` images of example conditions:
    nothing for a model without one.
    """
    found: tuple[Tensor, ...] = model.check_condition(
        None if model.condition is None else model.condition.examples(n), n
    )
    return found
