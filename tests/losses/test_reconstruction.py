"""Reconstruction: what each likelihood sums or integrates to, and that it is what its name says."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal

from genzoo.losses.reconstruction import LEVELS, bernoulli, discretised_logistic, gaussian, squared_error

EVERY_LEVEL = torch.arange(LEVELS, dtype=torch.float64).view(-1, 1, 1, 1) / (LEVELS - 1)


def pixel(value):
    return torch.full((1, 1, 1), value, dtype=torch.float64)


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestLogistic:
    @given(st.floats(-3, 3), st.floats(-7, 7))
    def test_the_256_masses_sum_to_1(self, mean, log_scale):
        masses = discretised_logistic(EVERY_LEVEL, pixel(mean), pixel(log_scale)).exp()
        assert masses.shape == (256,) and (masses >= 0).all()
        assert float(masses.sum()) == pytest.approx(1, abs=1e-9)

    @pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 7.0])
    @pytest.mark.parametrize("mean", [-1.0, 0.3, 1.0])
    def test_in_single_precision_too(self, mean, log_scale):
        x = EVERY_LEVEL.float()
        assert float(
            discretised_logistic(x, pixel(mean).float(), pixel(log_scale).float()).exp().sum()
        ) == pytest.approx(1, abs=1e-4)

    def test_each_mass_is_that_of_its_interval(self):
        mean, scale = 0.2, 0.3
        # between two levels, on [-1, 1]
        edges = (2 * torch.arange(1, LEVELS, dtype=torch.float64) - 1) / (LEVELS - 1) - 1
        below = torch.sigmoid((edges - mean) / scale)
        expected = torch.diff(torch.cat([torch.zeros(1), below, torch.ones(1)]).double())
        torch.testing.assert_close(
            discretised_logistic(EVERY_LEVEL, pixel(mean), pixel(math.log(scale))).exp(), expected
        )

    def test_far_tails_keep_their_logarithm_and_their_gradient(self):
        mean = pixel(-1.0).float().requires_grad_()
        value = discretised_logistic(torch.full((1, 1, 1), 254 / 255), mean, pixel(-7.0).float())
        assert torch.isfinite(value) and value < -1000
        (slope,) = torch.autograd.grad(value, mean)
        assert slope.item() == pytest.approx(math.exp(7), rel=1e-3)

    def test_pixels_are_rounded_to_their_level(self):
        level = discretised_logistic(pixel(100 / 255), pixel(0.0), pixel(-2.0))
        for value in (99.7, 100.3):
            assert discretised_logistic(pixel(value / 255), pixel(0.0), pixel(-2.0)) == level

    def test_the_nearest_level_is_the_likeliest(self):
        for level in (0, 1, 77, 254, 255):
            assert (
                discretised_logistic(EVERY_LEVEL, pixel(2 * level / 255 - 1), pixel(-6.0)).argmax() == level
            )


class TestBernoulli:
    def test_it_is_that_of_torch(self):
        x, logits = images(5, 3, 2, 2).round(), 8 * images(5, 3, 2, 2, seed=1) - 4
        torch.testing.assert_close(bernoulli(x, logits), Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3)))

    @given(st.floats(-50, 50))
    def test_both_masses_sum_to_1(self, logit):
        both = torch.tensor([0.0, 1.0], dtype=torch.float64).view(2, 1, 1, 1)
        assert float(bernoulli(both, pixel(logit)).exp().sum()) == pytest.approx(1)

    def test_at_grey_levels_it_is_no_density(self):
        """The number that recipes and docs quote: 0.47 at p = 0.3."""
        x = torch.linspace(0, 1, 10_001, dtype=torch.float64).view(-1, 1, 1, 1)
        total = torch.trapezoid(bernoulli(x, pixel(math.log(0.3 / 0.7))).exp(), x.flatten())
        assert float(total) == pytest.approx(0.47, abs=0.005)


class TestGaussian:
    def test_it_is_that_of_torch(self):
        x, mean, log_var = images(4, 1, 3, 2), images(4, 1, 3, 2, seed=1), images(4, 1, 3, 2, seed=2)
        expected = Normal(mean, log_var.div(2).exp()).log_prob(x).sum((1, 2, 3))
        torch.testing.assert_close(gaussian(x, mean, log_var), expected)

    def test_it_integrates_to_1(self):
        x = torch.linspace(-5, 6, 20_001, dtype=torch.float64).view(-1, 1, 1, 1)
        density = gaussian(x, pixel(0.4), pixel(-1.0)).exp()
        assert float(torch.trapezoid(density, x.flatten())) == pytest.approx(1)


class TestSums:
    @pytest.mark.parametrize("loss", [bernoulli, squared_error])
    def test_draws_broadcast_against_images(self, loss):
        x, many = images(4, 2, 3, 3).round(), images(6, 4, 2, 3, 3, seed=1)
        values = loss(x, many)
        assert values.shape == (6, 4)
        torch.testing.assert_close(values[2, 3], loss(x[3], many[2, 3]))

    def test_the_square_is_summed_over_pixels(self):
        assert squared_error(torch.ones(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)).tolist() == [60, 60]
        assert float(squared_error(pixel(0.2), pixel(0.7))) == pytest.approx(0.25)
