"""The command `genzoo explore`: every installed model in the browser. Nothing here imports torch or a
server.
"""

from __future__ import annotations

from collections.abc import Mapping

from genzoo import Card, hookimpl

genzoo_api = 2


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return no models: this package shows those of others."""
    return []


@hookimpl
def genzoo_commands() -> Mapping[str, str]:
    """Return the command: `genzoo explore`."""
    return {"explore": "genzoo_explorer.command:explore_command"}
