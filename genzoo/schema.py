"""One small checker for everything that people write by hand: configs, recipes, `--set key=value` and ledger
rows.

A schema is a frozen, keyword-only dataclass; `field(metadata=limits(...))` states ranges and choices. Unknown
keys are refused with the nearest right spelling, values with what was expected (rule R4). Only the standard
library is used.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import math
import re
import sys
import types
import typing
import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

from genzoo.errors import ArgumentError, UnknownNameError, safe_repr, suggest

T = TypeVar("T")
_MOST = sys.float_info.max
_NO_SPAN: tuple[type, float, float] = (type(None), 0.0, 0.0)  # the type of no value that is looked up
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def limits(
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    size: int | None = None,
    own: bool = False,
) -> dict[str, Any]:
    """Return the metadata of a field: inclusive range of a number (or of every item), the choices of a
    string, length of a tuple; with `own` also the name of anything else, as "package.module:name".
    """
    return {"low": low, "high": high, "choices": choices, "size": size, "own": own}


def parse(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build the dataclass `cls` from `values`, checking every key, type and range.

    `where` opens each message (`"config of dcgan"`, `"zoo.toml:6: [dcgan-bedrooms]"`).

    Raises:
        UnknownNameError: a key that `cls` has not.
        ArgumentError: a missing key, a wrong type or a value out of range.
    """
    form = _schema(cls)  # type: ignore[arg-type]  # a class is hashable, whatever T is
    for key in values:
        if key not in form.fields:
            raise UnknownNameError(
                f"{where}: unknown key {str(key)!r}{suggest(str(key), form.fields)}",
                f"known keys: {', '.join(form.fields)}",
            )
    for name in form.required:
        if name not in values:
            raise ArgumentError(f"{where}: the key {name!r} is missing")
    checked = {
        key: value
        if _plainly_fits(value, key, form)
        else check_value(value, form.hints[key], form.fields[key].metadata, f"{where}: {key}")
        for key, value in values.items()
    }
    return cls(**checked)


class _Schema(typing.NamedTuple):
    """What is asked of the fields of a class, found out once."""

    fields: dict[str, dataclasses.Field[Any]]
    hints: dict[str, Any]
    required: tuple[str, ...]
    texts: set[str]  # those that take any text
    choices: dict[str, tuple[str, ...]]  # those that take these texts only
    spans: Mapping[str, tuple[type, float, float]]  # those that take a number, with its range
    optional: set[str]  # those that take None as well


@functools.cache  # evaluating the hints costs more than checking a row against them
def _schema(cls: Any) -> _Schema:
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    hints = typing.get_type_hints(cls)
    missing = dataclasses.MISSING
    required = (n for n, f in fields.items() if f.default is missing and f.default_factory is missing)
    words = {n: f.metadata.get("choices") for n, f in fields.items() if hints[n] is str}
    texts, choices = {n for n in words if not words[n]}, {n: found for n, found in words.items() if found}
    optional = {n for n, kind in hints.items() if _is_union(kind) and type(None) in typing.get_args(kind)}
    spans = {
        name: (kind, *_range(found.metadata))
        for name, found in fields.items()
        for kind in (int, float)
        if hints[name] in (kind, kind | None) and not found.metadata.get("choices")
    }
    return _Schema(fields, hints, tuple(required), texts, choices, spans, optional)


def _range(rules: Mapping[str, Any]) -> tuple[float, float]:
    low, high = rules.get("low"), rules.get("high")
    return -_MOST if low is None else low, _MOST if high is None else high  # infinity is in no range


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _plainly_fits(value: Any, key: str, form: _Schema) -> bool:
    """Whether `value` is certainly right: a ledger has thousands of values, and nearly all of them are."""
    exact = type(value)
    if exact is str:
        return key in form.texts or value in form.choices.get(key, ())
    if value is None:
        return key in form.optional
    kind, low, high = form.spans.get(key, _NO_SPAN)
    return exact is kind and low <= value <= high


_SCALARS = (int, float, str, bool)


@functools.cache
def _form(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_origin(kind), typing.get_args(kind)


def check_value(value: Any, kind: Any, rules: Mapping[str, Any], where: str) -> Any:
    """Return `value` as `kind` within `rules` (see `limits`), or raise ArgumentError that opens with
    `where`.
    """
    if kind in _SCALARS:
        return _check_scalar(value, kind, rules, where)
    origin, inner = _form(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _check_union(value, [k for k in inner if k is not type(None)], rules, where)
    if origin is tuple:
        return _check_tuple(value, inner, rules, where)
    if (
        origin in (dict, Mapping)
        or kind in (dict, Mapping)
        or origin is getattr(types, "MappingProxyType", None)
    ):
        return _check_mapping(value, inner, rules, where)
    return _check_scalar(value, kind, rules, where)


def _check_union(value: Any, kinds: list[Any], rules: Mapping[str, Any], where: str) -> Any:
    for kind in kinds[:-1]:
        with contextlib.suppress(ArgumentError):
            return check_value(value, kind, rules, where)
    return check_value(value, kinds[-1], rules, where)


def _check_tuple(value: Any, inner: tuple[Any, ...], rules: Mapping[str, Any], where: str) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)):
        raise ArgumentError(f"{where} must be a list, not {safe_repr(value)}")
    size = rules.get("size") if Ellipsis in inner else len(inner)
    if size is not None and len(value) != size:
        raise ArgumentError(f"{where} must have {size} items, not {len(value)}: {safe_repr(value)}")
    kinds = inner[:1] * len(value) if Ellipsis in inner else inner
    return tuple(check_value(item, kind, rules, where) for item, kind in zip(value, kinds, strict=True))


def _check_mapping(
    value: Any, inner: tuple[Any, ...], rules: Mapping[str, Any], where: str
) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{where} must be a table of key = value, not {safe_repr(value)}")
    kind = inner[1] if len(inner) == 2 else Any
    return {str(key): check_value(item, kind, rules, f"{where}.{key}") for key, item in value.items()}


def _check_scalar(value: Any, kind: Any, rules: Mapping[str, Any], where: str) -> Any:
    if kind is Any or kind is object:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**1023 else math.inf
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ArgumentError(f"{where} must be {_words(kind)}, not {safe_repr(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ArgumentError(f"{where} must be a finite number, not {safe_repr(value)}")
    low, high, choices = rules.get("low"), rules.get("high"), rules.get("choices")
    if isinstance(value, (int, float)) and (
        (low is not None and value < low) or (high is not None and value > high)
    ):
        span = f"{low if low is not None else '-∞'} and {high if high is not None else '∞'}"
        raise ArgumentError(f"{where} must lie between {span}, not {safe_repr(value)}")
    if choices and value not in choices and not (rules.get("own") and is_reference(value)):
        raise ArgumentError(
            f"{where} must be one of {', '.join(choices)}, not "
            f"{safe_repr(value)}{suggest(str(value), choices)}",
            "or one of your own, as package.module:name" if rules.get("own") else "",
        )
    return value


def is_reference(value: object) -> bool:
    """Return whether `value` reads "package.module:name"."""
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def _words(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def literal(text: str) -> Any:
    """Read the value of `--set key=value`: a number, true or false, a list, or (anything else) the text
    itself.

    `64x40` stays a text: the key that takes sizes knows how to read it.
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # '1or 2' is a text here, not a doubtful program
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, (int, float, list, tuple, str)) else text
