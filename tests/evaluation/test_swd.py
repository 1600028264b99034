"""Sliced Wasserstein distance of Laplacian patches: laws, and the definition written a second time."""

import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from genzoo.errors import ArgumentError
from genzoo.evaluation import swd as module
from genzoo.evaluation.swd import levels, patches_per_image, swd, swd_many


def scenes(n, size=32, channels=3, seed=0):
    """Smooth random pictures with some detail, uint8."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((n, channels, 5, 5), dtype=np.float32))
    smooth = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    return (255 * (smooth * 0.8 + torch.from_numpy(rng.random(smooth.shape, dtype=np.float32)) * 0.2)).to(
        torch.uint8
    )


def rooms(n, seed=0):
    """Random pictures (n, 1, 32, 32) with hard edges: white noise in detail would look the same after
    normalisation."""
    blocks = torch.from_numpy(np.random.default_rng(seed).random((n, 1, 8, 8), dtype=np.float32))
    return (40 + 160 * F.interpolate(blocks, scale_factor=4, mode="nearest")).to(torch.uint8)


def blurred(images, times):
    x = images.float()
    for _ in range(times):
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1)
    return x.round().to(torch.uint8)


def mean(found):
    assert found.mean.value == sum(own.value for own in found.levels.values()) / len(found.levels)
    return found.mean.value


def test_levels_end_at_sixteen():
    assert levels(64, 64) == [64, 32, 16]
    assert levels(28, 28) == [28]
    assert levels(24, 40) == [24]
    assert levels(33, 65) == [33, 17]
    assert levels(8, 8) == [8]


def test_patches_are_bounded():
    assert patches_per_image(438) == 128
    assert patches_per_image(4096) == 64
    assert patches_per_image(10**7) == 1


def test_equal_sets_are_at_distance_zero():
    x = scenes(20)
    assert swd(x, x.clone()) == ((0.0, 0.0), {32: (0.0, 0.0), 16: (0.0, 0.0)})


def test_more_blur_and_more_noise_are_farther():
    x, y = rooms(60), rooms(60, seed=1)
    floor = swd(x, y)
    values = [mean(floor)] + [mean(swd(blurred(x, times), y)) for times in (1, 3)]
    assert values == sorted(values)
    assert values[1] > 1.5 * values[0]
    noise = torch.from_numpy(np.random.default_rng(2).normal(0, 1, x.shape)).float()
    noisy = [(x.float() + sigma * noise).clamp(0, 255).to(torch.uint8) for sigma in (5, 15, 40)]
    values = [swd(images, y).levels[32].value for images in noisy]
    assert values == sorted(values)
    assert values[2] > 2 * floor.levels[32].value


def test_noise_in_detail_shows_at_its_scale():
    """A fine checkerboard lives at the first level only."""
    x, y = scenes(60), scenes(60, seed=1)
    board = ((torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2 - 1) * 20
    found, floor = swd((x.float() + board).clamp(0, 255).to(torch.uint8), y), swd(x, y)
    assert found.levels[32].value > 5 * floor.levels[32].value
    assert found.levels[16].value < 1.5 * floor.levels[16].value + 5


def test_the_pyramid_sums_to_the_image():
    x = scenes(2, 64).float()
    fine, middle, coarse = (module._pyramid_level(x, level) for level in range(3))
    assert coarse.shape == (2, 3, 16, 16)

    def up(small):
        big = torch.zeros(*small.shape[:2], small.shape[2] * 2, small.shape[3] * 2)
        big[:, :, ::2, ::2] = small
        return 4 * module._smooth(big)

    assert torch.allclose(fine + up(middle + up(coarse)), x, atol=1e-3)


def test_smoothing_is_the_binomial_filter():
    x = scenes(2).float()
    kernel = torch.outer(*[torch.tensor([1.0, 4, 6, 4, 1]) / 16] * 2).expand(3, 1, 5, 5)
    expected = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)
    assert torch.allclose(module._smooth(x), expected, atol=1e-3)


def test_smoothing_rounds_in_the_order_that_published_numbers_have():
    """Products first, then sums from the first shift to the last, along one axis after the other."""
    x = found = 255 * torch.rand(2, 3, 19, 24, generator=torch.Generator().manual_seed(0))
    for axis, padding in ((2, (0, 0, 2, 2)), (3, (2, 2, 0, 0))):
        padded = F.pad(found, padding, mode="reflect")
        parts = [
            padded.narrow(axis, i, x.shape[axis]) * weight / 16 for i, weight in enumerate([1, 4, 6, 4, 1])
        ]
        found = (((parts[0] + parts[1]) + parts[2]) + parts[3]) + parts[4]
    assert torch.equal(module._smooth(x), found)


def test_every_half_of_the_pieces_of_a_level_has_as_much_to_do():
    pieces = module._pieces(10)
    groups, batches = [(part, 0) for part in range(10)], [(None, 64 * batch) for batch in range(8)]
    assert sorted(pieces, key=str) == sorted([*groups, *batches], key=str)
    for kind in (groups, batches):
        assert [piece for piece in pieces if piece in kind] == kind
        assert len([piece for piece in pieces[:9] if piece in kind]) == len(kind) // 2
    assert module._pieces(0) == batches


def test_the_patches_of_one_level_are_in_memory(monkeypatch):
    made, own, most = weakref.WeakSet(), module._patches, []

    def patches(images, level, seed):
        most.append(len(made))
        found = own(images, level, seed)
        made.add(found)
        return found

    monkeypatch.setattr(module, "_patches", patches)
    swd(scenes(12, 64), scenes(12, 64, seed=1))
    assert most == [0, 1] * 3


def test_patches_are_cut_and_normalised():
    x = scenes(3)
    x[:, 0] = x[:, 0] // 4 + 100
    patches = module._normalised(module._patches(x, 1, 0)).view(3 * 128, 3, 49)
    assert patches.mean((0, 2)).abs().max() < 1e-4
    assert (patches.std((0, 2), correction=0) - 1).abs().max() < 1e-4, "per channel, over all patches"
    places = torch.tensor([[[0.0, 0.0], [0.999, 0.999]]]).double()
    first, last = module._cut(x[:1].float(), places).view(2, 3, 7, 7)
    assert torch.equal(first, x[0, :, :7, :7].float())
    assert torch.equal(last, x[0, :, 25:, 25:].float())


def test_distance_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    a, b = torch.randn(2, 100, 5, 1, 49, generator=torch.Generator().manual_seed(0))
    b = b.exp()
    directions = module.Rng(3, 0, 40).normal(49)
    directions /= directions.norm(dim=1, keepdim=True)
    (found,) = module._distances([module._normalised(x) for x in (a, b)], directions)
    rows = [(x.flatten(0, 1) - x.mean()).div(x.std(correction=0)).flatten(1) for x in (a, b)]
    expected = [stats.wasserstein_distance(*((x @ d).numpy() for x in rows)) for d in directions]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


def test_sides_of_different_numbers_are_compared_by_quantiles():
    """Blocks of unequal size leave more images on one side than on the other."""
    values = np.sort(np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32))
    assert np.array_equal(module._at(values, 1000), values)
    expected = np.quantile(values, (np.arange(900) + 0.5) / 900, axis=1).T
    assert np.abs(module._at(values, 900) - expected)[:, 50:-50].max() < 0.03
    assert np.array_equal(module._at(values, 500), values[:, 1::2])


def test_many_sets_share_one_reference():
    x, y, reference = scenes(10), scenes(10, seed=1), scenes(10, seed=2)
    assert swd_many([x, y], reference, seed=4) == [swd(x, reference, seed=4), swd(y, reference, seed=4)]
    assert swd(x, reference, seed=5) != swd(x, reference, seed=4)


def test_flat_images_are_no_division_by_zero():
    flat = torch.full((4, 1, 16, 16), 90, dtype=torch.uint8)
    assert 0 < swd(flat, scenes(4, 16, 1)).levels[16].value < 2000
    assert swd(flat, flat + 1).levels == {16: (0.0, 0.0)}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 24, 40), (3, 17, 35)])
def test_any_shape(shape):
    rng = np.random.default_rng(0)
    x, y = (torch.from_numpy(rng.integers(0, 256, (5, *shape), dtype=np.uint8)) for _ in range(2))
    assert list(swd(x, y).levels) == levels(*shape[1:])


def test_bad_sets_are_refused():
    with pytest.raises(ArgumentError, match="equally many images on both sides, not 4, 5"):
        swd(scenes(4), scenes(5))
    with pytest.raises(ArgumentError, match="shape"):
        swd(scenes(4), scenes(4, 16))
