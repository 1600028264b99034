"""The Parzen window of 2014: closed forms, another implementation, and the protocol."""

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity

from genzoo.errors import ArgumentError
from genzoo.evaluation import parzen as module
from genzoo.evaluation.parzen import SIGMAS, parzen


def normal(n, features, seed, scale=1.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, scale, (n, features)))


def test_the_protocol_is_that_of_2014():
    assert module.SAMPLES == 10_000 and module.VALIDATION == 1_000
    assert pytest.approx([10 ** (i / 9 - 1) for i in range(10)], rel=1e-12) == SIGMAS
    assert 60_000 * module.VALIDATION_FROM[0] // module.VALIDATION_FROM[1] == 50_000


def test_one_window_is_a_gaussian():
    x = normal(50, 7, 0)
    value, stderr, sigma = parzen(torch.zeros(1, 7), x, x)
    densities = -x.square().sum(1) / (2 * sigma**2) - 3.5 * math.log(2 * math.pi * sigma**2)
    assert sigma == SIGMAS[-1] == 1.0
    assert value == pytest.approx(float(densities.mean()), rel=1e-12)
    assert stderr == pytest.approx(float(densities.std(correction=0)) / 50**0.5, rel=1e-12)


@pytest.mark.parametrize(("features", "scale"), [(1, 0.5), (2, 0.3)])
def test_windows_on_a_gaussian_have_the_known_value(features, scale):
    """Windows of width σ on draws of N(0, s² I) are N(0, (s² + σ²) I) in the limit: E log p is then known."""
    value, stderr, sigma = parzen(
        normal(4000, features, 0, scale), normal(100, features, 1, scale), normal(1500, features, 2, scale)
    )
    wide = scale**2 + sigma**2
    expected = -features / 2 * (math.log(2 * math.pi * wide) + scale**2 / wide)
    assert sigma == SIGMAS[0]
    assert value == pytest.approx(expected, abs=4 * stderr + 0.02)


def test_it_agrees_with_scikit_learn(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 7)
    samples, validation, test = normal(60, 5, 0, 0.4), normal(20, 5, 1, 0.4), normal(30, 5, 2, 0.4)
    scores = {sigma: KernelDensity(bandwidth=sigma).fit(samples.numpy()) for sigma in SIGMAS}
    best = max(SIGMAS, key=lambda sigma: scores[sigma].score(validation.numpy()))
    expected = scores[best].score_samples(test.numpy())
    assert SIGMAS[0] < best < SIGMAS[-1]
    assert parzen(samples, validation, test) == pytest.approx(
        (expected.mean(), expected.std() / 30**0.5, best), rel=1e-9
    )


def test_the_width_is_chosen_by_the_validation_images_alone():
    samples, test = normal(200, 3, 0, 0.2), normal(50, 3, 1, 2.0)
    assert parzen(samples, normal(50, 3, 2, 0.2), test).sigma < parzen(samples, test, test).sigma


def test_bad_rows_are_refused():
    x = normal(5, 3, 0)
    with pytest.raises(ArgumentError, match="rows of the same length"):
        parzen(x, x, normal(5, 4, 0))
    with pytest.raises(ArgumentError, match="two test images"):
        parzen(x, x, x[:1])
