"""Hack: a switch of a recipe or a config, and whether it is on. `genzoo.hacks` has the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from genzoo.games import Adversarial
from genzoo.recipe import Recipe

WHERE = ("recipe", "config", "card", "always", "absent")
State = Callable[[Recipe, Mapping[str, Any]], bool]


@dataclass(frozen=True, kw_only=True)
class Hack:
    """One switch.

    Attributes:
        number: its place in the list of seventeen; some hacks have several switches.
        name: the name that the documentation and the training doctor use.
        words: what it does here; for an absent hack, why it is absent.
        where: "recipe", "config", "card" (chosen with the model), "always" or "absent".
        key: the key of the recipe or config; "" if there is none.
        default: the key's default, as typed on the command line.
        on: a value that switches it on, as typed on the command line.
        source: the paper behind it.
        is_on: returns whether a recipe and a config switch it on; None if they do not decide.
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
        """The option that switches it on, such as `--set soft_labels=0.3`; "" if there is none."""
        return f"--set {self.key}={self.on}" if self.key else ""

    def state(self, recipe: Recipe | None, config: Mapping[str, Any]) -> str:
        """Return "on" or "off" for a recipe and config, or "always" or "absent" if they do not decide."""
        if self.is_on is None:
            return self.where
        return "on" if self.is_on(recipe or Recipe(), config) else "off"

    def __str__(self) -> str:
        return f"hack {self.number}, {self.name}" + (f" ({self.switch})" if self.key else "")


def game_of(recipe: Recipe) -> Adversarial:
    """Return the adversarial game options of `recipe`, or the defaults if it has none."""
    return recipe.game if isinstance(recipe.game, Adversarial) else Adversarial()


def config_is_not(key: str, off: Any) -> State:
    """Return a function that checks whether a config's `key` is anything but `off`."""
    return lambda recipe, config: bool(config.get(key, off) != off)


def config_is(key: str, value: str) -> State:
    """Return a function that checks whether a config's `key` is `value`."""
    return lambda recipe, config: bool(config.get(key) == value)
