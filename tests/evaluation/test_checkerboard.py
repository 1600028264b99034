"""The checkerboard: lattices of known strength, noise without one, the definition written a second time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genzoo.errors import ArgumentError
from genzoo.evaluation import Request, sample_quality
from genzoo.evaluation.checkerboard import checkerboard
from genzoo.metrics import METRICS, better_of

DEVIATION = 20.0  # of the noise, in grey levels


def noise(n, seed=0, shape=(3, 32, 32)):
    return np.random.default_rng(seed).normal(128, DEVIATION, (n, *shape))


def lattice(height, width, period=(2, 2)):
    """±1 by row and column; a period of 1 is constant."""
    rows, columns = (
        np.cos(2 * np.pi * np.arange(side) / step) if step > 1 else np.ones(side)
        for side, step in zip((height, width), period, strict=True)
    )
    return rows[:, None] * columns


def pixels(x):
    return torch.from_numpy(x.round().clip(0, 255).astype(np.uint8))


def reference(images):
    """The definition, frequency by frequency."""
    grey = images.numpy().astype(float).mean(1) / 255
    height, width = grey.shape[1:]

    def power(row, column):
        wave = np.exp(
            -2j * np.pi * (row * np.arange(height)[:, None] / height + column * np.arange(width) / width)
        )
        return np.mean(np.abs((grey * wave).sum((1, 2))) ** 2) + height * width / 12 / 255**2

    beside = [
        power(height // 2 + a, width // 2 + b)
        for a in range(-4, 5)
        for b in range(-4, 5)
        if max(abs(a), abs(b)) >= 2
    ]
    assert len(beside) == 72
    return power(height // 2, width // 2) / np.mean(sorted(beside)[18:54])


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 16, 28), (3, 28, 16)])
def test_it_is_the_definition(shape):
    images = pixels(noise(7, shape=shape) + 9 * lattice(*shape[1:]))
    assert checkerboard(images).value == pytest.approx(reference(images), rel=1e-5)
    assert checkerboard(images.float() / 255).value == pytest.approx(reference(images), rel=1e-5)


def test_white_noise_is_1():
    value, stderr = checkerboard(pixels(noise(600)))
    assert abs(value - 1) < 3 * stderr < 0.3


@pytest.mark.parametrize("amplitude", [1, 3, -10])
def test_a_lattice_of_known_strength(amplitude):
    """1 + n² a² / σ²: the grey of three channels of independent noise has a third of its variance."""
    n = 32 * 32
    images = pixels(noise(400) + amplitude * lattice(32, 32))
    expected = 1 + n * amplitude**2 / ((DEVIATION**2 + 1 / 12) / 3 + 1 / 12)
    value, stderr = checkerboard(images)
    assert abs(value - expected) < 4 * stderr and stderr < 0.2 * expected


def test_a_lattice_in_half_of_the_images_or_of_the_pixels_counts_accordingly():
    whole = 6 * lattice(32, 32)
    part = whole * (np.arange(32) < 16)  # its power is a quarter
    some = noise(400)
    some[::2] += whole
    values = [checkerboard(pixels(x)).value - 1 for x in (noise(400) + whole, some, noise(400) + part)]
    assert values[1] / values[0] == pytest.approx(1 / 2, rel=0.1)
    assert values[2] / values[0] == pytest.approx(1 / 4, rel=0.1)


@pytest.mark.parametrize("period", [(2, 1), (1, 2), (4, 4), (2, 4), (8, 8)])
def test_stripes_and_coarser_lattices_are_no_checkerboard(period):
    value, stderr = checkerboard(pixels(noise(400) + 10 * lattice(32, 32, period)))
    assert abs(value - 1) < 4 * stderr


def test_smooth_images_have_none():
    """Their detail lies below the rounding to grey levels: that of a constant is exactly 1."""
    assert checkerboard(torch.full((9, 3, 32, 32), 77, dtype=torch.uint8)) == (pytest.approx(1), 0)
    rows, columns = np.meshgrid(np.linspace(0, 3, 64), np.linspace(0, 3, 64), indexing="ij")
    rng = np.random.default_rng(0)
    waves = [np.sin(rows * rng.uniform(0.5, 2) + columns * rng.uniform(0.5, 2)) for _ in range(200)]
    smooth = 128 + 100 * np.stack(waves)[:, None]
    plain, marked = (checkerboard(pixels(smooth + a * lattice(64, 64))).value for a in (0, 3))
    assert plain < 2 and marked > 100


def test_the_standard_error_is_the_spread_of_other_images():
    found = [checkerboard(pixels(noise(60, seed) + 2 * lattice(32, 32))) for seed in range(40)]
    values, errors = (np.array(column) for column in zip(*found, strict=True))
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(ddof=1), rel=0.3)


def test_blocks_of_copies_are_fewer_images():
    images = pixels(noise(50) + 2 * lattice(32, 32))
    once, twice = checkerboard(images), checkerboard(images.repeat(2, 1, 1, 1))
    blocks = checkerboard(images.repeat(2, 1, 1, 1), torch.arange(50).repeat(2))
    assert blocks == (pytest.approx(once.value), pytest.approx(once.stderr))
    assert twice.stderr == pytest.approx(once.stderr / 2**0.5, rel=0.1)


def test_one_image_has_no_error():
    assert checkerboard(pixels(noise(1))).stderr is None
    assert checkerboard(pixels(noise(3)), torch.zeros(3, dtype=torch.int64)).stderr is None


@pytest.mark.parametrize("shape", [(1, 31, 32), (1, 32, 31), (1, 14, 32), (1, 32, 14)])
def test_other_sizes_are_refused(shape):
    height, width = shape[1:]
    with pytest.raises(ArgumentError, match=f"even height and width of at least 16, not {height}x{width}"):
        checkerboard(pixels(noise(3, shape=shape)))


class TestTheRecords:
    def test_samples_beside_the_floor(self):
        marked, plain = pixels(noise(40) + 8 * lattice(32, 32)), pixels(noise(80, 1))
        found = sample_quality(marked, plain, plain[:40], data="toys", metrics=["checkerboard"])
        assert [record.subject for record in found] == ["samples", "train"]
        samples, floor = found
        assert samples.value == checkerboard(marked).value > 20 > 3 > floor.value
        assert (samples.better, samples.n, samples.n_reference, samples.features) == ("lower", 40, None, "")
        assert "Nyquist corner over the midmean 2 to 4 frequencies away" in samples.protocol
        assert better_of("checkerboard") == "lower"

    @pytest.mark.parametrize(
        ("sides", "measured"),
        [((16, 16), True), ((28, 64), True), ((14, 32), False), ((33, 32), False), ((32, 33), False)],
    )
    def test_it_is_measured_by_default_where_it_can_be(self, sides, measured):
        assert METRICS["checkerboard"].suits("toys", 100, sides) == measured
        small = pixels(noise(20, shape=(1, *sides)))
        names = {record.metric for record in sample_quality(small, small, small, data="toys")}
        assert ("checkerboard" in names) == measured
        assert Request(metrics=("checkerboard",)).of_samples
