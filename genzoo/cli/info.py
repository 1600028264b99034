"""`genzoo info`: all that is known of one model, without loading it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from genzoo.card import Card
from genzoo.cli.listing import score_words
from genzoo.cli.options import command, find, json_option, name_argument
from genzoo.cli.output import human_size, say, say_facts, say_json
from genzoo.errors import safe_text
from genzoo.ledger import Row
from genzoo.recipe import keys_of
from genzoo.record import Record


@command("info")
@name_argument
@json_option
def info_command(name: str, as_json: bool) -> None:
    """Show what is known about a model.

    That is its paper, config, recipe, data, licence, sha256, and its scores with their protocol.
    """
    card, row = find(name)
    if as_json:
        say_json(facts(card, row))
        return
    say_facts(_about(card))
    _say_settings("Config", dict(card.config))
    _say_settings("Recipe", recipe_keys(card))
    _say_weights(card, row)


def facts(card: Card, row: Row | None) -> dict[str, Any]:
    """Return the card and the ledger's row as one JSON object; what is not published is null."""
    published: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(Row))
    if row is not None:
        published = {**dataclasses.asdict(row), "scores": [score.as_dict() for score in row.scores]}
    about = {
        "name": card.name,
        "family": card.family.value,
        "plugin": card.plugin,
        "model": card.model,
        "summary": card.summary,
        "paper": card.paper,
        "config": _plain(card.config),
        "recipe": _plain(recipe_keys(card)) if card.recipe else None,
        "weights": row is not None,
    }
    kept = ("sha256", "bytes", "sources", "licence", "data", "terms", "trained")
    return {
        **about,
        **{key: _plain(published[key]) for key in kept},
        "scores": [_plain(score) for score in published["scores"] or ()],
    }


def recipe_keys(card: Card) -> dict[str, Any]:
    """Return every key of a card's recipe and of its game's options, in their order."""
    return keys_of(card.recipe, card.game) if card.recipe else {}


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
    if isinstance(value, float) and value not in (float("inf"), float("-inf")) and value == value:
        return value
    return value if value is None or isinstance(value, (str, int)) else safe_text(value)


def _about(card: Card) -> list[tuple[str, object]]:
    return [
        ("Name", card.name),
        ("Family", f"{card.family.value}: {card.family.words}"),
        ("Summary", card.summary),
        ("Paper", card.paper),
        ("Plugin", card.plugin),
        ("Class", card.model),
    ]


def _say_settings(title: str, values: Mapping[str, Any]) -> None:
    if values:
        say(f"\n{title}")
        say_facts([(key, setting_words(value)) for key, value in values.items()], indent="  ")


def _say_weights(card: Card, row: Row | None) -> None:
    say("\nWeights")
    if row is None:
        own = f"; genzoo train {card.name} makes some, and GENZOO_ZOO=runs/{card.name} lets them be found"
        trained = f"none are published{own if card.recipe else ''}"
        say(f"  {trained}")
        return
    pairs = [
        ("Data", row.data),
        ("Terms", row.terms),
        ("Trained", row.trained),
        ("Licence", row.licence or "no licence stated"),
    ]
    pairs += [("Size", f"{human_size(row.bytes)} ({row.bytes:,} bytes)"), ("sha256", row.sha256)]
    say_facts([*pairs, *(("Source", source) for source in row.sources)], indent="  ")
    if row.scores:
        say("\nScores")
        for score in row.scores:
            say(f"  {_score_line(score)}")


def _score_line(score: Record) -> str:
    count = (f"n = {score.n:,}" if score.n else "") + (f" in {score.blocks:,} blocks" if score.blocks else "")
    what = ", ".join(
        filter(None, (score.kind, score.subject, score.data, score.split, score.transform, count))
    )
    return safe_text(
        f"{score_words(score)}  ({what})" + (f"; {score.protocol}" if score.protocol else ""), 1000
    )
