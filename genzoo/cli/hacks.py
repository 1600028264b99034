"""`genzoo hacks`: the seventeen hacks of "How to Train a GAN?" as switches, and which of them a model
uses.
"""

from __future__ import annotations

from typing import Any

import click

from genzoo.card import Card, Family
from genzoo.cli.options import command, complete_name, find, json_option
from genzoo.cli.output import note, say_json, say_table
from genzoo.errors import ArgumentError
from genzoo.hacks import HACKS, SOURCE, Hack


@command("hacks")
@click.argument("name", required=False, shell_complete=complete_name)
@json_option
def hacks_command(name: str | None, as_json: bool) -> None:
    """List the hacks of "How to Train a GAN?" and their switches.

    With NAME, also show which of them are on in the recipe and config of that model. Pass a switch with
    --set: genzoo train NAME --set KEY=VALUE.
    """
    card = _adversarial(name) if name is not None else None
    if as_json:
        say_json([entry(hack, card) for hack in HACKS])
        return
    header = ["NO", "NAME", *(["STATE"] if card else []), "SWITCH", "DEFAULT", "WHAT IT DOES"]
    say_table(header, [line(hack, card) for hack in HACKS])
    note(
        f"from {SOURCE}; card: chosen with the model; always: built into genzoo; absent: not implemented, "
        "with the reason"
    )


def entry(hack: Hack, card: Card | None) -> dict[str, Any]:
    """Return what JSON says of a hack; `on` is null where no model is named, and where nothing can switch
    it.
    """
    state = hack.state(card.recipe, card.stated) if card else None
    known = ("number", "name", "words", "where", "key", "default", "source")
    facts = {key: getattr(hack, key) for key in known}
    return {
        **facts,
        "example": hack.switch,
        "state": state,
        "on": {"on": True, "off": False, "always": True}.get(state or ""),
    }


def line(hack: Hack, card: Card | None) -> list[str]:
    """Return what the table says of a hack."""
    state = [hack.state(card.recipe, card.stated)] if card else []
    switch = f"{hack.key}={hack.on}" if hack.key else f"({hack.where})"
    return [str(hack.number), hack.name, *state, switch, hack.default or "-", hack.words]


def _adversarial(name: str) -> Card:
    card = find(name).card
    # The family of the card, not its class: torch is not loaded for a table.
    if card.family is not Family.IMPLICIT:
        raise ArgumentError(
            f"{card.name!r} is not trained adversarially, and the hacks are for models that are",
            "adversarial models: genzoo list --family implicit",
        )
    return card
