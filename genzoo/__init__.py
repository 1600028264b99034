"""genzoo: a model zoo for the generative models of Stanford's CS231n lecture 12.

    genzoo.load("dcgan-bedrooms").sample(16)

This door is lazy: importing it loads neither torch nor the plugins.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from genzoo.card import Card, Family
from genzoo.errors import GenzooError
from genzoo.games import Adversarial, GameOptions
from genzoo.recipe import Recipe

if TYPE_CHECKING:
    from genzoo.hookspecs import hookimpl
    from genzoo.images import grid, save_grid
    from genzoo.zoo import card, cards, create, load, pull, push, train, verify

__version__ = "0.1.0"

__all__ = [
    "Adversarial",
    "Card",
    "Family",
    "GameOptions",
    "GenzooError",
    "Recipe",
    "card",
    "cards",
    "create",
    "grid",
    "hookimpl",
    "load",
    "pull",
    "push",
    "save_grid",
    "train",
    "verify",
]

_ROOMS = {
    "hookimpl": "genzoo.hookspecs",
    "grid": "genzoo.images",
    "save_grid": "genzoo.images",
    **dict.fromkeys(("card", "cards", "create", "load", "pull", "push", "train", "verify"), "genzoo.zoo"),
}

# Importing the module genzoo.card has left its name here, where people expect the function of the zoo:
# `genzoo.card("dcgan")`.
globals().pop("card", None)


def __getattr__(name: str) -> Any:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module 'genzoo' has no attribute {name!r}")
    return getattr(importlib.import_module(room), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
