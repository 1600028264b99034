"""Copying: whether samples lie nearer to the training images than unseen images do."""

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.neighbors import NearestNeighbors

from genzoo.data.collection import Images
from genzoo.evaluation import copying
from genzoo.evaluation.copying import nearest_distances, share_nearer


def pictures(n, seed, low=0, high=256):
    return torch.from_numpy(np.random.default_rng(seed).integers(low, high, (n, 3, 8, 8), dtype=np.uint8))


@pytest.fixture(params=[2048, 7])
def chunk(request, monkeypatch):
    monkeypatch.setattr(copying, "CHUNK", request.param)


def test_distances_are_those_of_another_implementation(chunk):
    queries, train = pictures(10, 0), pictures(30, 1)
    search = NearestNeighbors(n_neighbors=1).fit(train.flatten(1).double().numpy() / 255)
    expected = search.kneighbors(queries.flatten(1).double().numpy() / 255)[0][:, 0]
    assert nearest_distances(queries, train).numpy() == pytest.approx(expected, rel=1e-6)
    as_set = Images(pixels=train.numpy())
    assert torch.equal(nearest_distances(queries, as_set), nearest_distances(queries, train))


def test_a_copy_is_at_zero_and_an_image_is_not_its_own_neighbour(chunk):
    train = pictures(30, 1)
    assert (nearest_distances(train[[3, 29]], train) == 0).all()
    places = torch.tensor([3, -1])
    own, copied = nearest_distances(train[[3, 29]], train, places).tolist()
    others = torch.cat([train[:3], train[4:]])
    assert (
        own == pytest.approx(float(nearest_distances(train[3:4], others)), rel=1e-12)
        and own > 0
        and copied == 0
    )


def test_the_share_is_the_statistic_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, 40).round(1), rng.normal(0.3, 1, 30).round(1)  # with ties
    found = share_nearer(torch.from_numpy(x), torch.from_numpy(y))
    assert found.value == pytest.approx(1 - mannwhitneyu(x, y).statistic / (40 * 30), rel=1e-12)
    assert share_nearer(torch.zeros(4), torch.ones(4)) == (1.0, 0.0) and share_nearer(
        torch.ones(4), torch.zeros(4)
    ) == (0.0, 0.0)
    assert share_nearer(torch.ones(4), torch.ones(5)) == (0.5, 0.0)


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_its_error_is_honest(shift):
    draw = np.random.default_rng(0)
    found = [
        share_nearer(torch.from_numpy(draw.normal(0, 1, 60)), torch.from_numpy(draw.normal(shift, 1, 50)))
        for _ in range(300)
    ]
    ratio = np.mean([stderr for _, stderr in found]) / np.std([value for value, _ in found])
    assert 0.9 < ratio < 1.1
