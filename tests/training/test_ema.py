"""Averaged weights follow weights and buffers."""

from __future__ import annotations

import pytest
import torch
import toys

from genzoo.training.ema import EMA
from genzoo.training.players import Player, players


def nudge(module, by):
    with torch.no_grad():
        for tensor in (*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())):
            tensor.add_(by)


@pytest.fixture
def game():
    net = toys.gan()
    return net, players(net, toys.RECIPE)


def test_weights_and_buffers_follow_with_a_decay_that_grows(game):
    net, playing = game
    averages = EMA(playing, 0.9)
    expected = {}
    for n in range(40):
        nudge(net.generator, 0.01)
        averages.update(playing)
        weight = 1 - min(0.9, (1 + n) / (10 + n))
        for key, value in net.generator.state_dict().items():
            if value.is_floating_point():
                expected[key] = value.clone() if n == 0 else expected[key].lerp(value, weight)
    average = averages.modules["generator"].module.state_dict()
    assert "1.running_mean" in expected
    for key, value in expected.items():
        torch.testing.assert_close(average[key], value, rtol=1e-5, atol=1e-6)
        assert not torch.equal(average[key], net.generator.state_dict()[key])


def test_only_players_that_ask_and_only_where_the_recipe_wants_it(game):
    _, playing = game
    assert list(EMA(playing, 0.5).modules) == ["generator"]
    assert not EMA(playing, 0.0).modules


def test_the_finished_model_is_a_settled_copy(game):
    net, playing = game
    net.train()
    averages = EMA(playing, 0.99)
    averages.update(playing)
    nudge(net.generator, 0.5)
    averages.update(playing)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    finished = averages.finished(net, playing, feed=None)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items()) and net.training
    assert not finished.training
    state = finished.state_dict()
    average = averages.modules["generator"].module.state_dict()
    assert torch.equal(state["generator.0.weight"], average["0.weight"])
    assert torch.equal(state["discriminator.0.weight"], before["discriminator.0.weight"])
    # estimated anew for the average
    assert not torch.equal(state["generator.1.running_mean"], average["1.running_mean"])
    with torch.no_grad():
        finished.generator[0].weight.zero_()
    assert net.generator[0].weight.abs().sum() > 0


def test_without_averages_the_weights_themselves_are_finished(game):
    net, playing = game
    settled = []
    watching = [
        Player(name=p.name, module=p.module, loss=p.loss, finish=lambda model, feed: settled.append(model))
        for p in playing
    ]
    finished = EMA(watching, 0.0).finished(net, watching, feed=None)
    assert settled == [finished, finished]
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in finished.state_dict().items())
