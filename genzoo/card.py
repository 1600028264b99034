"""Card: all that is known of a model before torch is loaded, and the one bridge to the class that does the
work.

Cards are data. `genzoo list` draws the lecture's taxonomy from them alone; `Card.build` is the only place
where the catalogue (names, no torch) reaches the tensors.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from genzoo.condition import Condition
from genzoo.errors import ArgumentError, CardError, safe_text
from genzoo.games import Adversarial, GameOptions
from genzoo.recipe import Recipe
from genzoo.schema import parse

NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    "conin$",
    "conout$",
    *(f"{d}{i}" for d in ("com", "lpt") for i in range(10)),
}


class Family(enum.Enum):
    """The lecture's taxonomy of generative models, and beside it the autoencoder and the classifier."""

    TRACTABLE = "tractable"  # explicit density, computed exactly: PixelRNN, PixelCNN
    APPROXIMATE = "approximate"  # explicit density, bounded: VAE
    IMPLICIT = "implicit"  # no density, only samples: GAN
    AUTOENCODER = "autoencoder"  # codes and reconstructions, neither density nor samples
    # no model of images at all: its features are what samples of the others are measured in
    CLASSIFIER = "classifier"

    @property
    def words(self) -> str:
        """Return in a few words what the family can answer."""
        return {
            Family.TRACTABLE: "explicit density, exact p(x)",
            Family.APPROXIMATE: "explicit density, lower bound on p(x)",
            Family.IMPLICIT: "implicit density, samples only",
            Family.AUTOENCODER: "codes and reconstructions, no density",
            Family.CLASSIFIER: "features to measure with, no model of images",
        }[self]

    @property
    def is_instrument(self) -> bool:
        """Say whether models of this family measure others and are no entries of the zoo themselves."""
        return self is Family.CLASSIFIER


def check_name(name: object, what: str = "name") -> str:
    """Return `name` if it can be a model's name on every file system (rule R5), or raise CardError."""
    if not isinstance(name, str) or len(name) > 64 or not NAME.fullmatch(name):
        raise CardError(
            f"{what} {name!r} must match {NAME.pattern} with at most 64 characters",
            "for example 'dcgan-bedrooms'",
        )
    if name.split(".")[0] in _DEVICES:
        raise CardError(f"{what} {name!r} is a device name on Windows", "choose another name")
    return name


def fold(name: str) -> str:
    """Return the form under which two names clash: case and the signs - _ . do not count."""
    return re.sub(r"[-_.]+", "-", name).casefold()


def _unpacked(cls: type[Card], facts: dict[str, Any]) -> Card:
    return cls(**facts)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One model of the zoo.

    Attributes:
        name: what people type, `[a-z0-9]+([._-][a-z0-9]+)*`, at most 64 characters.
        family: its place in the taxonomy; `build` refuses a class of another family.
        model: the class, as `"package.module:Class"`; imported only by `build`.
        config: keywords for the class's `Config`; what is absent takes the default there.
        recipe: how it is trained, or None.
        condition: what the model is given besides z or a seed, or None; `build` passes it on in the config,
            and refuses a class that takes another kind.
        summary, paper: one line each.
        plugin, has_weights: filled in by the catalogue, never by the author.
    """

    name: str
    family: Family
    model: str
    config: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    condition: Condition | None = None
    summary: str = ""
    paper: str = ""
    plugin: str = ""
    has_weights: bool = False

    def __post_init__(self) -> None:
        check_name(self.name)
        if not isinstance(self.family, Family):
            raise CardError(f"card {self.name!r}: family must be a genzoo.Family, not {self.family!r}")
        if not isinstance(self.model, str) or not _CLASS.fullmatch(self.model):
            raise CardError(f"card {self.name!r}: model must read 'package.module:Class', not {self.model!r}")
        if not isinstance(self.config, Mapping) or not all(isinstance(key, str) for key in self.config):
            raise CardError(f"card {self.name!r}: config must be a mapping of names to values")
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            raise CardError(f"card {self.name!r}: recipe must be a genzoo.Recipe, not {self.recipe!r}")
        if self.condition is not None and not isinstance(self.condition, Condition):
            raise CardError(
                f"card {self.name!r}: condition must be a condition, not {self.condition!r}",
                'for example condition=genzoo.Labels(("cat", "dog"))',
            )
        for key in ("summary", "paper"):
            if not isinstance(getattr(self, key), str):
                raise CardError(f"card {self.name!r}: {key} must be a text")
        object.__setattr__(self, "config", MappingProxyType(dict(self.config)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let cards be copied and sent to other processes, which the read-only view of their config does
        not.
        """
        facts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return _unpacked, (type(self), {**facts, "config": dict(self.config)})

    def __repr__(self) -> str:
        return f"<Card {self.name}: {self.family.value}, {'' if self.has_weights else 'no '}weights>"

    def _repr_html_(self) -> str:
        """Return the card as a table, for notebooks."""
        from genzoo.notebook import html_facts

        return html_facts(
            [
                ("Name", self.name),
                ("Family", f"{self.family.value}: {self.family.words}"),
                ("Summary", self.summary),
                ("Condition", self.condition.words if self.condition else "none"),
                ("Paper", self.paper),
                ("Plugin", self.plugin),
                ("Class", self.model),
                ("Config", ", ".join(f"{key}={safe_text(value)}" for key, value in self.config.items())),
                ("Weights", "published" if self.has_weights else "none are published"),
            ]
        )

    @property
    def game(self) -> GameOptions | None:
        """The options of its game: the recipe's, or the defaults of the adversarial game where it is of that
        family; None where its game has none.
        """
        own = None if self.recipe is None else self.recipe.game
        return own or (Adversarial() if self.family is Family.IMPLICIT else None)

    @property
    def stated(self) -> dict[str, Any]:
        """The keywords of the class's `Config`: those of the condition, and `config`."""
        return self._stated(self.config)

    def _stated(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {**({} if self.condition is None else self.condition.config_for(config)), **config}

    def replace(self, **changes: Any) -> Card:
        """Return a copy with `changes`."""
        return dataclasses.replace(self, **changes)

    def load_class(self) -> type[Any]:
        """Import and return the class that the card names; torch loads here.

        Raises:
            CardError: the module or the class cannot be imported, or the class is of another family or takes
                another kind of condition.
        """
        module, _, attribute = self.model.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise CardError(
                f"card {self.name!r} names {self.model}, which cannot be imported: "
                f"{type(error).__name__}: {error}",
                f"reinstall the plugin {self.plugin}" if self.plugin else "check the card's 'model'",
            ) from error
        family = getattr(found, "family", None)
        if family is None and getattr(found, "explicit", False):
            raise CardError(
                f"{self.model} cannot be built: it does not define exact",
                "exact = True where log_prob is log p(x) itself, exact = False where it is a lower bound",
            )
        if not isinstance(found, type) or not isinstance(family, Family):
            raise CardError(f"card {self.name!r}: {self.model} is not a subclass of genzoo.models.Model")
        if family is not self.family:
            raise CardError(
                f"card {self.name!r} says family {self.family.value!r}, but {self.model} is {family.value!r}"
            )
        self._check_condition(found)
        return found

    def _check_condition(self, found: type[Any]) -> None:
        takes: type[Condition] | None = getattr(found, "condition_type", None)
        stated = None if self.condition is None else type(self.condition)
        if takes is stated:
            return
        if takes is None:
            message = f"states a condition, but {self.model} takes none"
            hint = "leave condition out, or set condition_type in the class"
        else:
            message = f"states no condition, but {self.model} takes {takes.kind}"
            hint = f"write condition=genzoo.{takes.__name__}(…) in the card"
        raise CardError(f"card {self.name!r} {message}", hint)

    def build(self, **overrides: Any) -> Any:
        """Return the model with fresh weights; `overrides` replace keys of the config.

        Raises:
            CardError: see `load_class`; also an abstract method that the class forgot, by name.
            UnknownNameError, ArgumentError: a key or value that the class's Config refuses.
        """
        found = self.load_class()
        config = parse(found.Config, self._stated({**self.config, **overrides}), f"config of {self.name}")
        if self.condition is not None:
            type(self.condition).of(config)  # overrides are checked like what the card states
        missing = sorted(getattr(found, "__abstractmethods__", ()))
        if missing:
            raise CardError(
                f"{self.model} cannot be built: it does not define {', '.join(missing)}",
                "write the missing method in the plugin",
            )
        try:
            return found(config)
        except ArgumentError as error:
            raise type(error)(f"config of {self.name}: {error.message}", error.hint) from error
