"""Resolve names in a recipe: built-in objects by their names, your own as `"package.module:name"`."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from genzoo.errors import ArgumentError, safe_repr
from genzoo.games import GameOptions
from genzoo.losses.objectives import OBJECTIVES, Objective
from genzoo.losses.wasserstein import PENALTIES, Penalty
from genzoo.recipe import Recipe
from genzoo.schema import is_reference

T = TypeVar("T")


def find(name: str, known: Mapping[str, T], what: str) -> T:
    """Return the object called `name`: one of `known`, or one imported from `"package.module:name"`.

    Raises:
        ArgumentError: it cannot be imported, or cannot be used as `what`.
    """
    return known[name] if name in known else _imported(name, what)


def objective_of(name: str) -> Objective:
    """Return the objective called `name`, or your own: `"package.module:name"`.

    Raises:
        ArgumentError: there is no such objective.
    """
    found = find(name, OBJECTIVES, "objective")
    if not isinstance(found, Objective):
        raise ArgumentError(
            f"objective={name} is not a genzoo.losses.objectives.Objective",
            "name one from your package: package.module:name",
        )
    return found


def penalty_of(name: str) -> Penalty:
    """Return the penalty called `name`, or your own: `"package.module:name"`.

    Raises:
        ArgumentError: there is no such penalty.
    """
    return find(name, PENALTIES, "penalty")


def _imported(name: str, what: str) -> Any:
    module, _, attribute = name.partition(":")
    hint = f"name {what} as package.module:name, of a package that is installed"
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise ArgumentError(
            f"{safe_repr(name)} cannot be imported: {type(error).__name__}: {error}", hint
        ) from error
    if not callable(found) and not dataclasses.is_dataclass(found):
        raise ArgumentError(f"{safe_repr(name)} cannot be used as {what}: it is {safe_repr(found)}", hint)
    return found


def check_own(recipe: Recipe) -> None:
    """Import every object that `recipe` names as `"package.module:name"`, so that a wrong name is reported
    first.

    Raises:
        ArgumentError: an object cannot be imported.
    """
    holders: list[Recipe | GameOptions] = [recipe] if recipe.game is None else [recipe, recipe.game]
    keys = [
        (holder, f.name) for holder in holders for f in dataclasses.fields(holder) if f.metadata.get("own")
    ]
    for holder, key in keys:
        for name in filter(is_reference, _names(getattr(holder, key))):
            _imported(name, key)


def _names(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return list(value.values())
    return [value] if isinstance(value, str) else list(value)
