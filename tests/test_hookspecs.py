"""What the core asks of a plugin: each hook, its signature, and the versions of them all."""

import inspect
from types import SimpleNamespace

import pytest

from genzoo import Card, Family, hookimpl, hookspecs
from genzoo.errors import OutdatedPluginError, PluginError
from genzoo.hookspecs import API_VERSION, HOOKS, OLDEST_API, read_plugin

# The signatures of each version, for ever. Does one have to change? Then raise API_VERSION, add the new lines
# here, and say in CHANGES what authors must do; an argument more is no change, since implementations may
# leave it out.
_FIRST = (
    "def genzoo_cards() -> Iterable[Card]:",
    "def genzoo_datasets() -> Mapping[str, Callable[..., Any]]:",
    "def genzoo_ledgers() -> Iterable[str]:",
    "def genzoo_commands() -> Mapping[str, str]:",
    "def genzoo_metrics() -> Mapping[str, str]:",
)
SPECIFICATIONS = {1: _FIRST, 2: (*_FIRST, "def genzoo_trackers() -> Mapping[str, str]:")}
CARD = Card(name="mine", family=Family.IMPLICIT, model="nowhere:Net")


def plugin(genzoo_api=API_VERSION, **answers):
    """Return a plugin whose hooks answer with these values; with None it says nothing of its interface."""
    hooks = {
        f"genzoo_{name}": hookimpl(lambda answer=answer: answer, specname=f"genzoo_{name}")
        for name, answer in answers.items()
    }
    return SimpleNamespace(**hooks, **({} if genzoo_api is None else {"genzoo_api": genzoo_api}))


def test_the_signatures_are_those_of_their_version():
    lines = tuple(
        f"def {name}{inspect.signature(getattr(hookspecs, name))}:".replace("'", "") for name in HOOKS
    )
    assert lines == SPECIFICATIONS[API_VERSION]


def test_every_change_since_the_oldest_version_is_told():
    assert set(hookspecs.CHANGES) == set(range(2, API_VERSION + 1)) and 1 <= OLDEST_API <= API_VERSION
    assert set(SPECIFICATIONS) == set(range(1, API_VERSION + 1))


def test_a_plugin_of_this_version_is_read():
    assert list(read_plugin(plugin(API_VERSION, cards=[CARD])).cards) == ["mine"]


@pytest.mark.parametrize("made_for", [None, 1])
def test_one_of_interface_1_is_refused_with_each_line_that_it_must_change(made_for):
    with pytest.raises(OutdatedPluginError) as caught:
        read_plugin(plugin(made_for, cards=[CARD]))
    assert str(caught.value) == (
        "it was made for plugin interface 1, and this genzoo needs 2 or later — upgrade it, or run genzoo "
        "plugins to see what its author must change"
    )
    assert caught.value.changes == hookspecs.CHANGES[2]
    told = " ".join(caught.value.changes)
    for word in (
        "(batch, rng)",
        "AdversarialModel",
        "Adversarial(",
        "Posterior(",
        "-> lr,",
        "genzoo_api = 2",
    ):
        assert word in told
    assert all(line.isprintable() and len(line) <= 200 for line in caught.value.changes)


@pytest.fixture
def third(monkeypatch):
    """A genzoo of the future, whose interface has changed twice and which knows the last two."""
    monkeypatch.setattr(hookspecs, "API_VERSION", 3)
    monkeypatch.setattr(hookspecs, "OLDEST_API", 2)
    monkeypatch.setattr(
        hookspecs, "CHANGES", {2: ("cards know the device", "none is empty"), 3: ("ledgers may be absolute",)}
    )


@pytest.mark.parametrize("made_for", [2, 3])
def test_versions_that_are_known_are_read(third, made_for):
    assert list(read_plugin(plugin(made_for, cards=[CARD])).cards) == ["mine"]


@pytest.mark.parametrize("made_for", [None, 1])
def test_an_older_one_is_refused_with_what_to_change(third, made_for):
    with pytest.raises(OutdatedPluginError, match="plugin interface 1, and this genzoo needs 2 or") as caught:
        read_plugin(plugin(made_for, cards=[CARD]))
    assert caught.value.changes == ("cards know the device", "none is empty", "ledgers may be absolute")


def test_a_newer_one_is_refused_with_what_to_type():
    with pytest.raises(
        PluginError,
        match=f"plugin interface {API_VERSION + 1}, .*knows {API_VERSION} — pip install --upgrade genzoo",
    ):
        read_plugin(plugin(API_VERSION + 1, cards=[CARD]))


@pytest.mark.parametrize("made_for", [0, -1, True, 1.0, "1"])
def test_no_version_at_all_is_refused(made_for):
    with pytest.raises(PluginError, match="genzoo_api must be a whole number from 1"):
        read_plugin(plugin(made_for, cards=[CARD]))


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("cards", [CARD]),
        ("datasets", {"rings": len}),
        ("ledgers", ["mine/zoo.toml"]),
        ("commands", {"rings": "mine.cli:rings"}),
        ("metrics", {"ink": "mine.ink:ink"}),
    ],
)
def test_each_hook_is_read(hook, answer):
    offer = read_plugin(plugin(**{"cards": (), hook: answer}))
    found = getattr(offer, hook)
    assert len(found) == 1
    assert list(found.values()) == (list(answer.values()) if isinstance(answer, dict) else answer)
    assert f"genzoo_{hook}" in offer.hooks


def test_all_hooks_but_that_of_cards_may_be_absent():
    offer = read_plugin(plugin(cards=()))
    assert offer.hooks == ("genzoo_cards",)
    assert not any(getattr(offer, hook.removeprefix("genzoo_")) for hook in HOOKS)
