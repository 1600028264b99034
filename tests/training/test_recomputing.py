"""`recompute=true`: activations are computed a second time, and nothing else changes."""

from __future__ import annotations

import contextlib
import copy
import random
import weakref

import alike
import pytest
import torch
import toys
from torch import nn
from torch.nn import functional

import genzoo
from genzoo.errors import ArgumentError, TrainingError
from genzoo.rng import BatchRng, generator
from genzoo.training import adversarial, loop, recomputing
from genzoo.training.parallel import World


@pytest.mark.parametrize("case", [case for case in alike.QUICK if case not in ("again", "pixels")])
def test_the_game_ends_with_the_same_bits(case, tmp_path):
    """Weights, statistics (each batch counted once), averages and memories of games with dropout, drawn
    noise, penalties, spectral norm and what else there is."""
    plain = alike.played(case, World(), tmp_path / "plain")
    again = alike.played(case, World(), tmp_path / "again", recompute=True)
    assert plain.keys() == again.keys()
    assert [key for key in plain if not torch.equal(plain[key], again[key])] == []


def test_the_layers_of_a_pixel_model_have_the_same_gradients(tmp_path):
    """They compute by torch's layers then, which round in another order."""
    found = []
    for again in (False, True):
        run = alike.started("pixels", World(), tmp_path, recompute=again)
        (player,) = run.players
        run._gradients(player, generator(1), run.feed(0))
        run.calls.check(True)
        found.append(torch.cat([p.grad.flatten() for p in player.learning]))
    assert 0 < (found[0] - found[1]).norm() <= 1e-6 * found[0].norm()


@pytest.mark.parametrize("case", ["relativistic", "wgan-gp", "wgan-gp-resnet", "odd-groups"])
def test_a_penalty_whose_activations_are_not_kept_is_the_same(case, tmp_path, monkeypatch):
    """A loss of somebody else's does not say that it has gradients in it."""
    plain = alike.played(case, World(), tmp_path / "plain")
    monkeypatch.setattr(adversarial, "keeping_activations", contextlib.nullcontext)
    monkeypatch.setattr("genzoo_progressive.game.keeping_activations", contextlib.nullcontext)
    again = alike.played(case, World(), tmp_path / "again", recompute=True)
    assert alike.distance(plain, again) <= 1e-6


def alive(run, monkeypatch):
    """Return for each turn how many of the hidden maps of D and G are in memory before the backward pass."""
    seen, counts = [], []
    for net in (run.model.discriminator, run.model.generator):
        net[2].register_forward_hook(lambda layer, inputs, output: seen.append(weakref.ref(output)))

    def backward(loss, parameters):
        counts.append(sum(ref() is not None for ref in seen))
        recomputing.backward(loss, parameters)

    monkeypatch.setattr(loop, "backward", backward)
    run.play_round()
    return counts


def test_no_activation_waits_for_the_backward_pass(start, tmp_path, monkeypatch):
    nets = toys.gan(dropout=0.0)
    assert alive(start(copy.deepcopy(nets)), monkeypatch) == [3, 2]  # real, fake, G; and fake, G
    assert alive(start(nets, tmp_path / "again", recompute=True), monkeypatch) == [0, 0]


def test_a_penalty_keeps_its_own(start, tmp_path, monkeypatch):
    nets = toys.gan(norm=False, dropout=0.0)
    game = {"objective": "wasserstein", "gp_weight": 10.0}
    assert alive(start(copy.deepcopy(nets), **game), monkeypatch) == [4, 2]
    assert alive(start(nets, tmp_path / "again", recompute=True, **game), monkeypatch) == [1, 0]


class OneNet(toys.Bernoulli):
    """A model whose loss calls one network, once."""

    def __init__(self, config):
        super().__init__(config)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 1))

    def _log_prob(self, x):
        return super()._log_prob(x) + self.net(x).flatten()


def scan():
    return genzoo.create("pixelrnn-row", image_shape=(1, 8, 8), layers=2, width=4)


@pytest.mark.parametrize("made", [toys.Bernoulli, OneNet, scan])
def test_a_game_that_gains_nothing_is_refused(start, made):
    model = made() if made is scan else made(toys.ToyConfig(image_shape=(1, 8, 8)))
    with pytest.raises(ArgumentError, match="recompute=true saves no memory in this game") as caught:
        start(model, recompute=True).play_round()
    assert "recompute=false" in caught.value.hint and str(caught.value).isprintable()


def test_compiled_nets_are_not_computed_again(start):
    with pytest.raises(ArgumentError, match="compile=on and recompute=true exclude each other"):
        start(toys.gan(), recompute=True, compile="on")


class Fickle(nn.Module):
    """A layer that draws where torch does not see it."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(1, 1)
        self.coins = random.Random(5)

    def forward(self, x):
        return functional.dropout(x, 0.5) if self.coins.random() < 0.5 else x.exp().log().exp().log()


def test_a_net_that_computes_something_else_is_one_line(start):
    model = toys.gan(dropout=0.0)
    model.discriminator.append(Fickle())
    run = start(model, recompute=True)
    with pytest.raises(TrainingError, match="networks that compute the same twice") as caught:
        for _ in range(20):
            run.play_round()
    assert str(caught.value).isprintable()


def test_weights_that_change_in_between_are_one_line():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with torch.enable_grad():
        made = recomputing.Recomputed([])._call(net, torch.ones(1, 2))
        with torch.no_grad():
            net[0].weight.add_(1)
        with pytest.raises(TrainingError, match="weights of a network have changed"):
            recomputing.backward(made.sum(), list(net.parameters()))


def test_noise_that_is_an_argument_is_drawn_once():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Linear(3, 3)

        def forward(self, x, rng, other):
            return self.scale(x) * rng.normal(3) * torch.rand(2, 3, generator=other)

    net, ends = Noisy(), []
    for call in (net, lambda *given: recomputing.Recomputed([])._call(net, *given)):
        rng, other = (torch.Generator().manual_seed(seed) for seed in (1, 2))
        made = call(torch.ones(2, 3), BatchRng(2, rng), other).square().sum()
        first = torch.rand(2, generator=rng)  # drawn by others before the backward pass
        net.zero_grad()
        recomputing.backward(made, list(net.parameters()))
        drawn = torch.rand(2, generator=rng), torch.rand(2, generator=other)
        ends.append([made.detach(), first, *drawn, *(p.grad.clone() for p in net.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_run_is_resumed_with_it(start, tmp_path):
    """What a run without it has begun, another that has less memory ends, with the same bits."""
    ends = []
    for name, later in (("plain", False), ("again", True)):
        model = toys.gan()
        model.load_state_dict(ends[0]) if ends else ends.append(copy.deepcopy(model.state_dict()))
        begun = start(model, tmp_path / name)
        begun.play_round()
        begun.save()
        run = start(toys.gan(), tmp_path / name, recompute=later)
        assert run.resume() == ""
        run.play_round()
        ends.append(alike.tensors_of(run))
    assert all(torch.equal(ends[1][key], ends[2][key]) for key in ends[1])


def test_a_copy_calls_its_own_weights(start):
    run = start(toys.gan(norm=False, dropout=0.0), recompute=True)
    copied, z = copy.deepcopy(run.model), torch.rand(2, 4)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.zero_()
    assert run.model._decode(z).std() == 0 < copied._decode(z).std()
