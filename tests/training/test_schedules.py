"""Schedules of the learning rate, weight decay and the largest norm of gradients: values computed by hand,
and runs that are resumed."""

from __future__ import annotations

import math

import pytest
import torch
import toys
from torch import nn

from genzoo.errors import ArgumentError, TrainingError
from genzoo.recipe import Recipe, keys_of
from genzoo.synonyms import meant
from genzoo.training.loop import play
from genzoo.training.optimisers import clip, decay
from genzoo.training.terms import fingerprint

HALF = math.sqrt(0.5)


def factors(**keys):
    recipe = Recipe(**keys)
    return [recipe.warmth(step) for step in range(recipe.steps)]


class TestFactors:
    @pytest.mark.parametrize(
        ("keys", "expected"),
        [
            ({"schedule": "cosine", "lr_decay": 1, "steps": 4}, [1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2]),
            ({"schedule": "cosine", "lr_decay": 0.5, "steps": 4}, [1, 1, 1, 0.5]),
            ({"schedule": "linear", "lr_decay": 0.5, "steps": 4}, [1, 1, 1, 0.5]),
            ({"schedule": "linear", "lr_decay": 1, "steps": 4}, [1, 0.75, 0.5, 0.25]),
            ({"schedule": "constant", "lr_decay": 0.5, "steps": 4}, [1, 1, 1, 1]),
            ({"lr_warmup": 4, "steps": 6}, [0.25, 0.5, 0.75, 1, 1, 1]),
            ({"lr_warmup": 2, "lr_decay": 1, "steps": 4}, [0.5, 0.75, 0.5, 0.25]),
            ({"lr_warmup": 10, "steps": 3}, [0.1, 0.2, 0.3]),
            ({"steps": 3}, [1, 1, 1]),
        ],
    )
    def test_they_are_those_computed_by_hand(self, keys, expected):
        assert factors(**keys) == pytest.approx(expected, abs=1e-12)

    def test_the_defaults_give_the_very_numbers_of_before(self):
        """`min(1, (steps - step) / (steps · lr_decay))`, bit for bit: a published recipe keeps its bits."""
        recipe = Recipe(steps=997, lr_decay=0.3)
        left = recipe.steps - recipe.steps * (1 - recipe.lr_decay)
        assert factors(steps=997, lr_decay=0.3) == [min(1.0, (997 - step) / left) for step in range(997)]

    def test_a_cosine_without_a_fall_is_refused(self):
        with pytest.raises(ArgumentError, match=r"schedule=cosine .*lr_decay, which is 0 — set lr_decay=1"):
            Recipe(schedule="cosine")

    def test_only_a_fall_binds_a_run_to_its_number_of_steps(self):
        assert Recipe(steps=10, lr_warmup=5).bound_from == math.inf
        assert Recipe(steps=10, lr_decay=0.5, schedule="constant").bound_from == math.inf
        assert Recipe(steps=10, lr_decay=0.5, schedule="cosine").bound_from == 5


class TestClip:
    def test_all_gradients_are_scaled_together(self):
        weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))]
        weights[0].grad, weights[1].grad = torch.tensor([0.0, 3.0]), torch.tensor([4.0])
        clip(weights, 1.0)
        assert torch.allclose(torch.cat([w.grad for w in weights]), torch.tensor([0.0, 0.6, 0.8]), atol=1e-5)

    @pytest.mark.parametrize("largest", [0.0, 6.0])
    def test_smaller_ones_and_no_limit_leave_their_bits(self, largest):
        weight = nn.Parameter(torch.zeros(2))
        weight.grad = torch.tensor([0.3, 5.1])
        clip([weight], largest)
        assert torch.equal(weight.grad, torch.tensor([0.3, 5.1]))


class TestDecay:
    def test_matrices_shrink_and_biases_stay(self):
        net = nn.Linear(3, 2)
        before = {name: value.detach().clone() for name, value in net.named_parameters()}
        net(torch.ones(1, 3)).sum().backward()
        decay(list(net.parameters()), 0.1)
        assert torch.allclose(net.weight, 0.9 * before["weight"]) and torch.equal(net.bias, before["bias"])

    def test_weights_without_a_gradient_stay(self):
        net = nn.Linear(3, 2)
        before = net.weight.detach().clone()
        decay(list(net.parameters()), 0.1)
        assert torch.equal(net.weight, before)

    def test_it_is_that_of_adamw(self, start):
        """Against torch's own AdamW, which decays before it steps, with the same rate."""
        run = start(steps=3, weight_decay=0.5, lr={"all": 0.01}, lr_decay=1)
        twin = {name: value.detach().clone() for name, value in run.model.named_parameters()}
        run.play_round()
        player = run.players[0]
        name, weight = next((n, p) for n, p in run.model.named_parameters() if p is next(
            q for q in player.module.parameters() if q.ndim > 1))  # fmt: skip
        copy = nn.Parameter(twin[name])
        copy.grad = weight.grad.clone()
        torch.optim.AdamW([copy], lr=0.01, betas=run.recipe.betas, weight_decay=0.5).step()
        assert torch.allclose(copy, weight, atol=1e-7) and not torch.equal(weight, twin[name])


KEYS = {"schedule": "cosine", "lr_decay": 1, "lr_warmup": 3, "weight_decay": 0.1, "max_grad_norm": 0.05}


def finished(run, stop=None):
    play(run, lambda losses: None, lambda: None, (lambda: run.step == stop) if stop else lambda: False)
    return list(run.model.state_dict().values())


class TestRuns:
    @pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
    def test_a_resumed_run_ends_in_the_same_bits(self, start, tmp_path, optimizer):
        keys = {**KEYS, "optimizer": {"all": optimizer}, "steps": 6}
        whole = finished(start(toys.gan(width=8), tmp_path / "a", **keys))
        finished(start(toys.gan(width=8), tmp_path / "b", **keys), stop=4)
        rest = start(toys.gan(width=8), tmp_path / "b", **keys)
        rest.resume()
        assert rest.step == 4
        assert all(torch.equal(a, b) for a, b in zip(whole, finished(rest), strict=True))

    @pytest.mark.parametrize("key", ["lr_warmup", "weight_decay", "max_grad_norm"])
    def test_each_key_changes_the_run(self, start, tmp_path, key):
        plain = finished(start(folder=tmp_path / "a", steps=2))
        keyed = finished(start(folder=tmp_path / "b", steps=2, **{key: KEYS[key]}))
        assert not all(torch.equal(a, b) for a, b in zip(plain, keyed, strict=True))

    def test_another_value_is_another_run(self, start):
        finished(start(steps=2), stop=1)
        with pytest.raises(TrainingError, match=r"weight_decay was 0\.0, is 0\.1"):
            start(steps=2, weight_decay=0.1).resume()

    def test_a_checkpoint_of_before_the_keys_goes_on(self):
        usual = fingerprint(Recipe())
        assert (usual["schedule"], usual["lr_warmup"]) == ("linear", 0)
        assert (usual["weight_decay"], usual["max_grad_norm"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("grad_clip", "max_grad_norm"),
        ("clip_grad_norm", "max_grad_norm"),
        ("gradient-clip-val", "max_grad_norm"),
        ("wd", "weight_decay"),
        ("scheduler", "schedule"),
        ("lr_scheduler", "schedule"),
        ("warmup_steps", "lr_warmup"),
    ],
)
def test_the_words_of_other_libraries_are_answered(word, key):
    assert meant(word, keys_of(Recipe())) == key
