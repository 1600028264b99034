"""Turn a card and the user's settings into a checked recipe, a config and data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from genzoo.card import Card
from genzoo.data import Images
from genzoo.data import opening as data
from genzoo.data.opening import native_shape
from genzoo.errors import ArgumentError, UnknownNameError, suggest
from genzoo.games import GameOptions
from genzoo.recipe import FACTS, Recipe, keys_of
from genzoo.schema import parse
from genzoo.training.own import check_own

_TABLES = ("lr", "optimizer", "turns")
_SIZES = ("image_size", "channels")


def plan(card: Card, settings: Mapping[str, Any], **given: Any) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe and config of a run: the card's, changed by `settings` and the values in `given` that
    are not None.

    Raises:
        UnknownNameError: a key is not in the recipe, its game's options or the config.
        ArgumentError: a value is invalid.
    """
    base = card.recipe or Recipe()
    held = keys_of(base)
    recipe_keys = set(held) - set(FACTS) - _names_of(base.game)
    options = card.game
    config_keys = {f.name for f in dataclasses.fields(card.load_class().Config)}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    of_game: dict[str, Any] = {}
    config: dict[str, Any] = dict(card.config)
    # "lr" for all, then "lr.generator" for one
    for key, value in sorted(settings.items(), key=lambda item: "." in item[0]):
        table, dot, player = key.partition(".")
        if dot and table in _TABLES:
            changes[table] = {**changes.get(table, getattr(base, table)), player: value}
        elif key in ("lr", "optimizer"):
            changes[key] = {"all": value}
        elif key in recipe_keys:
            changes[key] = _listed(value) if isinstance(held[key], tuple) else value
        elif key in _names_of(options):
            of_game[key] = _listed(value) if isinstance(getattr(options, key), tuple) else value
        elif key in config_keys or key in _SIZES:
            config[key] = value
        else:
            known = sorted(
                recipe_keys
                | config_keys
                | _names_of(options)
                | {*_SIZES, *(f"{table}.PLAYER" for table in _TABLES)}
            )
            raise UnknownNameError(
                f"{card.name} has no setting {key!r}{suggest(key, known)}", f"settings: {', '.join(known)}"
            )
    if of_game and options is not None:
        told = {**dataclasses.asdict(options), **of_game}
        changes["game"] = parse(type(options), told, f"recipe of {card.name}")
    values = {f.name: getattr(base, f.name) for f in dataclasses.fields(Recipe)}
    recipe = parse(Recipe, {**values, **changes}, f"recipe of {card.name}")
    check_own(recipe)
    return recipe, config


def _names_of(options: GameOptions | None) -> set[str]:
    return set() if options is None else {f.name for f in dataclasses.fields(options)}


def settle_shape(source: Any, config: dict[str, Any]) -> None:
    """Set `config["image_shape"]` before any image is decoded, so that a net that cannot be built is reported
    first.

    Held out are the test images or, if the recipe has `validation`, those of the validation split,
    which training then leaves out. The image size is the one set by the user, else the card's, else that of
    the data.
    """
    if isinstance(source, str) and not source:
        raise ArgumentError("there is no data to train on", "name some: --data digits, or a folder of images")
    size, channels = config.pop("image_size", None), config.pop("channels", None)
    shape = config.get("image_shape")
    if shape is None or size is not None or channels is not None:
        native = native_shape(source) if shape is None and (size is None or channels is None) else (3, 64, 64)
        own = shape or native
        shape = (channels if channels is not None else own[0], *(pair(size) if size is not None else own[1:]))
    config["image_shape"] = tuple(shape)


def open_both(source: Any, config: dict[str, Any], recipe: Recipe) -> tuple[Images, Images | None]:
    """Open the training images and the held-out images (None if there are none) in `config["image_shape"]`;
    see `settle_shape`.

    Held out are the test images or, if the recipe has `validation`, those of the validation split,
    which training then leaves out.
    """
    settle_shape(source, config)
    return data.open_both(
        source, image_shape=config["image_shape"], val_split=recipe.val_split, validation=recipe.validation
    )


def pair(size: Any) -> tuple[int, int]:
    """Read 64, "64" or "24x40" (height x width)."""
    found = re.fullmatch(r"([0-9]{1,5})(?:[x×]([0-9]{1,5}))?", str(size))
    if not found:
        raise ArgumentError(
            f"image_size must be a side or HEIGHTxWIDTH, not {size!r}",
            "for example image_size=64 or image_size=24x40",
        )
    return int(found[1]), int(found[2] or found[1])


def _listed(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (value,)  # "stage_rounds=300" is a list of one
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip() and part.strip() != "none")
