"""Bounds by importance weights: prefixes of the same draws, their error, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
import toys

from genzoo import Family
from genzoo.errors import ArgumentError, CardError


class Coins(toys.Coins):
    """Coins that remember how they were asked."""

    def __init__(self, config=None):
        super().__init__(config or toys.ToyConfig(image_shape=(1, 1, 2)))
        self.calls, self.graph = [], []

    def log_p(self, x):
        """Return log p(x) by quadrature over z."""
        z = torch.linspace(-8, 8, 4001, dtype=torch.float64)[:, None].expand(-1, len(x))
        with torch.no_grad(), self.evaluating():
            values = self.log_likelihood(x.double(), z) - 0.5 * z**2 - 0.5 * math.log(2 * math.pi)
        return values.logsumexp(0) + math.log(16 / 4000)

    def _log_weights(self, x, k, seed):
        self.calls.append((len(x), k, seed))
        self.graph.append(torch.is_grad_enabled())
        yield from super()._log_weights(x, k, seed)


EVERY = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]).view(4, 1, 1, 2).float()


@pytest.fixture
def model():
    return Coins().eval()


def weights(model, x, k, seed=0):
    with torch.no_grad():
        return torch.cat(list(model._log_weights(x, k, seed))).double()


def test_it_is_a_bound_and_says_so(model):
    assert model.exact is False and Coins.family is Family.APPROXIMATE


def test_the_bound_is_the_mean_of_the_weights_in_logarithms(model):
    for k in (1, 2, 5, 107, 108, 250):
        log_w = weights(model, EVERY, k)
        assert log_w.shape == (k, 4)
        found = model.iwae(EVERY, k)
        torch.testing.assert_close(found.bound.double(), log_w.exp().mean(0).log(), rtol=0, atol=1e-6)
        if k > 1:
            w = log_w.exp()
            torch.testing.assert_close(
                found.stderr.double(), w.std(0, correction=0) / w.mean(0) / k**0.5, rtol=1e-4, atol=1e-6
            )
        assert found.stderr.isnan().all() == (k == 1)  # one draw knows nothing of its spread


def test_all_bounds_cost_one_pass_and_are_those_of_each_alone(model):
    ks = (50, 1, 7, 300, 7)
    together = model.iwae_bounds(EVERY, ks)
    assert model.calls == [(4, 300, 0)]
    for k, found in zip(ks, together, strict=True):
        alone = model.iwae(EVERY, k)
        assert torch.equal(found.bound, alone.bound) and (k == 1 or torch.equal(found.stderr, alone.stderr))


def test_bounds_grow_with_k_and_stay_below_log_p(model):
    true = model.log_p(EVERY)
    assert float(true.exp().sum()) == pytest.approx(1, abs=1e-6)
    runs = [model.iwae_bounds(EVERY, (1, 4, 32), seed) for seed in range(400)]
    means = [float(torch.stack([run[i].bound for run in runs]).mean()) for i in range(3)]
    assert means == sorted(means) and means[1] - means[0] > 0.1
    assert means[2] < float(true.mean()) + 0.01
    found = model.iwae(EVERY, 20_000)
    assert ((found.bound - true).abs() < 5 * found.stderr).all()


def test_draws_belong_to_the_image_and_the_seed(model):
    many = EVERY.repeat(10, 1, 1, 1)
    torch.testing.assert_close(model.iwae(many, 20).bound, model.iwae(EVERY, 20).bound.repeat(10))
    assert not torch.equal(model.iwae(EVERY, 20, seed=1).bound, model.iwae(EVERY, 20, seed=2).bound)


def test_images_are_weighed_a_few_at_a_time_without_a_graph(model):
    model.iwae(EVERY.repeat(10, 1, 1, 1), 2)
    assert [n for n, _, _ in model.calls] == [16, 16, 8] and not any(model.graph)


def test_the_mode_a_model_was_left_in_changes_nothing(model):
    model.train()
    assert torch.equal(model.iwae(EVERY, 20).bound, Coins().eval().iwae(EVERY, 20).bound)
    assert model.training


def test_weights_that_underflow_are_no_trouble(model):
    log_w = torch.tensor([-4000.0, -4001.0, -5000.0])[:, None]
    model._log_weights = lambda x, k, seed: iter([log_w])
    found = model.iwae(EVERY[:1], 3)
    assert float(found.bound) == pytest.approx(-4000 + math.log((1 + math.exp(-1)) / 3), abs=1e-3)
    assert torch.isfinite(found.stderr).all()


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "many", None])
def test_a_wrong_k(model, k):
    with pytest.raises(ArgumentError, match=r"k must be a whole number of at least 1, not .*k=1 is one draw"):
        model.iwae(EVERY, k)
    assert model.calls == []


@pytest.mark.parametrize("ks", [(), 5, "50", None])
def test_wrong_ks(model, ks):
    with pytest.raises(ArgumentError, match="ks must be a list of numbers of draws"):
        model.iwae_bounds(EVERY, ks)


def test_too_few_weights_are_the_model_s_fault(model):
    model._log_weights = lambda x, k, seed: iter([torch.zeros(2, len(x))])
    with pytest.raises(ArgumentError, match="yielded 2 draws instead of 3"):
        model.iwae(EVERY, 3)


def test_the_public_methods_are_final():
    with pytest.raises(CardError, match=r"overrides the public method iwae\(\)"):
        type("Own", (Coins,), {"iwae": lambda self, x: x})
