"""The classifier two-sample test: half right about equal distributions, always right about different ones."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from sklearn.linear_model import LogisticRegression
from torch.utils._python_dispatch import TorchDispatchMode

from genzoo.errors import ArgumentError
from genzoo.evaluation import probe
from genzoo.evaluation import two_sample as module
from genzoo.evaluation.two_sample import DIVISIONS, PENALTY, two_sample


def normal(n, features, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, (n, features)))


def test_equal_distributions_cannot_be_told_apart():
    """Many tests of fresh draws: a probe asked about the rows it learned from would be right far too
    often."""
    found = [two_sample(normal(40, 6, 2 * i), normal(40, 6, 2 * i + 1)) for i in range(60)]
    values = np.array([value for value, _ in found])
    assert abs(values.mean() - 0.5) < 3.5 * values.std() / 60**0.5
    assert 0.9 < np.mean([stderr for _, stderr in found]) / values.std() < 1.5


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_shifted_gaussians_are_told_apart_as_often_as_can_be(shift):
    """Between N(0, I) and N(m, I) nothing is right more often than Φ(|m| / 2)."""
    value, stderr = two_sample(normal(8000, 4, 0), normal(8000, 4, 1, shift))
    assert value == pytest.approx(ndtr(shift * 4**0.5 / 2), abs=4 * stderr + 1e-3)


def test_a_collapsed_model_is_told_apart():
    assert two_sample(normal(100, 5, 0), normal(1, 5, 1, 3.0).repeat(100, 1)).value > 0.9
    assert two_sample(normal(100, 5, 0), normal(100, 5, 1, 50.0)) == (1.0, 0.0)


def test_it_is_the_accuracy_of_a_logistic_regression_on_the_unseen_half():
    x, y = normal(41, 6, 0), normal(41, 6, 1, 0.4)
    rows = np.concatenate([x[:20], y[:20]])
    scale = np.sqrt(((rows - rows.mean(0)) ** 2).sum(1).mean())
    other = LogisticRegression(C=1 / (40 * PENALTY), tol=1e-10, max_iter=5000).fit(
        (rows - rows.mean(0)) / scale, [0] * 20 + [1] * 20
    )
    unseen = (np.concatenate([x[20:], y[20:]]) - rows.mean(0)) / scale
    assert two_sample(x, y).value == pytest.approx(other.score(unseen, [0] * 21 + [1] * 21), rel=1e-12)


def test_bad_sets_are_refused():
    for x, y in (
        (normal(9, 3, 0), normal(8, 3, 0)),
        (normal(9, 3, 0), normal(9, 4, 0)),
        (normal(3, 3, 0), normal(3, 3, 1)),
    ):
        with pytest.raises(ArgumentError, match="two sets of features"):
            two_sample(x, y)
    with pytest.raises(ArgumentError, match="NaN"):
        two_sample(normal(9, 3, 0), normal(9, 3, 0) * float("nan"))


def test_a_value_that_is_not_finite_is_found_in_any_row(monkeypatch):
    monkeypatch.setattr(probe, "_ROWS", 4)
    for row in (0, 11, 12, 24):  # of those that are learned from, and of those that are asked about
        x = normal(25, 3, 0)
        x[row, 2] = float("inf")
        with pytest.raises(ArgumentError, match="infinite"):
            two_sample(x, normal(25, 3, 1))


class Large(TorchDispatchMode):
    """Notes the operations that give new tensors of `least` bytes or more."""

    def __init__(self, least):
        super().__init__()
        self.least, self.found = least, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.nbytes >= self.least:
            given = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, torch.Tensor)}
            if found.untyped_storage().data_ptr() not in given:
                self.found.append(func)
        return found


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_rows_are_copied_once_and_stay_as_they_were(monkeypatch, kind):
    """There may be gigabytes of them. How many are copied at a time changes nothing."""
    x, y = normal(401, 50, 0).to(kind), normal(401, 50, 1, 0.1).to(kind)
    given, expected = (x.clone(), y.clone()), two_sample(x, y)
    monkeypatch.setattr(probe, "_ROWS", 64)
    monkeypatch.setattr(module, "CHUNK", 64)
    with Large(400 * 50 * 8 * 3 // 4) as large:
        assert two_sample(x, y) == expected
    assert len(large.found) == 2 * DIVISIONS
    assert torch.equal(x, given[0]) and torch.equal(y, given[1])
