"""KID, FID, precision, recall, density and coverage against closed forms and against other people's code."""

import numpy as np
import pytest
import torch

from genzoo.errors import ArgumentError
from genzoo.evaluation import distances
from genzoo.evaluation.distances import fid, kid, prdc


def normal(n, features, seed, scale=1.0, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, scale, (n, features)))


@pytest.fixture(params=[1024, 7])
def chunk(request, monkeypatch):
    """Run a test with matrices in one piece and in pieces of seven rows."""
    monkeypatch.setattr(distances, "CHUNK", request.param)


def brute_kid(x, y):
    def kernel(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def test_kid_is_the_formula(chunk):
    x, y = normal(12, 5, 0), normal(9, 5, 1, scale=1.3)
    assert kid(x, y).value == pytest.approx(brute_kid(x, y), rel=1e-12)


def test_kid_standard_error_is_the_jackknife(chunk):
    x, y = normal(9, 4, 0), normal(8, 4, 1, shift=0.5)
    drop_x = np.array([brute_kid(torch.cat([x[:i], x[i + 1 :]]), y) for i in range(9)])
    drop_y = np.array([brute_kid(x, torch.cat([y[:i], y[i + 1 :]])) for i in range(8)])
    expected = 8 / 9 * ((drop_x - drop_x.mean()) ** 2).sum() + 7 / 8 * ((drop_y - drop_y.mean()) ** 2).sum()
    assert kid(x, y).stderr == pytest.approx(expected**0.5, rel=1e-10)


def test_kid_agrees_with_torchmetrics():
    image = pytest.importorskip("torchmetrics.image.kid")
    x, y = normal(60, 16, 0), normal(60, 16, 1, shift=0.3)
    assert kid(x, y).value == pytest.approx(float(image.poly_mmd(x, y)), rel=1e-10)


def test_kid_is_unbiased_and_its_error_honest():
    """200 pairs from one distribution: the mean is 0 within its own error; leaving the diagonal in would be
    30 errors off."""
    found = [kid(normal(30, 6, 2 * i), normal(40, 6, 2 * i + 1)) for i in range(200)]
    values = np.array([value for value, _ in found])
    assert abs(values.mean()) < 3.5 * values.std() / 200**0.5
    assert 0.35 < np.mean(values < 0) < 0.75
    ratio = np.mean([stderr for _, stderr in found]) / values.std()
    assert 1.0 < ratio < 1.7, (
        "for equal distributions the jackknife errs on the large side, by 1.41 in the limit"
    )


def test_kid_error_for_different_distributions():
    found = [kid(normal(80, 6, 2 * i), normal(80, 6, 2 * i + 1, shift=0.7)) for i in range(150)]
    ratio = np.mean([stderr for _, stderr in found]) / np.std([value for value, _ in found])
    assert 0.85 < ratio < 1.2


def test_kid_grows_with_the_difference():
    x = normal(100, 6, 0)
    values = [kid(x, normal(100, 6, 1, shift=shift)).value for shift in (0.0, 0.3, 0.6, 1.0)]
    assert values == sorted(values)
    assert kid(x, normal(90, 6, 1)).value == pytest.approx(kid(normal(90, 6, 1), x).value, rel=1e-12)


def test_fid_of_known_gaussians():
    """Features whose sample means and covariances are exactly diagonal: |m|^2 + sum (s_x - s_y)^2."""
    # covariance 8/7 I
    signs = torch.tensor([[a, b, c] for a in (-1.0, 1) for b in (-1.0, 1) for c in (-1.0, 1)]).double()
    unit = signs * (7 / 8) ** 0.5
    x = unit * torch.tensor([1.0, 2.0, 3.0])
    y = unit * torch.tensor([2.0, 2.0, 5.0]) + torch.tensor([1.0, 0.0, -2.0])
    assert fid(x, y) == pytest.approx(5 + 1 + 0 + 4, rel=1e-12)


def test_fid_of_a_gaussian_sample_approaches_the_closed_form():
    scales = torch.tensor([0.5, 1.0, 2.0, 3.0]).double()
    found = fid(normal(20_000, 4, 0), normal(20_000, 4, 1, shift=0.5) * scales)
    assert found == pytest.approx(
        float((0.5 * scales).square().sum() + (scales - 1).square().sum()), rel=0.03
    )


@pytest.mark.parametrize(("n", "m"), [(80, 60), (12, 80), (8, 11)])
def test_fid_is_the_formula_of_the_paper(n, m):
    """With more and with fewer rows than features (20)."""
    linalg = pytest.importorskip("scipy.linalg")
    mixing = normal(20, 20, 5)
    x, y = normal(n, 20, 0) @ mixing, normal(m, 20, 1, shift=0.2)
    cx, cy = np.cov(x.numpy(), rowvar=False), np.cov(y.numpy(), rowvar=False)
    # sqrtm of a singular product warns; its trace is the sum of these roots
    values = np.linalg.eigvals(cx @ cy).real.clip(0)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cx) + np.trace(cy) - 2 * np.sqrt(values).sum()
    assert fid(x, y) == pytest.approx(float(expected), rel=1e-6)
    if min(n, m) > 20:
        assert np.trace(linalg.sqrtm(cx @ cy)).real == pytest.approx(np.sqrt(values).sum(), rel=1e-6)


def test_fid_agrees_with_torchmetrics():
    image = pytest.importorskip("torchmetrics.image.fid")
    x, y = normal(100, 10, 0), normal(90, 10, 1, scale=1.5, shift=0.3)
    assert fid(x, y) == pytest.approx(
        float(image._compute_fid(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())), rel=1e-8
    )


def test_fid_laws():
    x, y = normal(30, 50, 0), normal(40, 50, 1)
    assert fid(x, x) == pytest.approx(0, abs=1e-10)
    assert fid(x, y) == pytest.approx(fid(y, x), rel=1e-12)
    turn = torch.linalg.qr(normal(50, 50, 2)).Q
    assert fid(x @ turn, y @ turn) == pytest.approx(fid(x, y), rel=1e-10)
    assert fid(x, x + 2) == pytest.approx(4 * 50, rel=1e-10)


@pytest.mark.parametrize("k", [1, 5])
def test_prdc_agrees_with_the_authors_package(chunk, k, capsys):
    package = pytest.importorskip("prdc")
    real, fake = normal(60, 8, 0), normal(50, 8, 1, scale=0.8)
    expected = package.compute_prdc(real_features=real.numpy(), fake_features=fake.numpy(), nearest_k=k)
    capsys.readouterr()
    assert prdc(fake, real, k)._asdict() == pytest.approx(expected, rel=1e-12)


def test_prdc_control_figures():
    """Two equal Gaussians: density and the expected coverage 1 - 2^-k (Naeem et al. 2020, section 4)."""
    found = prdc(normal(1500, 64, 0), normal(1500, 64, 1))
    assert found.density == pytest.approx(1.0, abs=0.08)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_prdc_control_figures_in_a_thousand_dimensions(capsys):
    """A small form of the control with 10,000 draws, whose figures `bench_quality.py --control` prints."""
    package = pytest.importorskip("prdc")
    x, y = normal(400, 1000, 0), normal(400, 1000, 1)
    found = prdc(x, y)
    expected = package.compute_prdc(real_features=y.numpy(), fake_features=x.numpy(), nearest_k=5)
    capsys.readouterr()
    assert found._asdict() == pytest.approx(expected, rel=1e-12)
    assert (
        0.4 < found.precision < 0.8
        and 0.4 < found.recall < 0.8
        and found.coverage == pytest.approx(1 - 2**-5, abs=0.05)
    )


def test_prdc_tells_fidelity_from_diversity():
    real = normal(300, 3, 0)
    collapsed = prdc(normal(300, 3, 1, scale=0.05), real)
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.1
    assert collapsed.coverage < 0.5
    wide = prdc(normal(300, 3, 1, scale=8), real)
    assert wide.precision < 0.2
    assert wide.recall > 0.7
    assert prdc(real + 1000, real) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("distance", [kid, fid, prdc])
def test_bad_features_are_refused(distance):
    x = normal(20, 4, 0)
    with pytest.raises(ArgumentError, match="shapes"):
        distance(x, normal(20, 5, 0))
    with pytest.raises(ArgumentError, match=r"at least \d images on both sides, not 1"):
        distance(x, x[:1])
    with pytest.raises(ArgumentError, match="NaN"):
        distance(x, x * float("nan"))
