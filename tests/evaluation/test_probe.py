"""The linear probe, with scikit-learn's logistic regression as oracle."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from genzoo.data import open_data
from genzoo.errors import ArgumentError
from genzoo.evaluation.probe import PENALTY, fit_probe


def clouds(n=200, features=6, classes=4, seed=0, spread=1.5):
    """Return overlapping Gaussian clouds, (n, features) float32, and the number of the cloud of each row,
    (n,)."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, classes, n)
    centres = np.random.default_rng(99).normal(size=(classes, features))
    return torch.from_numpy(
        centres[labels] + spread * numbers.normal(size=(n, features))
    ).float(), torch.from_numpy(labels)


def oracle(x, y, penalty):
    """Return scikit-learn's classifier of the same problem, fitted to the features as a probe scales them."""
    rows = x.double().numpy()
    centre = rows.mean(0)
    scale = np.sqrt(np.square(rows - centre).sum(1).mean())
    fitted = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(
        (rows - centre) / scale, y.numpy()
    )
    return lambda z: fitted.predict_proba((z.double().numpy() - centre) / scale)


@pytest.mark.parametrize("penalty", [0.001, 0.1, 3.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_are_those_of_scikit_learn(classes, penalty):
    x, y = clouds(classes=classes)
    fresh, _ = clouds(50, classes=classes, seed=1)
    found = fit_probe(x, y, penalty).logits(fresh).softmax(1).numpy()
    # scikit-learn solves two classes with one row of weights: half the difference of ours, so its penalty
    # counts twice.
    expected = oracle(x, y, penalty / 2 if classes == 2 else penalty)(fresh)
    assert np.allclose(found, expected, atol=1e-6)


def test_nothing_near_the_minimum_is_lower():
    x, y = clouds()
    probe = fit_probe(x, y, 2.0)
    rows = x.double()
    scale = (rows - rows.mean(0)).square().sum(1).mean().sqrt()

    def loss(weight, bias):
        return (
            torch.nn.functional.cross_entropy(rows @ weight.T + bias, y, reduction="sum")
            + (weight * scale).square().sum()
        )

    least = loss(probe.weight, probe.bias)
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        step = [
            1e-3 * torch.randn(t.shape, generator=draw, dtype=torch.float64)
            for t in (probe.weight, probe.bias)
        ]
        assert loss(probe.weight + step[0], probe.bias + step[1]) > least


def test_the_unit_a_shift_and_a_rotation_of_the_features_change_nothing():
    x, y = clouds()
    fresh, _ = clouds(50, seed=1)
    turn = torch.linalg.qr(
        torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ).Q
    plain = fit_probe(x, y).logits(fresh).softmax(1)
    moved = fit_probe(1000 * x.double() @ turn - 5, y).logits(1000 * fresh.double() @ turn - 5).softmax(1)
    assert torch.allclose(plain, moved, atol=1e-6)


def test_unused_components_of_a_code_are_not_blown_up():
    """Those of a VAE are nearly the prior's mean for every image: noise of 1e-3, which must not be taken for
    a feature."""
    x, y = clouds(40)
    fresh, _ = clouds(400, seed=1)
    draw = torch.Generator().manual_seed(0)
    noise = [1e-3 * torch.randn(len(rows), 200, generator=draw) for rows in (x, fresh)]
    alone = fit_probe(x, y).logits(fresh).softmax(1)
    assert (
        fit_probe(torch.cat([x, noise[0]], 1), y).logits(torch.cat([fresh, noise[1]], 1)).softmax(1) - alone
    ).abs().max() < 0.01


def test_pixels_of_digits_are_read_as_scikit_learn_reads_them():
    train, test = (open_data("digits", split=split) for split in ("train", "test"))
    x, z = train.float().flatten(1), test.float().flatten(1)
    probe = fit_probe(x, train.labels)
    expected = oracle(x, torch.from_numpy(train.labels), PENALTY)(z).argmax(1)
    assert (probe.predict(z).numpy() == expected).all()
    assert probe.accuracy(z, test.labels) == (expected == test.labels).mean() > 0.9


def test_labels_keep_their_names():
    x, y = clouds(classes=2)
    names = torch.tensor([7, 3])[y].to(torch.uint8)
    probe = fit_probe(x, names)
    assert probe.classes.tolist() == [3, 7]
    assert set(probe.predict(x).tolist()) == {3, 7}
    assert probe.accuracy(x, names) > 0.7


def test_the_same_features_give_the_same_probe_whatever_the_state_of_torch():
    x, y = clouds()
    torch.manual_seed(1)
    first = fit_probe(x, y)
    torch.manual_seed(2)
    with torch.no_grad():
        second = fit_probe(x, y)
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)


@pytest.mark.parametrize("kind", [np.float32, np.float64, torch.float32, torch.float64])
def test_the_features_stay_as_they_were(kind):
    """A copy is worked on in place, and only a copy."""
    rows = np.random.default_rng(0).normal(3, 1, (40, 5))
    given = rows.astype(kind) if isinstance(kind, type) else torch.from_numpy(rows).to(kind)
    before = np.asarray(given).copy()
    fit_probe(given, np.arange(40) % 2)
    assert np.array_equal(np.asarray(given), before)


def test_features_without_information_give_the_share_of_each_class():
    y = torch.tensor([0, 1, 1, 1])
    found = fit_probe(torch.full((4, 3), 0.5), y).logits(torch.zeros(1, 3)).softmax(1)
    assert torch.allclose(found, torch.tensor([[0.25, 0.75]], dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize(
    ("features", "labels", "penalty", "words"),
    [
        (torch.zeros(4), [0, 1, 0, 1], 1.0, "features must have the shape"),
        (torch.zeros(0, 3), [], 1.0, "features must have the shape"),
        ("x", [0, 1], 1.0, "not str"),
        (torch.tensor([[0.0], [float("nan")]]), [0, 1], 1.0, "NaN"),
        (torch.zeros(2, 3), [0, 1, 0], 1.0, "2 whole numbers"),
        (torch.zeros(2, 3), [0.0, 1.0], 1.0, "2 whole numbers"),
        (torch.zeros(2, 3), [1, 1], 1.0, "all labels are the same"),
        (torch.zeros(2, 3), [0, 1], 0, "penalty must be a number above 0"),
        (torch.zeros(2, 3), [0, 1], True, "penalty must be a number above 0"),
        (torch.zeros(2, 3), [0, 1], float("nan"), "penalty must be a number above 0"),
    ],
)
def test_bad_arguments(features, labels, penalty, words):
    with pytest.raises(ArgumentError, match=words):
        fit_probe(features, labels, penalty)


def test_a_probe_reads_as_many_features_as_it_has_learned():
    x, y = clouds()
    with pytest.raises(ArgumentError, match="reads 6 features per image, not 5"):
        fit_probe(x, y).predict(x[:, :5])
