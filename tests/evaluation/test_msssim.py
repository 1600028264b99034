"""MS-SSIM of random pairs, held against the definition written a second time, without torch."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from genzoo.errors import ArgumentError
from genzoo.evaluation.msssim import BETAS, betas, msssim, protocol, similarities


def noise(n, size=32, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8))


def likeness(n, seed):
    """Return two sets of smooth pictures that are more or less alike, uint8 (n, 3, 64, 64)."""
    rng = np.random.default_rng(seed)
    waves = rng.random((n, 3, 64, 64)).cumsum(2).cumsum(3)
    x = 255 * (waves - waves.min((2, 3), keepdims=True)) / np.ptp(waves, axis=(2, 3), keepdims=True)
    y = (
        x * rng.uniform(0.3, 1, (n, 1, 1, 1))
        + rng.normal(0, 30, x.shape) * np.linspace(0, 1, n)[:, None, None, None]
    )
    return torch.from_numpy(x.astype(np.uint8)), torch.from_numpy(y.clip(0, 255).astype(np.uint8))


def reference(x, y):
    """Return the MS-SSIM of one pair (C, H, W) in [0, 1], in loops over scales and colours: eq. 1-3 and 7 of
    Wang et al. 2003."""
    places = np.arange(-5, 6)
    window = np.exp(-(places**2) / (2 * 1.5**2))
    window /= window.sum()

    def local(image):  # the mean under each window that lies on the image
        means = correlate1d(
            correlate1d(image, window, axis=0, mode="constant"), window, axis=1, mode="constant"
        )
        return means[5:-5, 5:-5]

    count = sum(min(x.shape[1:]) // 2**scale >= 11 for scale in range(5))
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:count])
    weights /= weights.sum()
    result = 1.0
    for scale in range(count):
        maps = []
        for a, b in zip(x, y, strict=True):
            mean_a, mean_b = local(a), local(b)
            deviation_a, deviation_b = (
                local(image**2) - mean**2 for image, mean in ((a, mean_a), (b, mean_b))
            )
            structure = (2 * (local(a * b) - mean_a * mean_b) + 0.0009) / (deviation_a + deviation_b + 0.0009)
            luminance = (2 * mean_a * mean_b + 0.0001) / (mean_a**2 + mean_b**2 + 0.0001)
            maps.append(structure * luminance if scale == count - 1 else structure)
        result *= max(0.0, np.mean(maps)) ** weights[scale]
        rows, columns = x.shape[1] // 2, x.shape[2] // 2
        x, y = (
            image[:, : 2 * rows, : 2 * columns].reshape(len(image), rows, 2, columns, 2).mean((2, 4))
            for image in (x, y)
        )
    return result


@pytest.mark.parametrize(("height", "width"), [(64, 64), (28, 28), (32, 45), (11, 64), (47, 23)])
def test_it_is_the_cited_definition(height, width):
    x, y = (images[:, :, :height, :width] for images in likeness(6, seed=height))
    expected = [reference(a.numpy() / 255, b.numpy() / 255) for a, b in zip(x, y, strict=True)]
    assert min(expected) > 0.05 and max(expected) < 0.9999 and np.ptp(expected) > 0.1
    # to_float is float32: the last digits of 1/255
    assert similarities(x, y).tolist() == pytest.approx(expected, abs=1e-6)


def test_five_scales_of_one_wave_by_hand():
    """A constant difference of light changes luminance at the coarsest scale alone."""
    x, y = torch.full((1, 1, 176, 176), 0.25), torch.full((1, 1, 176, 176), 0.75)
    expected = ((2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)) ** (BETAS[4] / sum(BETAS))
    assert similarities(x, y).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("size", "scales"),
    [(11, 1), (16, 1), (21, 1), (22, 2), (28, 2), (32, 2), (64, 3), (96, 4), (176, 5), (999, 5)],
)
def test_scales_that_the_size_allows(size, scales):
    found = betas(size, size + 9)
    assert len(found) == scales
    assert sum(found) == pytest.approx(1)
    assert found[0] / found[-1] == pytest.approx(BETAS[0] / BETAS[scales - 1])
    assert f"{scales} scale" in protocol(size, size) and "Wang et al. 2003, valid window 11" in protocol(
        size, size
    )


@pytest.mark.parametrize("size", [11, 16, 28, 32, 64, 96])
def test_equal_images_have_similarity_one(size):
    x = noise(3, size)
    assert similarities(x, x) == pytest.approx(1, abs=1e-9)
    assert (similarities(x, noise(3, size, 1)) < 0.5).all()


def test_the_range_is_that_of_images_not_of_the_batch():
    """A pale pair must not count as full of contrast because no darker image is beside it."""
    x, y = noise(2) // 16 + 100, noise(2, seed=1) // 16 + 100
    among = similarities(torch.cat([x, noise(1)]), torch.cat([y, noise(1, seed=1)]))[:2]
    assert similarities(x, y) == pytest.approx(among, abs=1e-9)


def test_an_opposite_image_has_no_similarity_and_no_nan():
    x = noise(3, 64)
    assert similarities(x, 255 - x).tolist() == [0, 0, 0]


def test_a_collapsed_set_is_alike_and_a_diverse_one_is_not():
    diverse, few = noise(40), noise(2).repeat(20, 1, 1, 1)
    assert msssim(noise(1).repeat(8, 1, 1, 1)).value == pytest.approx(1, abs=1e-9)
    assert msssim(few).value > 0.25
    assert msssim(diverse).value < 0.1
    assert msssim(diverse) == msssim(diverse)
    assert msssim(diverse, seed=1) != msssim(diverse)


def test_pairs_are_disjoint_and_of_different_images(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "genzoo.evaluation.msssim.similarities", lambda x, y: seen.extend([x, y]) or torch.rand(len(x))
    )
    images = torch.arange(9, dtype=torch.uint8)[:, None, None, None].expand(9, 1, 16, 16)
    value, stderr = msssim(images)
    used = torch.cat(seen)[:, 0, 0, 0].tolist()
    assert len(used) == len(set(used)) == 8
    assert 0 < stderr < value


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ArgumentError, match="at least 11x11"):
        betas(8, 64)
    with pytest.raises(ArgumentError, match="at least 4 images, not 3"):
        msssim(noise(3))
