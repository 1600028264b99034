"""genzoo: a model zoo for the generative models of Stanford's CS231n lecture 12.

    genzoo.load("dcgan-bedrooms").sample(16)

This door is lazy: importing it loads neither torch nor the plugins.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from genzoo.card import Card, Family
from genzoo.condition import Labels, Picture, Text
from genzoo.errors import GenzooError
from genzoo.games import Adversarial, Classification, GameOptions
from genzoo.recipe import Recipe

if TYPE_CHECKING:
    from genzoo.hookspecs import hookimpl
    from genzoo.images import grid, save_grid
    from genzoo.zoo import cards, create, evaluate, info, list_models, load, pull, push, train, verify

__version__ = "0.1.0"

__all__ = [
    "Adversarial",
    "Card",
    "Classification",
    "Family",
    "GameOptions",
    "GenzooError",
    "Labels",
    "Picture",
    "Recipe",
    "Text",
    "cards",
    "create",
    "evaluate",
    "grid",
    "hookimpl",
    "info",
    "list_models",
    "load",
    "pull",
    "push",
    "save_grid",
    "train",
    "verify",
]

_LAZY = {
    "hookimpl": "genzoo.hookspecs",
    "grid": "genzoo.images",
    "save_grid": "genzoo.images",
    **dict.fromkeys(
        ("cards", "create", "evaluate", "info", "list_models", "load", "pull", "push", "train", "verify"),
        "genzoo.zoo",
    ),
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'genzoo' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
