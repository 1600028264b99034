"""Laws of a plugin: it loads, and everything that its hooks name exists."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from genzoo.card import fold
from genzoo.errors import PluginError, suggest
from genzoo.files import find_resource
from genzoo.isolation import import_target
from genzoo.ledger import load_ledgers
from genzoo.registry import PluginReport, Provided, installed
from genzoo.testing.law import LawError, hold

_INSTALLED = "a plugin is installed and can be loaded"


def check_plugin(plugin: str) -> None:
    """Check the installed distribution `plugin`: it loads, and everything that its hooks name exists.

    Commands, metrics and trackers are imported. No data set is opened.

    Raises:
        LawError: the first law that is broken.
    """
    owner = report_of(plugin).distribution
    known = installed()
    for name, command in _theirs(known.commands, owner):
        where = f"genzoo_commands of {owner}"
        found = _import(command, f"the command {name!r}", where)
        hold(
            isinstance(found, click.Command),
            "a command is a click command",
            f"{command} is a {type(found).__name__}",
            where,
        )
    for name, metric in _theirs(known.metrics, owner):
        where = f"genzoo_metrics of {owner}"
        measure = _import(metric, f"the metric {name!r}", where)
        _takes(measure, 2, "a metric takes the drawn images and the held-out ones", metric, where)
    for name, tracker in _theirs(known.trackers, owner):
        where = f"genzoo_trackers of {owner}"
        made = _import(tracker, f"the tracker {name!r}", where)
        _takes(made, 1, "a tracker is made for one run", tracker, where)
    for name, opened in _theirs(known.datasets, owner):
        _takes(opened, 1, "a data set is opened by its split", name, f"genzoo_datasets of {owner}")
    for resource, _ in _theirs(known.ledgers, owner):
        where = f"genzoo_ledgers of {owner}, and the files that its wheel holds"
        hold(
            find_resource(resource) is not None,
            "a ledger is a file of the plugin's package",
            f"no {resource}",
            where,
        )
        problems = [
            problem
            for problem in load_ledgers(plugins=known.ledgers, extra=()).problems
            if resource in problem
        ]
        hold(not problems, "a ledger can be read", "; ".join(problems), resource)


def report_of(plugin: str) -> PluginReport:
    """Return the row of `genzoo plugins` of the distribution (or entry point) `plugin`.

    Raises:
        LawError: there is none, or it could not be loaded; the message says why.
    """
    reports = installed().reports
    mine = [report for report in reports if fold(plugin) in (fold(report.distribution), fold(report.name))]
    names = [report.distribution for report in reports]
    hold(
        mine,
        _INSTALLED,
        f"no plugin is called {plugin!r}{suggest(plugin, names)}",
        "pip install -e . in its folder, then genzoo plugins",
    )
    for report in mine:
        hold(
            report.loaded,
            _INSTALLED,
            report.reason,
            f"the entry points of {plugin} and the module that they name",
        )
    return mine[0]


def _theirs(table: Mapping[str, Provided[Any]], owner: str) -> Iterator[tuple[str, Any]]:
    for name, provided in table.items():
        if fold(provided.plugin) == fold(owner):
            yield name, provided.value


def _import(target: str, what: str, where: str) -> Any:
    try:
        return import_target(target, f"{what}, {target},")
    except PluginError as error:
        raise LawError("what a hook names can be imported", error.message, where) from error


def _takes(function: Callable[..., Any], count: int, law: str, name: str, where: str) -> None:
    """Check that `function` accepts `count` positional arguments."""
    hold(callable(function), law, f"{name} is a {type(function).__name__}", where)
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError as error:
        raise LawError(law, f"{name}: {error}", where) from error
    except ValueError:  # a function written in C may have no signature
        return
