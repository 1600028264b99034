"""Units of likelihood."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genzoo.losses.likelihood import bits_per_dim, dequantised, dimensions, mean_bits_per_dim

shapes = st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))


@given(shapes, st.floats(-1e6, 1e6))
def test_bits_per_dim_is_nats_over_d_ln_2(shape, nats):
    d = shape[0] * shape[1] * shape[2]
    assert dimensions(shape) == d
    assert bits_per_dim(torch.tensor([nats], dtype=torch.float64), shape).item() == pytest.approx(
        -nats / (d * math.log(2))
    )


@given(shapes, st.integers(1, 8))
def test_uniform_pixels_cost_their_bits(shape, bits):
    """Every pixel one of 2^b levels, all equally likely: b bits/dim, whatever the shape."""
    log_prob = torch.full((3,), -bits * math.log(2) * dimensions(shape), dtype=torch.float64)
    assert mean_bits_per_dim(log_prob, shape).item() == pytest.approx(bits)


def test_the_mean_is_over_images():
    log_prob = torch.tensor([-1.0, -3.0], dtype=torch.float64)
    assert mean_bits_per_dim(log_prob, (1, 1, 1)).item() == pytest.approx(2 / math.log(2))
    assert bits_per_dim(log_prob, (1, 1, 1)).shape == (2,)


def test_a_dequantised_density_is_a_bound_on_masses_that_is_tight_where_the_density_is_flat():
    """p(x) = 2 x on [0, 1]: the mass of level k of L is ((k + 1)² - k²) / L², and the bound comes close to it
    from below."""
    levels = 8
    x = (torch.arange(levels, dtype=torch.float64) / (levels - 1)).view(-1, 1, 1, 1)
    k = torch.arange(levels, dtype=torch.float64)
    masses = ((k + 1) ** 2 - k**2) / levels**2
    u = ((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000).view(-1, 1, 1, 1, 1)
    bound = dequantised(lambda y: torch.log(2 * y).sum((1, 2, 3)), x, u, levels)
    assert (bound <= masses.log() + 1e-9).all() and float(bound.exp().sum()) < 1
    torch.testing.assert_close(bound[4:], masses.log()[4:], atol=3e-3, rtol=0)
    flat = dequantised(lambda y: torch.zeros(len(y), dtype=torch.float64), x, u[:3], levels)
    torch.testing.assert_close(flat, torch.full((levels,), -math.log(levels), dtype=torch.float64))
