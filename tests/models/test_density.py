"""Densities: the laws of a likelihood on a model small enough to be summed."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from flow_toys import Flow, FlowConfig
from toys import Bernoulli, ToyConfig

from genzoo.errors import ArgumentError

SHAPE = (1, 2, 3)


@pytest.fixture
def coin():
    net = Bernoulli(ToyConfig(image_shape=SHAPE))
    with torch.no_grad():
        net.logits.copy_(torch.linspace(-2, 2, 6).view(SHAPE))
    return net


def every_image():
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=6))).view(-1, *SHAPE)


def test_probabilities_of_all_images_sum_to_one(coin):
    assert coin.log_prob(every_image()).double().exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_samples_come_as_often_as_they_should(coin):
    drawn = coin.sample(8192, seed=0).flatten(1)
    counts = torch.bincount((drawn @ (2.0 ** torch.arange(5, -1, -1))).long(), minlength=64)
    expected = coin.log_prob(every_image()).double().exp() * 8192
    assert ((counts - expected) ** 2 / expected).sum() < 110  # χ² of 63 degrees: beyond it one time in 5,000


def test_shape_type_and_units(coin):
    x = every_image()[:5]
    nats = coin.log_prob(x)
    assert (nats.shape, nats.dtype, nats.requires_grad) == ((5,), torch.float32, False)
    torch.testing.assert_close(coin.bits_per_dim(x), -nats / (6 * math.log(2)))
    assert coin.train().log_prob(x).equal(nats) and coin.training


def test_a_density_of_real_numbers_has_no_bits_per_dimension():
    with pytest.raises(
        ArgumentError, match="density of real-valued pixels: bits per dimension need probabilities"
    ):
        Flow(FlowConfig()).bits_per_dim(torch.full((1, 1, 4, 4), 0.5))
