"""Laws of a card: its facts agree with the class that it names."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
import typing
from typing import Any

from genzoo.card import Card
from genzoo.errors import GenzooError
from genzoo.schema import parse
from genzoo.testing.law import LawError, hold

HEAVY = ("torch",)  # packages that listing models must not import
_PROBE = "import sys, {package}\nprint(' '.join(name for name in {heavy!r} if name in sys.modules))"


def check_card(card: Card) -> None:
    """Check a card: its class loads and belongs to its family, its config is typed, bounded and accepted, and
    listing it imports nothing heavy.

    The class is imported (and torch with it), but no model is built.

    Raises:
        LawError: the first law that is broken.
    """
    hold(
        isinstance(card, Card),
        "genzoo_cards returns cards",
        f"a {type(card).__name__}",
        "the hook genzoo_cards",
    )
    hold(
        card.summary.strip(),
        "a card says in one line what the model is",
        "an empty summary",
        f"summary of the card {card.name!r}",
    )
    _check_light(card)
    try:
        found = card.load_class()
    except GenzooError as error:
        raise LawError(
            "a card's class can be imported, is of the card's family and takes the card's condition",
            error.message,
            f"the card {card.name!r}",
        ) from error
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    hold(not missing, "a card's class can be built", f"it does not define {', '.join(missing)}", card.model)
    _check_config(card, found)


def _check_light(card: Card) -> None:
    """Check that the plugin does not import torch at module level: `genzoo list` would take seconds for
    everyone.
    """
    package = card.model.partition(":")[0].partition(".")[0]
    loaded = _imported_with(package)
    seen = f"import {package} brings {loaded}"
    hold(
        not loaded,
        "importing a plugin does not import torch",
        seen,
        f"the top of {package}/__init__.py: name classes as texts",
    )


@functools.cache
def _imported_with(package: str) -> str:
    """Return which of HEAVY a new Python process has loaded after `import package`; empty if the package
    cannot be imported by name.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    probe = _PROBE.format(package=package, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _check_config(card: Card, found: type[Any]) -> None:
    config = getattr(found, "Config", None)
    where = f"class Config of {card.model}"
    # untyped in typeshed
    frozen = dataclasses.is_dataclass(config) and getattr(config, "__dataclass_params__").frozen  # noqa: B009
    hold(frozen, "a model has a frozen dataclass Config", repr(config), where)
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, config))}
    hold("image_shape" in fields, "Config has the field image_shape", f"fields {', '.join(fields)}", where)
    for field in fields.values():
        hold(field.kw_only, "the fields of Config are keyword-only", f"{field.name} is positional", where)
        hold(
            _bounded(config, field),
            "every number of Config has limits",
            f"{field.name} may be anything",
            f"limits(low, high) in {where}",
        )
    try:
        made = parse(typing.cast(Any, config), card.stated, f"config of {card.name}")
    except GenzooError as error:
        raise LawError(
            "a card's config is accepted by its class", error.message, f"config of the card {card.name!r}"
        ) from error
    if card.condition is not None:
        law = "a card states the condition of the model that it builds"
        stated = type(card.condition).of(made)
        hold(stated == card.condition, law, stated.words, f"config of the card {card.name!r}")


def _bounded(config: Any, field: dataclasses.Field[Any]) -> bool:
    """Return whether a numeric field has both limits; without them a config could ask for 10^12 channels and
    use up the memory (rule R4).
    """
    words = str(typing.get_type_hints(config)[field.name])
    numeric = field.type in ("int", "float", int, float) or any(kind in words for kind in ("int", "float"))
    return not numeric or (field.metadata.get("low") is not None and field.metadata.get("high") is not None)
