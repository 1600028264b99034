"""Registry: every installed card, and a reason for every plugin that is not among them.

Each plugin is loaded alone, all or nothing, official and third-party ones alike. A broken one costs the
others nothing: it becomes one line on stderr and a row in `genzoo plugins` (rule R7). Nothing is registered
at import time; `installed()` looks once per process.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TextIO, TypeVar

from genzoo import metrics
from genzoo.card import Card, Family, fold
from genzoo.discovery import Plugin, discover
from genzoo.errors import (
    ArgumentError,
    OutdatedPluginError,
    PluginError,
    UnknownNameError,
    safe_text,
    suggest,
)
from genzoo.hookspecs import Offer
from genzoo.loading import TIMEOUT, load, one_at_a_time, verdicts
from genzoo.names import CORE_COMMANDS, CORE_DATASETS, OFFICIAL, TRACKERS, to_install
from genzoo.probing import CHILD
from genzoo.show import tell

T = TypeVar("T")

_OWNERS = {
    **{("cards", fold(name)): owner for owner, names in OFFICIAL.items() for name in names},
    **{("datasets", fold(name)): "genzoo" for name in CORE_DATASETS},
    **{("commands", fold(name)): "genzoo" for name in CORE_COMMANDS},
    **{("metrics", fold(name)): "genzoo" for name in metrics.NAMES},
    **{("trackers", fold(name)): "genzoo" for name in TRACKERS},
}
_told: set[str] = set()
_KINDS = ("cards", "datasets", "ledgers", "commands", "metrics", "trackers")


class PluginReport(NamedTuple):
    """One row of `genzoo plugins`: what a plugin gave, or in one safe line why it gave nothing."""

    name: str
    distribution: str
    version: str
    loaded: bool
    reason: str = ""
    cards: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()  # what its author must change where it was made for an older interface
    wanted: bool = True  # False: left out by GENZOO_PLUGINS, which is not a fault

    @property
    def broken(self) -> bool:
        """Return whether to warn about it: it was wanted and could not be loaded."""
        return self.wanted and not self.loaded


@dataclass(frozen=True)
class Provided(Generic[T]):
    """A value and the distribution that brought it."""

    value: T
    plugin: str


@dataclass(frozen=True)
class Registry:
    """What the installed plugins give; never changes after loading.

    Attributes:
        cards: by name, official ones first, then in the order of the taxonomy and by name; `card.plugin` is
            its distribution.
        reports: one row per plugin, in the order of loading.
        datasets: name -> function that takes `split`.
        ledgers: resource "package/zoo.toml" -> itself; `.plugin` says whose models it may speak of.
        commands, metrics, trackers: name -> "module:attribute", not imported yet.
    """

    cards: Mapping[str, Card]
    reports: tuple[PluginReport, ...]
    datasets: Mapping[str, Provided[Callable[..., Any]]]
    ledgers: Mapping[str, Provided[str]]
    commands: Mapping[str, Provided[str]]
    metrics: Mapping[str, Provided[str]]
    trackers: Mapping[str, Provided[str]]

    def find(self, name: str) -> Card:
        """Return the card called `name`.

        Raises:
            ArgumentError: `name` is not a text.
            UnknownNameError: no plugin has it; the message holds the nearest name, or the plugin that would
                bring it.
        """
        if not isinstance(name, str):
            raise ArgumentError(
                f"a model's name must be a text, not {name!r}", "genzoo list shows every name"
            )
        if name in self.cards:
            return self.cards[name]
        same = next((card for card in self.cards if fold(card) == fold(name)), None)
        if same is None and ("cards", fold(name)) in _OWNERS:
            raise self._absent(name, _OWNERS["cards", fold(name)])
        near = f"; did you mean {same!r}?" if same else suggest(name, self.cards)
        raise UnknownNameError(f"no model is called {name!r}{near}", "genzoo list shows every name")

    def _absent(self, name: str, owner: str) -> UnknownNameError:
        """Return the error for an official model whose plugin is not there, or not well."""
        rows = [report for report in self.reports if fold(report.distribution) == owner]
        if not rows:
            return UnknownNameError(
                f"the model {name!r} comes with {owner}, which is not installed", to_install(owner)
            )
        reason = next(
            (report.reason for report in rows if not report.loaded),
            f"version {rows[0].version} does not have it",
        )
        return UnknownNameError(
            f"the model {name!r} comes with {owner}, and there: {reason}", "genzoo plugins"
        )


@functools.cache
def installed() -> Registry:
    """Return the registry of this environment, loaded once per process (`installed.cache_clear()` forgets
    it).

    `GENZOO_PLUGINS` chooses: unset = all, empty = none, else a comma-separated list of plugins or
    distributions. `GENZOO_PLUGIN_TIMEOUT` is the time in seconds that each may take, 0 = any.

    Raises:
        ArgumentError: GENZOO_PLUGIN_TIMEOUT is not a number of seconds.
        PluginError: a plugin calls this while plugins are being loaded.
    """
    return _look()


def look_again() -> Registry:
    """Return the registry of this environment, with another chance for plugins that hung when they were last
    loaded.
    """
    installed.cache_clear()
    return _look(again=True)


def _look(again: bool = False) -> Registry:
    if os.environ.get(CHILD):
        raise PluginError(
            "a plugin asks for the models while it is being loaded", "move that call into a function"
        )
    chosen = os.environ.get("GENZOO_PLUGINS")
    allowed = None if chosen is None else [word.strip() for word in chosen.split(",") if word.strip()]
    again = again or "GENZOO_PLUGIN_TIMEOUT" in os.environ  # who gives more time wants it tried
    return load_registry(discover(), allowed, _timeout(), again=again)


def _timeout() -> float:
    text = os.environ.get("GENZOO_PLUGIN_TIMEOUT") or str(TIMEOUT)
    try:
        seconds = float(text) if text.isascii() else math.nan
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 86_400:
        raise ArgumentError(
            f"GENZOO_PLUGIN_TIMEOUT must be a number of seconds up to 86400, not {text!r}",
            "0 means no deadline",
        )
    return seconds


def load_registry(
    entry_points: Iterable[Any],
    allowed: Collection[str] | None = None,
    timeout: float = TIMEOUT,
    *,
    again: bool = False,
) -> Registry:
    """Load plugins from `entry_points` (anything with `name`, `value`, `dist` and `load()`), each alone.

    `allowed` names the entry points or distributions to load, None = all; an unknown name in it becomes a
    row. The order of `entry_points` does not matter: official distributions come first, then by distribution
    and name, and the first keeps a name. Installed plugins that were not seen before are loaded in a child
    process first, see `genzoo.probing`; `again` asks those that hung once more.
    """
    with one_at_a_time():
        shelf = _Shelf()
        plugins = sorted(map(Plugin.of, entry_points), key=_turn)
        seen = verdicts([plugin for plugin in plugins if _wanted(plugin, allowed)], timeout, again)
        for plugin in plugins:
            shelf.take(plugin, allowed, timeout, seen)
        return shelf.registry(allowed or ())


def _wanted(plugin: Plugin, allowed: Collection[str] | None) -> bool:
    return allowed is None or bool({fold(plugin.name), fold(plugin.distribution)} & set(map(fold, allowed)))


def warn_broken(registry: Registry, stream: TextIO | None = None) -> None:
    """Print one line on stderr (or `stream`) for each broken plugin, each line once per process; under
    torchrun only rank 0 prints.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    for report in registry.reports:
        origin = f" ({report.distribution} {report.version})" if report.distribution else ""
        line = safe_text(f"genzoo: plugin {report.name!r}{origin} is left out: {report.reason}", 800)
        if report.broken and line not in _told:
            _told.add(line)
            tell(line, stream)


@dataclass
class _Shelf:
    """The registry while it is being filled: who has which name, and the offers that were taken."""

    owners: dict[tuple[str, str], tuple[str, Plugin]] = field(default_factory=dict)
    offers: list[tuple[Plugin, Offer]] = field(default_factory=list)
    reports: list[PluginReport] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def take(
        self, plugin: Plugin, allowed: Collection[str] | None, timeout: float, seen: Mapping[Plugin, str]
    ) -> None:
        """Load `plugin` and give it its names, all or none, and write down how it went."""
        self.seen |= {plugin.name, plugin.distribution}
        if not _wanted(plugin, allowed):
            self.reports.append(
                _report(plugin, loaded=False, reason="left out by GENZOO_PLUGINS", wanted=False)
            )
            return
        try:
            if seen.get(plugin):
                raise PluginError(seen[plugin])
            offer = load(plugin, timeout)
            self._claim(plugin, offer)
        except PluginError as error:
            changes = error.changes if isinstance(error, OutdatedPluginError) else ()
            self.reports.append(_report(plugin, loaded=False, reason=safe_text(error, 600), changes=changes))
            return
        self.offers.append((plugin, offer))
        self.reports.append(_report(plugin, loaded=True, cards=tuple(offer.cards), hooks=offer.hooks))

    def _claim(self, plugin: Plugin, offer: Offer) -> None:
        names = {(kind, fold(name)): name for kind in _KINDS for name in getattr(offer, kind)}
        for key, name in names.items():
            what = key[0].removesuffix("s")
            if _OWNERS.get(key, fold(plugin.distribution)) != fold(plugin.distribution):
                raise PluginError(
                    f"it claims the {what} {name!r}, a name of {_OWNERS[key]}",
                    "its author must choose another name",
                )
            if key in self.owners:
                other, holder = self.owners[key]
                taken = f"it claims the {what} {name!r}, and {holder.distribution} has {other!r}"
                raise PluginError(taken, "uninstall one, or choose with GENZOO_PLUGINS")
        self.owners.update({key: (name, plugin) for key, name in names.items()})

    def registry(self, allowed: Iterable[str]) -> Registry:
        for word in allowed:
            if fold(word) not in set(map(fold, self.seen)):
                reason = (
                    f"GENZOO_PLUGINS asks for it, and no such plugin is installed{suggest(word, self.seen)}"
                )
                self.reports.append(
                    PluginReport(safe_text(word, 100), "", "", loaded=False, reason=safe_text(reason))
                )
        owned = (
            (plugin.distribution, card) for plugin, offer in self.offers for card in offer.cards.values()
        )
        cards = sorted((card.replace(plugin=owner, has_weights=False) for owner, card in owned), key=_place)
        tables = {kind: MappingProxyType(dict(self._provided(kind))) for kind in _KINDS if kind != "cards"}
        return Registry(
            cards=MappingProxyType({card.name: card for card in cards}), reports=tuple(self.reports), **tables
        )

    def _provided(self, kind: str) -> Iterator[tuple[str, Provided[Any]]]:
        for plugin, offer in self.offers:
            for name, value in getattr(offer, kind).items():
                yield name, Provided(value, plugin.distribution)


def _report(plugin: Plugin, **facts: Any) -> PluginReport:
    name, distribution, version = (
        safe_text(text, 100) for text in (plugin.name, plugin.distribution, plugin.version)
    )
    return PluginReport(name, distribution, version, **facts)


def _turn(plugin: Plugin) -> tuple[bool, str, str, str]:
    """Return the place of `plugin` in the order of loading."""
    return fold(plugin.distribution) not in OFFICIAL, fold(plugin.distribution), plugin.name, plugin.value


def _place(card: Card) -> tuple[bool, int, str]:
    return ("cards", fold(card.name)) not in _OWNERS, list(Family).index(card.family), card.name
