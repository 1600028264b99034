"""Hack: a switch of a recipe or a config, and whether it is on. `genzoo.hacks` has the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from genzoo.games import Adversarial
from genzoo.recipe import Recipe

WHERE = ("recipe", "config", "always", "absent")
State = Callable[[Recipe, Mapping[str, Any]], bool]


@dataclass(frozen=True, kw_only=True)
class Hack:
    """One switch.

    Attributes:
        number: its place in the list of seventeen; some have several switches.
        name: what people and the doctor call it.
        words: what it does here; of an absent one, why it is not here.
        where: "recipe", "config", "always" or "absent".
        key: the key of the recipe or config, "" where there is none.
        default: the key's default, as it is typed.
        on: a value that switches it on, as it is typed.
        source: the paper behind it.
        is_on: whether a recipe and a config have it on; None where its state is not up to them.
    """

    number: int
    name: str
    words: str
    where: str
    key: str = ""
    default: str = ""
    on: str = ""
    source: str = ""
    is_on: State | None = None

    @property
    def switch(self) -> str:
        """What is typed to have it: `--set soft_labels=0.3`, or an empty text."""
        return f"--set {self.key}={self.on}" if self.key else ""

    def state(self, recipe: Recipe | None, config: Mapping[str, Any]) -> str:
        """Return "on" or "off" for a model's recipe and config, "always" or "absent" where they do not
        decide.
        """
        if self.is_on is None:
            return self.where
        return "on" if self.is_on(recipe or Recipe(), config) else "off"

    def __str__(self) -> str:
        return f"hack {self.number}, {self.name}" + (f" ({self.switch})" if self.key else "")


def game_of(recipe: Recipe) -> Adversarial:
    """Return the options of the adversarial game of `recipe`, the defaults where it has none."""
    return recipe.game if isinstance(recipe.game, Adversarial) else Adversarial()


def config_is_not(key: str, off: Any) -> State:
    """Return what says whether a config's `key` is anything but `off`."""
    return lambda recipe, config: bool(config.get(key, off) != off)


def config_is(key: str, value: str) -> State:
    """Return what says whether a config's `key` is `value`."""
    return lambda recipe, config: bool(config.get(key) == value)
