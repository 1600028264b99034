"""`laws`, which makes the tests of a plugin: an ordinary parametrised test, which also runs where pytest
loads no plugins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from genzoo.card import Card, fold
from genzoo.registry import installed
from genzoo.testing.law import LawError, hold
from genzoo.testing.plugin import check_plugin, report_of


def laws(plugin: str, *names: str, **config: Any) -> Callable[[Callable[[], None]], None]:
    """Return a parametrised test that checks a plugin and each of its models against all laws that apply.

        from genzoo.testing import laws

        test_laws = laws("genzoo-blobs")

    Args:
        plugin: the distribution, as pip knows it; it must be installed (`pip install -e .`).
        names: the models to check; by default all.
        config: keys of every model's config to keep as given, for example `image_shape=(1, 8, 8)`; all others
            are reduced.
    """
    import pytest

    asked = [pytest.param(law, id=name) for name, law in _asked(plugin, names, config)]

    @pytest.mark.parametrize("law", asked)
    def test_law(law: Callable[[], None]) -> None:
        __tracebackhide__ = True
        law()

    return test_law


def _asked(
    plugin: str, names: tuple[str, ...], config: dict[str, Any]
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield (name, law) for the plugin and each of its models; for a plugin that cannot be loaded, one law
    that says why.
    """
    yield f"{plugin}-plugin", partial(_check_plugin, plugin, names)
    cards = _cards(plugin, names)
    if not cards:
        return
    from genzoo.testing.whole import laws_of  # torch loads here

    for card in cards:
        yield from ((f"{card.name}-{law.name}", law) for law in laws_of(card, **config))


def _check_plugin(plugin: str, names: tuple[str, ...]) -> None:
    check_plugin(plugin)
    brought = report_of(plugin).cards
    absent = [name for name in names if name not in brought]
    hold(
        not absent,
        "the models named in laws(...) belong to the plugin",
        f"no {', '.join(absent)}",
        f"its cards: {', '.join(brought)}",
    )


def _cards(plugin: str, names: tuple[str, ...]) -> list[Card]:
    try:
        owner = report_of(plugin).distribution
    except LawError:
        return []
    return [
        card
        for card in installed().cards.values()
        if fold(card.plugin) == fold(owner) and (not names or card.name in names)
    ]
