"""Frozen blocks of a discriminator: their weights keep their bits."""

from __future__ import annotations

import pytest
import torch
import toys
from torch import nn

from genzoo.errors import TrainingError
from genzoo.training.freezing import blocks_of, freeze, frozen_in


def names(net):
    known = {id(parameter): name for name, parameter in net.named_parameters()}
    return [[known[id(parameter)] for parameter in block] for block in blocks_of(net)]


class TestBlocks:
    def test_a_block_is_a_layer_with_its_norm(self):
        assert names(toys.gan().discriminator) == [
            ["0.weight", "0.bias", "1.weight", "1.bias"],
            ["4.weight", "4.bias"],
        ]

    def test_every_parameter_is_in_one_block(self):
        shared = nn.Linear(3, 3)
        net = nn.Sequential(nn.Embedding(4, 3), nn.LayerNorm(3), shared, nn.ReLU(), nn.Linear(3, 3), shared)
        assert names(net) == [
            ["0.weight", "1.weight", "1.bias", "2.weight", "2.bias"],
            ["4.weight", "4.bias"],
        ]

    def test_a_parametrised_weight_belongs_to_its_layer(self):
        net = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)), nn.Linear(4, 1))
        freeze(net, 1)
        assert [name for name, p in net.named_parameters() if not p.requires_grad] == [
            "0.bias",
            "0.parametrizations.weight.original",
        ]


def bits(model):
    return {name: value.clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gp_weight": 1.0, "penalty_kind": "r1"},
        {"objective": "wasserstein", "weight_clip": 1e-3, "optimizer": {"all": "rmsprop"}},
    ],
    ids=["plain", "r1", "clipped"],
)
def test_frozen_layers_keep_their_bits_and_the_others_learn(start, options):
    model = toys.gan(norm=False)
    before = bits(model)
    run = start(model, freeze=1, batch_size=16, steps=3, **options)
    for _ in range(3):
        run.play_round()
    after = bits(model)
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert kept == {"discriminator.0.weight", "discriminator.0.bias"} == set(frozen_in(model))
    assert kept.isdisjoint(
        name for name, p in model.named_parameters() for o in run.optimisers.values() if _has(o, p)
    )


def _has(optimiser, parameter):
    return any(parameter is one for group in optimiser.param_groups for one in group["params"])


def test_without_freeze_every_layer_learns(start):
    model = toys.gan()
    before = bits(model)
    run = start(model, batch_size=16, steps=2)
    run.play_round(), run.play_round()
    assert not [name for name, value in bits(model).items() if torch.equal(value, before[name])]


def test_a_discriminator_with_nothing_left_is_refused(start):
    with pytest.raises(TrainingError, match=r"freeze=2 leaves .* it has 2 blocks — set .* at most 1"):
        start(freeze=2)


def test_what_is_published_can_be_trained(start):
    run = start(freeze=1, batch_size=16, steps=1)
    run.play_round()
    from genzoo.models import golden
    from genzoo.models.weights import build_filled, encode
    from genzoo.training.publish import finished_model

    model = finished_model(run, "float32")
    loaded = build_filled(toys.CARDS["toy-gan"], encode(model, "toy-gan", golden.record(model)), "here")
    assert frozen_in(loaded) == [] and frozen_in(model) != []
