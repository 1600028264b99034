"""What the core asks of a plugin: six hooks, the marks for them, and the check of what a plugin answers.

A plugin is a module (or an object) that an entry point of the group `genzoo` names:

    [project.entry-points.genzoo]
    mine = "my_package.plugin"

with the version of the interface and one required function, and nothing that imports torch at its top:

    genzoo_api = 2

    @genzoo.hookimpl
    def genzoo_cards():
        return [genzoo.Card(name="mine", family=genzoo.Family.IMPLICIT, model="my_package.net:Mine")]

An implementation may take fewer arguments than its specification, so a later genzoo can offer more without
breaking it. A plugin says with `genzoo_api = 2` for which version of this interface it was made; one that
says nothing was made for version 1. A version that this genzoo does not know is refused, and the error holds
what its author must change.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import pluggy

from genzoo.card import Card, check_name, fold
from genzoo.errors import OutdatedPluginError, PluginError, suggest

T = TypeVar("T")

API_VERSION = 2  # raised when the hooks, or the classes that plugins subclass, change under them
OLDEST_API = 2  # the oldest version that plugins may still be made for
UNSTATED_API = 1  # that of a plugin without genzoo_api
# version -> what a plugin of the version before must change, one line each
CHANGES: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        2: (
            "a player's loss takes (batch, rng): images are batch.images, classes are batch.labels",
            "a GAN subclasses AdversarialModel: ImplicitModel has neither a latent z nor a discriminator",
            "the adversarial options of a Recipe go into Recipe(game=Adversarial(...))",
            "_encode returns a tensor or Posterior(mean, log_var)",
            "Recipe keys are renamed: rate -> lr, batch -> batch_size, cooldown -> lr_decay, "
            "penalty -> gp_weight, clip -> weight_clip, held_out -> val_split, storage -> save_dtype",
            "genzoo.evaluation.Record is genzoo.record.Record",
            "the plugin says genzoo_api = 2",
        )
    }
)
MOST_ITEMS = 10_000  # per hook: a generator that never ends must not eat the memory

hookspec = pluggy.HookspecMarker("genzoo")
hookimpl = pluggy.HookimplMarker("genzoo")

_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_LEDGER = re.compile(r"[A-Za-z_]\w*(/\w[\w.-]*)*/\w[\w.-]*\.toml", re.ASCII)


# These bodies are never called: each shows what an absent hook stands for.


@hookspec
def genzoo_cards() -> Iterable[Card]:
    """Return the plugin's models. The one required hook."""
    return ()


@hookspec
def genzoo_datasets() -> Mapping[str, Callable[..., Any]]:
    """Return data sets: name -> function that takes `split` ("train" or "test") and returns what
    `genzoo.data` understands.
    """
    return {}


@hookspec
def genzoo_ledgers() -> Iterable[str]:
    """Return further zoo.toml files as resources of the plugin's package: `"package/folder/zoo.toml"`."""
    return ()


@hookspec
def genzoo_commands() -> Mapping[str, str]:
    """Return commands of `genzoo`: name -> `"module:attribute"` of a click command, imported only when it is
    used.
    """
    return {}


@hookspec
def genzoo_metrics() -> Mapping[str, str]:
    """Return scores for `genzoo eval`: name -> `"module:function"`, imported only when it is used."""
    return {}


@hookspec
def genzoo_trackers() -> Mapping[str, str]:
    """Return trackers for `genzoo train --track`: name -> `"module:function"`, imported only when it is
    used.
    """
    return {}


HOOKS = (
    "genzoo_cards",
    "genzoo_datasets",
    "genzoo_ledgers",
    "genzoo_commands",
    "genzoo_metrics",
    "genzoo_trackers",
)
# What pluggy searches for marks, once for each plugin: these six, not every name of this module.
_SPECS = type("_SPECS", (), {name: globals()[name] for name in HOOKS})


class Offer(NamedTuple):
    """What one plugin answers, checked in itself; the registry decides whether it gets the names."""

    hooks: tuple[str, ...]
    cards: Mapping[str, Card]
    datasets: Mapping[str, Callable[..., Any]]
    ledgers: Mapping[str, str]  # resource -> the same resource
    commands: Mapping[str, str]
    metrics: Mapping[str, str]
    trackers: Mapping[str, str]


def read_plugin(plugin: object) -> Offer:
    """Call every hook of `plugin` and return its checked answers.

    Raises:
        OutdatedPluginError: an older interface, with what to change.
        PluginError: an interface from the future, an unknown, unmarked or missing hook, a wrong signature or
            answer, a name that breaks rule R5 or comes twice. Whatever the plugin's own code raises comes
            through as it is.
    """
    _check_api(plugin)
    manager = _register(plugin)
    return Offer(
        hooks=tuple(name for name in HOOKS if getattr(manager.hook, name).get_hookimpls()),
        cards=_unique("genzoo_cards", _cards(manager)),
        datasets=_table(manager, "genzoo_datasets", callable, "a function that takes 'split'"),
        ledgers=_unique("genzoo_ledgers", _ledgers(manager)),
        commands=_table(manager, "genzoo_commands", _is_target, "a text 'module:attribute'"),
        metrics=_table(manager, "genzoo_metrics", _is_target, "a text 'module:function'"),
        trackers=_table(manager, "genzoo_trackers", _is_target, "a text 'module:function'"),
    )


def _check_api(plugin: object) -> None:
    if isinstance(plugin, type):
        raise PluginError(f"its entry point names the class {plugin.__name__}", "name a module or an object")
    made_for = getattr(plugin, "genzoo_api", UNSTATED_API)
    if not isinstance(made_for, int) or isinstance(made_for, bool) or made_for < 1:
        raise PluginError(
            f"genzoo_api must be a whole number from 1 to {API_VERSION}, not {made_for!r}",
            f"write genzoo_api = {API_VERSION}",
        )
    if made_for > API_VERSION:
        raise PluginError(
            f"it was made for plugin interface {made_for}, and this genzoo knows {API_VERSION}",
            "pip install --upgrade genzoo",
        )
    if made_for < OLDEST_API:
        raise outdated(made_for)


def outdated(made_for: int, fault: str = "") -> OutdatedPluginError:
    """Return the error for a plugin of interface `made_for`, which is older than `OLDEST_API`; `fault` is
    what ended its import, if anything did.
    """
    seen = f" (its import ends with {fault})" if fault else ""
    return OutdatedPluginError(
        f"it was made for plugin interface {made_for}, and this genzoo needs {OLDEST_API} or later{seen}",
        "upgrade it, or run genzoo plugins to see what its author must change",
        [line for version in sorted(CHANGES) if version > made_for for line in CHANGES[version]],
    )


def _register(plugin: object) -> pluggy.PluginManager:
    """Return a manager that knows this plugin alone, so that no plugin can reach into another's hooks."""
    manager = pluggy.PluginManager("genzoo")
    manager.add_hookspecs(_SPECS)
    try:
        manager.register(plugin)
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"a hook has a wrong signature: {str(error).partition('hookimpl definition: ')[2] or error}"
        ) from error
    for name, hook in sorted(vars(manager.hook).items()):
        if name in HOOKS or all(impl.optionalhook for impl in hook.get_hookimpls()):
            continue
        raise PluginError(
            f"genzoo has no hook {name!r}{suggest(name, HOOKS)}", f"known hooks: {', '.join(HOOKS)}"
        )
    for name in HOOKS:
        if not getattr(manager.hook, name).get_hookimpls() and inspect.isroutine(getattr(plugin, name, None)):
            raise PluginError(f"{name} lacks its mark", f"write @genzoo.hookimpl above 'def {name}()'")
    if not manager.hook.genzoo_cards.get_hookimpls():
        raise PluginError("it has no hook genzoo_cards", "write @genzoo.hookimpl above 'def genzoo_cards()'")
    return manager


def _answers(manager: pluggy.PluginManager, hook: str, expected: str) -> list[Any]:
    """Return what the implementations of `hook` answer; there may be several in one plugin (pluggy's
    `specname`).
    """
    caller = getattr(manager.hook, hook)
    answers: list[Any] = caller()
    if caller.get_hookimpls() and not answers:  # pluggy leaves None out
        raise PluginError(f"{hook} must return {expected}, not None")
    for answer in answers:
        if inspect.iscoroutine(answer):
            answer.close()  # or Python complains about it later, far from here
            raise PluginError(f"{hook} is asynchronous", f"write 'def {hook}()' without async")
    return answers


def _items(manager: pluggy.PluginManager, hook: str, expected: str) -> Iterator[Any]:
    """Yield the items of a hook that answers with a list."""
    for answer in _answers(manager, hook, expected):
        if isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
            raise PluginError(f"{hook} must return {expected}, not {answer!r}")
        yield from answer


def _cards(manager: pluggy.PluginManager) -> Iterator[tuple[str, Card]]:
    for card in _items(manager, "genzoo_cards", "a list of genzoo.Card"):
        if not isinstance(card, Card):
            raise PluginError(
                f"genzoo_cards must return a list of genzoo.Card, and it holds a {type(card).__name__}: "
                f"{card!r}"
            )
        yield check_name(card.name), card


def _ledgers(manager: pluggy.PluginManager) -> Iterator[tuple[str, str]]:
    for resource in _items(manager, "genzoo_ledgers", "a list of resources"):
        if not isinstance(resource, str) or not _LEDGER.fullmatch(resource):
            raise PluginError(
                f"genzoo_ledgers must name resources such as 'package/zoo.toml', not {resource!r}"
            )
        yield resource, resource


def _table(
    manager: pluggy.PluginManager, hook: str, accepts: Callable[[object], bool], expected: str
) -> Mapping[str, Any]:
    """Return the answer of a hook that gives a mapping of names to values that `accepts` takes."""
    pairs: list[tuple[str, Any]] = []
    for answer in _answers(manager, hook, "a mapping of names"):
        if not isinstance(answer, Mapping):
            raise PluginError(f"{hook} must return a mapping of names, not {answer!r}")
        pairs += itertools.islice(answer.items(), MOST_ITEMS + 1)
    for name, value in pairs:
        check_name(name, f"{hook}: the name")
        if not accepts(value):
            raise PluginError(f"{hook}: {name!r} must be {expected}, not {value!r}")
    return _unique(hook, pairs)


def _unique(hook: str, pairs: Iterable[tuple[str, T]]) -> Mapping[str, T]:
    """Return `pairs` as a mapping; two names that fold to the same are refused."""
    found: dict[str, tuple[str, T]] = {}
    for name, value in pairs:
        if fold(name) in found:
            raise PluginError(
                f"{hook} gives the name {name!r} after {found[fold(name)][0]!r}: names must differ in "
                "more than signs"
            )
        if len(found) >= MOST_ITEMS:
            raise PluginError(f"{hook} gives more than {MOST_ITEMS} names")
        found[fold(name)] = (name, value)
    return MappingProxyType(dict(found.values()))


def _is_target(value: object) -> bool:
    return isinstance(value, str) and _TARGET.fullmatch(value) is not None
