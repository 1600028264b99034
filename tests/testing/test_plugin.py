"""Laws of a plugin: whatever its hooks name must be there."""

import sys
import types

import click
import pytest

from genzoo import hookimpl, registry
from genzoo.testing import LawError, check_plugin


@pytest.fixture
def brought(monkeypatch):
    """brought(**hooks): the only installed plugin answers `genzoo_<hook>` with these values; `made` is a
    module of the plugin's."""
    module = types.ModuleType("made_by_the_tests")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.command = click.Command("greet")
    module.metric = lambda samples, test: 0.0

    def bring(**hooks):
        answers = {"cards": [], **hooks}
        plugin = types.SimpleNamespace(
            genzoo_api=2,
            **{f"genzoo_{k}": hookimpl(lambda v=v: v, specname=f"genzoo_{k}") for k, v in answers.items()},
        )
        about = types.SimpleNamespace(name="genzoo-made", version="1.0")
        entry = types.SimpleNamespace(
            name="made", value="made", group="genzoo", dist=about, load=lambda: plugin
        )
        monkeypatch.setattr(registry, "discover", lambda: [entry])
        registry.installed.cache_clear()

    yield bring
    registry.installed.cache_clear()


def test_everything_that_is_there_passes(brought):
    brought(
        commands={"greet": "made_by_the_tests:command"},
        metrics={"zero": "made_by_the_tests:metric"},
        datasets={"none": lambda split: None, "any": lambda *args: None},
    )
    check_plugin("genzoo-made")
    check_plugin("made")


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (
            {"commands": {"greet": "made_by_the_tests:absent"}},
            "'greet', made_by_the_tests:absent, cannot be loaded.*genzoo_commands",
        ),
        (
            {"commands": {"greet": "no_such_module_anywhere:command"}},
            "No module named.*genzoo_commands of genzoo-made",
        ),
        (
            {"commands": {"greet": "made_by_the_tests:metric"}},
            "a command is a click command; seen: .* is a function",
        ),
        (
            {"metrics": {"zero": "made_by_the_tests:absent"}},
            "the metric 'zero', .*cannot be loaded.*genzoo_metrics",
        ),
        ({"metrics": {"zero": "sys:path"}}, "a metric takes .*is a list"),
        ({"trackers": {"book": "made_by_the_tests:absent"}}, "'book', .*cannot be loaded.*genzoo_trackers"),
        ({"trackers": {"book": "os:getcwd"}}, "a tracker is made for one run.*too many positional"),
        ({"metrics": {"zero": "os:getcwd"}}, "a metric takes .*too many positional arguments"),
        (
            {"datasets": {"none": lambda: None}},
            "a data set is opened by its split; seen: none: too many positional",
        ),
        ({"datasets": {"none": lambda split, more: None}}, "missing a required argument: 'more'"),
        ({"ledgers": ["genzoo/absent.toml"]}, "no genzoo/absent.toml.*wheel"),
        ({"ledgers": ["genzoo_odd/zoo.toml"]}, "a ledger can be read; seen: .*genzoo_odd/zoo.toml"),
    ],
)
def test_what_is_missing_is_named(brought, tmp_path, monkeypatch, hooks, words):
    (tmp_path / "genzoo_odd").mkdir()
    (tmp_path / "genzoo_odd" / "__init__.py").touch()
    (tmp_path / "genzoo_odd" / "zoo.toml").write_text("[mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    brought(**hooks)
    with pytest.raises(LawError, match=words):
        check_plugin("genzoo-made")


def test_a_plugin_that_is_left_out_says_why(brought, monkeypatch):
    brought(commands={"pull": "made_by_the_tests:command"})
    with pytest.raises(LawError, match="claims the command 'pull'"):
        check_plugin("genzoo-made")
    monkeypatch.setenv("GENZOO_PLUGINS", "")
    brought()
    with pytest.raises(LawError, match="left out by GENZOO_PLUGINS"):
        check_plugin("genzoo-made")
