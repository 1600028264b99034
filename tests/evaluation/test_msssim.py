"""MS-SSIM of random pairs."""

import sys

import numpy as np
import pytest
import torch

from genzoo.errors import ArgumentError
from genzoo.evaluation.msssim import BETAS, available, betas, msssim, similarities


def noise(n, size=32, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8))


@pytest.mark.parametrize(("size", "scales"), [(11, 1), (16, 1), (28, 2), (32, 2), (64, 3), (96, 3), (256, 5)])
def test_scales_that_the_size_allows(size, scales):
    found = betas(size, size + 9)
    assert len(found) == scales
    assert sum(found) == pytest.approx(1)
    assert found[0] / found[-1] == pytest.approx(BETAS[0] / BETAS[scales - 1])


@pytest.mark.parametrize("size", [11, 16, 28, 32, 64, 96])
def test_equal_images_have_similarity_one(size):
    pytest.importorskip("torchmetrics")
    x = noise(3, size)
    assert similarities(x, x) == pytest.approx(1, abs=1e-5)
    assert (similarities(x, noise(3, size, 1)) < 0.5).all()


def test_the_range_is_that_of_images_not_of_the_batch():
    """A pale pair must not count as full of contrast because no darker image is beside it."""
    pytest.importorskip("torchmetrics")
    x, y = noise(2) // 16 + 100, noise(2, seed=1) // 16 + 100
    among = similarities(torch.cat([x, noise(1)]), torch.cat([y, noise(1, seed=1)]))[:2]
    assert similarities(x, y) == pytest.approx(among, abs=1e-6)


def test_a_collapsed_set_is_alike_and_a_diverse_one_is_not():
    pytest.importorskip("torchmetrics")
    diverse, few = noise(40), noise(2).repeat(20, 1, 1, 1)
    assert msssim(noise(1).repeat(8, 1, 1, 1)).value == pytest.approx(1, abs=1e-5)
    assert msssim(few).value > 0.25
    assert msssim(diverse).value < 0.1
    assert msssim(diverse) == msssim(diverse)
    assert msssim(diverse, seed=1) != msssim(diverse)


def test_pairs_are_disjoint_and_of_different_images(monkeypatch):
    seen = []
    monkeypatch.setattr("genzoo.evaluation.msssim.similarities", lambda x, y: seen.extend([x, y]) or torch.rand(len(x)))
    images = torch.arange(9, dtype=torch.uint8)[:, None, None, None].expand(9, 1, 16, 16)
    value, stderr = msssim(images)
    used = torch.cat(seen)[:, 0, 0, 0].tolist()
    assert len(used) == len(set(used)) == 8
    assert 0 < stderr < value


def test_absent_torchmetrics_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    assert not available()
    with pytest.raises(ArgumentError, match="pip install 'genzoo\\[metrics\\]'"):
        msssim(noise(6))


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ArgumentError, match="at least 11x11"):
        betas(8, 64)
    with pytest.raises(ArgumentError, match="at least 4 images, not 3"):
        msssim(noise(3))
