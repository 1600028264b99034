"""Conditions as tensors, with one row per image, and the methods that take them.

A conditional class sets `condition_type` and writes the same underscored methods as any other class, each
with one more argument at the end: the condition, already checked, one row per image. A class without a
condition writes them without it.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

from genzoo.condition import Condition, Labels
from genzoo.errors import ArgumentError, CardError, GenzooError, safe_repr

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


@functools.singledispatch
def rows_of(condition: Condition, value: Any, n: int) -> Tensor:
    """Return `value`, one for all of `n` images or one for each, as a tensor with n rows.

    Labels become int64 (n,).

    Raises:
        ArgumentError, UnknownNameError: not a value of this condition, or not n of them.
    """
    raise TypeError(f"no rows of {type(condition).__name__}")


@rows_of.register
def _label_rows(condition: Labels, value: Any, n: int) -> Tensor:
    if _is_list(value):
        return _each(condition, value, n)
    return torch.full((n,), condition.number(value))


def _is_list(value: Any) -> bool:
    """Say whether `value` has rows in an order: a sequence, an array or a tensor, but no text, set or
    mapping.
    """
    shape = getattr(value, "shape", None)
    return (
        isinstance(value, Sequence) and not isinstance(value, (str, bytes)) if shape is None else shape != ()
    )


def _each(condition: Labels, values: Any, n: int) -> Tensor:
    shape = tuple(getattr(values, "shape", (len(values),)))
    if len(shape) != 1:
        raise ArgumentError(
            f"a label for each image is a list of {n}, not an array of the shape {shape}",
            f"this model takes {condition.words}",
        )
    if len(values) != n:
        raise ArgumentError(
            f"there are {len(values):,} labels for {n:,} image{'s' * (n != 1)}",
            "give one label for all, or one for each",
        )
    if hasattr(values, "tolist"):  # numbers of Python are quicker, and plainer in a message
        values = values.tolist()
    numbers: dict[Any, int] = {}  # the same few labels come again and again
    return torch.tensor([_number(condition, value, numbers) for value in values])


def _number(condition: Labels, value: Any, known: dict[Any, int]) -> int:
    try:
        key = (type(value), value)
        if key not in known:
            known[key] = condition.number(value)
        return known[key]
    except TypeError:  # a list or another value without a hash, which is no label
        return condition.number(value)


def absent(cls: type[Any], what: str = "") -> GenzooError:
    """Return the error for a condition that a model cannot take."""
    return ArgumentError(
        f"{cls.__name__} takes no condition{what}",
        "leave condition out; genzoo list names the condition of each model that takes one",
    )


def required(cls: type[Any], condition: Condition) -> GenzooError:
    """Return the error for a conditional model that is called without a condition."""
    example = condition.examples(1)[0]
    shown = condition.names[example] if isinstance(condition, Labels) else example
    return ArgumentError(
        f"{cls.__name__} needs a condition: it takes {condition.words}", f"condition={safe_repr(shown)}"
    )


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
