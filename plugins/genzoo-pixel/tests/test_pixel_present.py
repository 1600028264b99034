"""Likelihoods and samples are those of the network as it is: hooks are called, pruned and normed weights are
the present ones."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.utils import parametrizations, prune

import genzoo

INSIDE = {
    "pixelcnn": lambda model: [model.stem, model.blocks[0].down, model.blocks[0].mix],
    "gated-pixelcnn": lambda model: [model.gated[0].horizontal, model.gated[1].vertical, model.gated[1].link],
    "pixelrnn-row": lambda model: [model.stem, model.recurrent[0].inputs, model.recurrent[0].up],
    "pixelrnn-diagonal": lambda model: [
        model.recurrent[0].inputs,
        model.recurrent[0].image,
        model.recurrent[1].up,
    ],
}


@pytest.fixture(params=INSIDE)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return genzoo.create(name, seed=1, image_shape=(3, 4, 3), head="softmax", levels=4, layers=2, width=6)


@pytest.fixture
def x():
    return torch.randint(0, 4, (3, 3, 4, 3), generator=torch.Generator().manual_seed(0)) / 3


def test_hooks_are_called_and_change_nothing_by_themselves(name, model, x):
    told, images = model.log_prob(x), model.sample(2, seed=0)
    for part in INSIDE[name](model):
        seen = []
        hook = part.register_forward_hook(lambda layer, inputs, output, seen=seen: seen.append(layer))
        torch.testing.assert_close(model.log_prob(x), told, rtol=1e-5, atol=1e-4)
        called = len(seen)
        assert torch.equal(model.sample(2, seed=0), images)
        assert 0 < called < len(seen)
        hook.remove()


def test_what_a_hook_returns_counts(name, model, x):
    told = model.log_prob(x)
    for part in INSIDE[name](model):
        hook = part.register_forward_hook(lambda layer, inputs, output: output + 1)
        assert not torch.allclose(model.log_prob(x), told)
        hook.remove()


def test_pruned_weights_are_the_present_ones(name, model, x):
    parts = INSIDE[name](model)
    for part in parts:
        prune.l1_unstructured(part, "weight", 0.5)
    before = model.log_prob(x)
    for part in parts:
        part.weight_orig.data.mul_(3)
    told, images = model.log_prob(x), model.sample(2, seed=0)
    assert not torch.allclose(told, before)
    for part in parts:
        prune.remove(part, "weight")
    assert torch.equal(model.log_prob(x), told) and torch.equal(model.sample(2, seed=0), images)


def test_normed_weights_can_be_asked(name, model, x):
    for part in INSIDE[name](model):
        parametrizations.weight_norm(part)
    told, images = model.log_prob(x), model.sample(2, seed=0)
    plain = copy.deepcopy(model)
    for part in INSIDE[name](plain):
        torch.nn.utils.parametrize.remove_parametrizations(part, "weight")
    torch.testing.assert_close(plain.log_prob(x), told, rtol=1e-5, atol=1e-4)
    assert torch.equal(plain.sample(2, seed=0), images)
