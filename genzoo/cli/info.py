"""`genzoo info`: all that is known of one model, without loading it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from importlib import metadata
from typing import Any

import click

from genzoo import hub
from genzoo.card import Card
from genzoo.cli.conditions import stated
from genzoo.cli.net import Layer, layers_of, say_net
from genzoo.cli.net import facts as net_facts
from genzoo.cli.options import command, find, json_option, model_argument
from genzoo.cli.output import human_size, say, say_facts, say_json, say_wrapped
from genzoo.cli.scores import say_scores
from genzoo.condition import Condition, Labels
from genzoo.errors import safe_text
from genzoo.ledger import Row
from genzoo.places import is_place
from genzoo.recipe import FACTS, keys_of
from genzoo.schema import literal

MOST = 120  # labels that are all named


@command("info")
@model_argument
@click.option("--net", "with_net", is_flag=True, help="Add the layers and the number of parameters.")
@json_option
def info_command(name: str, with_net: bool, as_json: bool) -> None:
    """Show what is known about a model.

    This is its paper, config, recipe, data, licence and sha256, and its scores next to those of real images,
    with their protocol. The recipe is that of the weights if their row states it, else the card's. --net
    builds the model, which takes a few seconds, and shows its layers.
    """
    entry = find(name)
    card, row = entry
    if is_place(name) and row is not None:
        card = hub.configured(card, hub.pull_bytes(row))
    card = card.replace(condition=stated(entry, offline=True))  # as its weights have it
    # Before anything is printed: a model that cannot be built gives one error, not half a page.
    layers = _layers(card) if with_net else None
    if as_json:
        net = {} if layers is None else {"net": net_facts(layers)}
        say_json({**facts(card, row), **net})
        return
    say_facts(_about(card))
    _say_settings("Config", dict(card.config))
    _say_recipe(card, row)
    if layers is not None:
        say_net(layers)
    _say_weights(card, row)
    if row is not None and row.scores:
        say_scores(row.scores)


def _layers(card: Card) -> list[Layer]:
    from genzoo.models.weights import build_fresh

    return layers_of(build_fresh(card, seed=0))


def facts(card: Card, row: Row | None) -> dict[str, Any]:
    """Return the card and the ledger's row as one JSON object; what is not published is null."""
    # Every key is always there, so that programs need not ask.
    published: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(Row))
    if row is not None:
        published = {**dataclasses.asdict(row), "scores": [score.as_dict() for score in row.scores]}
    about = {
        "name": card.name,
        "family": card.family.value,
        "plugin": card.plugin,
        "plugin_version": plugin_version(card) or None,
        "model": card.model,
        "condition": card.condition.as_dict() if card.condition else None,
        "summary": card.summary,
        "paper": card.paper,
        "config": _plain(card.config),
        "recipe": _plain(recipe_of(card, row)) if card.recipe else None,
        "recipe_changes": _plain(recipe_changes(row)),
        "weights": row is not None,
    }
    kept = ("sha256", "bytes", "sources", "licence", "data", "terms", "trained", "lineage")
    return {
        **about,
        **{key: _plain(published[key]) for key in kept},
        "scores": [_plain(score) for score in published["scores"] or ()],
    }


def recipe_keys(card: Card) -> dict[str, Any]:
    """Return every key of a card's recipe and of its game's options, in their order."""
    return keys_of(card.recipe, card.game) if card.recipe else {}


def recipe_of(card: Card, row: Row | None) -> dict[str, Any]:
    """Return the recipe of the weights of `row`: the card's with the changes that the row states.

    Without such changes it is the card's. With them, what the row states by itself (data, licence) is left
    out: the card's would not be that of these weights.
    """
    keys, changes = recipe_keys(card), recipe_changes(row)
    if not changes:
        return keys
    for key, value in changes.items():
        table, _, player = key.partition(".")
        if isinstance(old := keys.get(table), Mapping):
            keys[table] = {**old, player: value} if player else {"all": value}
        elif isinstance(old, tuple) and not isinstance(value, (list, tuple)):
            words = [word.strip() for word in str(value).split(",")]
            keys[key] = [literal(word) for word in words if word not in ("", "none")]
        else:
            keys[key] = value
    return {key: value for key, value in keys.items() if key not in (*FACTS, "data", "licence")}


def recipe_changes(row: Row | None) -> dict[str, Any]:
    """Return the keys of the recipe that `row` states as not the card's, with their values."""
    pairs = [text.partition("=") for text in (row.recipe if row is not None else ())]
    return {key: literal(value) for key, _, value in pairs}


def setting_words(value: Any) -> str:
    """Return a value of a config or recipe as it is typed after `--set key=`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={setting_words(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting_words, value))
    if isinstance(value, bool):
        return str(value).lower()
    return safe_text(value)


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it; a plugin's config may hold anything."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    # NaN is not equal to itself; JSON has neither NaN nor infinity.
    if isinstance(value, float) and value not in (float("inf"), float("-inf")) and value == value:
        return value
    return value if value is None or isinstance(value, (str, int)) else safe_text(value)


def _about(card: Card) -> list[tuple[str, object]]:
    return [
        ("Name", card.name),
        ("Family", f"{card.family.value}: {card.family.words}"),
        ("Summary", card.summary),
        ("Condition", condition_words(card.condition)),
        ("Paper", card.paper),
        ("Plugin", " ".join(filter(None, (card.plugin, plugin_version(card))))),
        ("Class", card.model),
    ]


def plugin_version(card: Card) -> str:
    """Return the version of the distribution that brings `card`, "" if none has that name."""
    try:
        return metadata.version(card.plugin)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def condition_words(condition: Condition | None) -> str:
    """Return what a model is given, in words: of labels all names, if they are not too many."""
    if condition is None:
        return ""
    if not isinstance(condition, Labels):
        return condition.words
    if len(condition) > MOST:
        return f"{condition.words} (all: --json)"
    return f"{len(condition)} label{'s' * (len(condition) != 1)}: {', '.join(condition.names)}"


def _say_settings(title: str, values: Mapping[str, Any]) -> None:
    if values:
        say(f"\n{title}")
        say_facts([(key, setting_words(value)) for key, value in values.items()], indent="  ")


def _say_recipe(card: Card, row: Row | None) -> None:
    """Print the recipe; of weights whose row states no changes, it is the card's."""
    changes = recipe_changes(row)
    values = recipe_of(card, row) if card.recipe or changes else {}
    usual, changed = recipe_keys(card), {key.partition(".")[0] for key in changes}
    if values:
        say("\nRecipe" if row is None or changes else "\nRecipe of the card")
        words = {key: _beside_card(key, value, usual, changed) for key, value in values.items()}
        # of the card's author: `command` would read as the command of these weights
        say_facts([("example" if key in FACTS else key, said) for key, said in words.items()], indent="  ")


def _beside_card(key: str, value: Any, usual: Mapping[str, Any], changed: Collection[str]) -> str:
    words = setting_words(value)
    if key not in changed:
        return words
    return f"{words or 'none'} (card: {setting_words(usual[key]) or 'none'})" if key in usual else words


def _say_weights(card: Card, row: Row | None) -> None:
    say("\nWeights")
    if row is None:
        own = f"; genzoo train {card.name} trains your own; genzoo sample runs/{card.name} uses them"
        say_wrapped(f"none are published{own if card.recipe else ''}", "  ")
        return
    pairs = [
        ("Data", row.data),
        ("Terms", row.terms),
        ("Trained", row.trained),
        ("Started from", "; ".join(row.lineage)),
        ("Licence", row.licence or "no licence stated"),
    ]
    pairs += [("Size", f"{human_size(row.bytes)} ({row.bytes:,} bytes)"), ("sha256", row.sha256)]
    say_facts([*pairs, *(("Source", source) for source in row.sources)], indent="  ")
