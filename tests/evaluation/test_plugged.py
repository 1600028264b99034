"""Metrics that plugins bring."""

import sys
import types

import pytest
import torch

from genzoo import hookimpl, registry
from genzoo.data import Images
from genzoo.errors import ArgumentError, PluginError, UnknownNameError
from genzoo.evaluation import METRICS, sample_quality
from genzoo.evaluation.plugged import ask, every_metric
from genzoo.metrics import NAMES

DARK, LIGHT = torch.zeros(8, 1, 8, 8, dtype=torch.uint8), torch.full((8, 1, 8, 8), 255, dtype=torch.uint8)
DARK[0, 0, 0, 0] = LIGHT[0, 0, 0, 0] = 51


@pytest.fixture
def metric(monkeypatch):
    """metric(function): a plugin whose metric `ink` it is."""
    module = types.ModuleType("a_metric_of_the_tests")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def bring(function, name="ink"):
        module.ink = function
        plugin = types.SimpleNamespace(
            genzoo_api=2,
            genzoo_cards=hookimpl(lambda: [*()], specname="genzoo_cards"),
            genzoo_metrics=hookimpl(lambda: {name: "a_metric_of_the_tests:ink"}, specname="genzoo_metrics"),
        )
        about = types.SimpleNamespace(name="genzoo-ink", version="1.0")
        entry = types.SimpleNamespace(
            name="ink", value="ink", group="genzoo", dist=about, load=lambda: plugin
        )
        monkeypatch.setattr(registry, "discover", lambda: [entry])
        registry.installed.cache_clear()

    yield bring
    registry.installed.cache_clear()


def ink(samples, test):
    return abs(samples.mean() - test.mean())


def records(metrics):
    sets = {
        name: Images(pixels=pixels.numpy(), name="made")
        for name, pixels in (("train", LIGHT), ("test", LIGHT))
    }
    return sample_quality(DARK, **sets, subject="mine", metrics=metrics)


def test_it_is_measured_beside_the_floor_when_it_is_asked_for(metric):
    metric(ink)
    drawn, floor = records(["ink"])
    assert (drawn.metric, drawn.subject, drawn.n, drawn.kind, drawn.better) == (
        "ink",
        "mine",
        8,
        "sample",
        "lower",
    )
    assert drawn.value == pytest.approx(511 / 512) and floor.value == 0
    assert "seed 0" in drawn.protocol
    assert tuple(every_metric()) == (*METRICS, "ink")


def test_it_is_given_numbers_between_0_and_1(metric):
    seen = []
    metric(lambda samples, test: seen.extend([samples, test]) or 0.0)
    ask(every_metric()["ink"], DARK, LIGHT)
    assert [tensor.dtype for tensor in seen] == [torch.float32, torch.float32]
    assert [float(tensor.max()) for tensor in seen] == [pytest.approx(0.2), 1.0]


def test_it_is_not_imported_before_it_is_asked_for(metric, monkeypatch):
    metric(ink)
    monkeypatch.delitem(sys.modules, "a_metric_of_the_tests")
    assert all(record.metric != "ink" for record in records(["swd"]))
    with pytest.raises(
        PluginError, match="the metric 'ink' of genzoo-ink cannot be loaded: ModuleNotFoundError"
    ):
        records(["ink"])


def test_it_may_say_more_than_a_number(metric):
    metric(
        lambda samples, test: {
            "value": 3,
            "stderr": 0.5,
            "unit": "px",
            "better": "higher",
            "protocol": "by hand",
        }
    )
    record, _ = records(["ink"])
    assert (record.value, record.stderr, record.unit, record.better) == (3.0, 0.5, "px", "higher")
    assert record.protocol.startswith("by hand; seed")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("many", "cannot be read: could not convert string"),
        (None, "cannot be read"),
        ({"stderr": 1.0}, "cannot be read: .*value"),
        ({"value": 1.0, "colour": "red"}, "cannot be read: 'colour' is not one of value, stderr"),
        (torch.ones(3), "cannot be read"),
    ],
)
def test_other_answers_are_refused(metric, answer, words):
    metric(lambda samples, test: answer)
    with pytest.raises(PluginError, match=f"the metric 'ink' of genzoo-ink {words}"):
        ask(every_metric()["ink"], DARK, LIGHT)


def test_what_it_raises_is_one_line(metric):
    metric(lambda samples, test: 1 / 0)
    with pytest.raises(PluginError, match="genzoo-ink failed: ZeroDivisionError"):
        ask(every_metric()["ink"], DARK, LIGHT)

    def refuse(samples, test):
        raise ArgumentError("too few", "give more")

    metric(refuse)
    with pytest.raises(ArgumentError, match="the metric 'ink' of genzoo-ink: too few — give more"):
        ask(every_metric()["ink"], DARK, LIGHT)


def test_infinity_is_no_measurement(metric):
    metric(lambda samples, test: float("inf"))
    with pytest.raises(ArgumentError, match=r"ink is inf ± .*not a measurement"):
        records(["ink"])


def test_the_names_of_the_core_are_its_own(metric):
    for name in NAMES:
        metric(ink, name=name)
        assert f"claims the metric {name!r}, a name of genzoo" in registry.installed().reports[0].reason


def test_an_unknown_one_is_told_with_the_nearest(metric):
    metric(ink)
    with pytest.raises(UnknownNameError, match="unknown metric 'ikn'; did you mean 'ink'"):
        records(["ikn"])
