"""Nearest training images."""

import numpy as np
import pytest
import torch

from genzoo.errors import ArgumentError
from genzoo.evaluation import neighbours
from genzoo.evaluation.neighbours import nearest, nearest_images


def images(n, seed=0, size=16):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8))


@pytest.mark.parametrize("chunk", [512, 7])
def test_against_brute_force(monkeypatch, chunk):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    samples, train = images(5), images(40, seed=1)
    found = nearest_images(samples, train, k=3)
    table = (samples[:, None].double() - train[None].double()).div(255).square().sum((2, 3, 4)).sqrt()
    expected = table.sort(dim=1)
    assert torch.equal(found.indices, expected.indices[:, :3])
    assert torch.allclose(found.distances, expected.values[:, :3], rtol=1e-12)


def test_a_copy_is_found_at_distance_zero():
    train = images(600)
    found = nearest_images(train[[577, 3]], train)
    assert found.indices.tolist() == [[577], [3]]
    assert found.distances.tolist() == [[0.0], [0.0]]


def test_features_forgive_a_darker_copy_that_pixels_do_not():
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    angles = torch.arange(12.0)[:, None, None] * np.pi / 12
    train = (0.5 + 0.3 * torch.cos(2 * np.pi * (x * angles.cos() + y * angles.sin()) / 6))[:, None]
    moved = torch.roll(train[[0]], 3, dims=3) * 0.9  # half a wavelength: light where it was dark
    assert nearest_images(moved, train, space="features").indices.item() == 0
    assert nearest_images(moved, train, space="pixels").indices.item() != 0


def test_ties_go_to_the_earlier_image(monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK", 2)
    pool = torch.tensor([[5.0], [1.0], [1.0], [1.0]])
    assert nearest(torch.tensor([[1.0]]), pool, 3).indices.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("k", [0, -1, 41, True, 1.5, "2"])
def test_bad_k(k):
    with pytest.raises(ArgumentError, match="k must be a whole number from 1 to 40"):
        nearest_images(images(2), images(40), k=k)


def test_bad_arguments():
    with pytest.raises(ArgumentError, match="space must be one of pixels, features"):
        nearest_images(images(2), images(4), space="inception")
    with pytest.raises(ArgumentError, match="samples have the shape"):
        nearest_images(images(2), images(4, size=32))


class TestMirrored:
    @pytest.mark.parametrize("space", ["pixels", "features", lambda x: x.flatten(1).double()[:, ::3]])
    def test_a_mirrored_copy_is_found(self, space):
        train = images(40)
        asked = train[[7, 9]].clone()
        asked[0] = asked[0].flip(2)
        found = nearest_images(asked, train, k=3, space=space, mirrored=True)
        assert found.indices[:, 0].tolist() == [7, 9] and found.mirrored[:, 0].tolist() == [True, False]
        plain = nearest_images(asked, train, k=3, space=space)
        assert not plain.mirrored.any() and plain.distances[0, 0] > 10 * found.distances[0, 0]

    def test_against_brute_force(self):
        samples, train = images(5), images(12, seed=1)
        # near either way, and yet shown once
        train[3] = (train[3].float() + train[3].flip(2).float()).div(2).to(torch.uint8)
        found = nearest_images(samples, train, k=6, mirrored=True)
        ways = [nearest_images(samples, way, k=12) for way in (train, train.flip(3))]
        # (2, 5, 12), by image
        table = torch.stack([way.distances.gather(1, way.indices.argsort(1)) for way in ways])
        least, way = table.min(0)
        expected, order = least.sort(dim=1)
        assert torch.allclose(found.distances, expected[:, :6], rtol=1e-12)
        assert torch.equal(found.indices, order[:, :6])
        assert torch.equal(found.mirrored, way.gather(1, order)[:, :6] == 1)


def test_features_of_ones_own_are_compared_as_they_are():
    samples, train = images(4), images(30, seed=1)
    found = nearest_images(samples, train, k=2, space=lambda x: x.double().mean((2, 3)))
    table = torch.cdist(samples.double().mean((2, 3)), train.double().mean((2, 3)))
    assert torch.equal(found.indices, table.argsort(dim=1)[:, :2])
    assert torch.allclose(found.distances, table.sort(dim=1).values[:, :2])
