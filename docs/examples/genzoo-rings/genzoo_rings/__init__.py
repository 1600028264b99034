"""A data set, a metric, a tracker and a command for genzoo. Nothing here imports torch, NumPy or click before
it is wanted."""

from collections.abc import Callable, Mapping
from typing import Any

from genzoo import Card, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return no models: this package has none."""
    return []


@hookimpl
def genzoo_datasets() -> Mapping[str, Callable[..., Any]]:
    """Return the data set: `genzoo train dcgan --data rings`."""
    return {"rings": open_rings}


@hookimpl
def genzoo_metrics() -> Mapping[str, str]:
    """Return the metric: `genzoo eval NAME --metrics ink`."""
    return {"ink": "genzoo_rings.ink:ink"}


@hookimpl
def genzoo_trackers() -> Mapping[str, str]:
    """Return the tracker: `genzoo train NAME --track table`."""
    return {"table": "genzoo_rings.table:table"}


@hookimpl
def genzoo_commands() -> Mapping[str, str]:
    """Return the command: `genzoo rings`."""
    return {"rings": "genzoo_rings.command:rings_command"}


def open_rings(split: str) -> Any:
    """Return the images of a split, (N, 16, 16) uint8."""
    from genzoo_rings.data import rings

    return rings(split)
