"""Golden outputs: the same weights pass, changed ones and malformed records do not."""

from __future__ import annotations

import copy
import json

import pytest
import torch
import toys
from toys import Bernoulli, Coder, ToyConfig

from genzoo.errors import WeightsError
from genzoo.models import golden

MODELS = {"gan": toys.gan, "bernoulli": lambda: Bernoulli(ToyConfig()), "coder": lambda: Coder(ToyConfig())}


@pytest.mark.parametrize("kind", MODELS)
def test_the_same_weights_agree_through_json(kind):
    net = MODELS[kind]()
    told = json.loads(json.dumps(golden.record(net)))
    assert "agree within 0 grey levels" in golden.compare(net, told, kind)


def test_every_kind_has_something_to_compare():
    keys = {kind: sorted(set(golden.record(make())) - {"n", "seed"}) for kind, make in MODELS.items()}
    assert keys == {"gan": ["samples"], "bernoulli": ["log_prob", "samples"], "coder": ["decoded"]}


@pytest.mark.parametrize("kind", MODELS)
def test_a_noticeable_change_is_refused_with_its_size(kind):
    net = MODELS[kind]()
    told = golden.record(net)
    with torch.no_grad():
        next(reversed(list(net.parameters() if kind != "gan" else net.generator.parameters()))).add_(0.3)
    with pytest.raises(
        WeightsError, match=rf"{kind}: this machine's outputs differ from the author's by \d+ grey levels"
    ):
        golden.compare(net, told, kind)


def test_rounding_of_another_processor_passes():
    net = toys.gan()
    told = golden.record(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1 + 1e-4)
    assert "agree" in golden.compare(net, told, "gan")


@pytest.mark.parametrize(
    ("factor", "agrees"), [(1 + 1e-4, True), (1.01, False), (0.99, False), (float("nan"), False)]
)
def test_likelihoods_count_where_the_pictures_are_the_same(monkeypatch, factor, agrees):
    net = Bernoulli(ToyConfig())
    told = golden.record(net)
    log_prob = Bernoulli._log_prob
    monkeypatch.setattr(Bernoulli, "_log_prob", lambda self, x: log_prob(self, x) * factor)
    if agrees:
        assert "of log p" in golden.compare(net, told, "coin")
    else:
        with pytest.raises(WeightsError, match="differ from the author's by 0 grey levels and"):
            golden.compare(net, told, "coin")


BAD = [
    None,
    [],
    3,
    "x",
    {},
    [[]],
    [[1, 2]],
    [None, None],
    [["a"] * 64] * 2,
    [[None] * 64] * 2,
    [[[1]] * 64] * 2,
    [[float("nan")] * 64] * 2,
    [[float("inf")] * 64] * 2,
    [[10**400] * 64] * 2,
    [[0] * 64],
    [[0] * 64] * 3,
    [[0] * 63] * 2,
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_malformed_records_are_refused(bad):
    with pytest.raises(WeightsError, match="gan: the weights file holds no golden outputs 'samples'"):
        golden.compare(toys.gan(), {"samples": bad}, "gan")


@pytest.mark.parametrize(
    "bad",
    [None, [], 3, "xx", [0.0], [0.0] * 3, ["a", "b"], [None, None], [float("nan")] * 2, {"a": 1, "b": 2}],
    ids=range(10),
)
def test_malformed_likelihoods_are_refused(bad):
    net = Bernoulli(ToyConfig())
    told = copy.deepcopy(golden.record(net))
    told["log_prob"] = bad
    with pytest.raises(WeightsError, match="no golden outputs 'log_prob'"):
        golden.compare(net, told, "coin")


def test_nothing_recorded_is_not_taken_for_agreement():
    with pytest.raises(WeightsError):
        golden.compare(toys.gan(), {}, "gan")


def test_a_difference_of_one_level_is_said_in_the_singular(monkeypatch):
    net = toys.gan()
    told = golden.record(net)
    monkeypatch.setattr(golden, "_distance", lambda *args: 1)
    assert golden.compare(net, told, "gan") == "golden outputs agree within 1 grey level"
