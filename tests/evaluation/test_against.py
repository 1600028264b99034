"""Samples against training images, or against statistics and features of the user's own."""

import numpy as np
import pytest
import torch
import toys

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError, DataError, StorageError
from genzoo.evaluation import FeatureSpace, against
from genzoo.evaluation.against import measure_against
from genzoo.evaluation.distances import fid, fid_to
from genzoo.evaluation.scoring import score_model
from genzoo.models.model import GenerativeModel
from genzoo.record import FLOOR
from genzoo.request import Request

WIDTH = 8


def image_set(n, seed, split):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)
    return Images(pixels=pixels, name="noise", split=split)


TRAIN, TEST = image_set(60, 0, "train"), image_set(20, 1, "test")
MODEL = toys.gan(image_shape=(1, 8, 8)).eval()


def means(images, progress=None):
    return torch.as_tensor(images).float().mean(3).flatten(1).double()


@pytest.fixture(autouse=True)
def space(monkeypatch, tmp_path):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    made = FeatureSpace(name="means@000000000000", describe=means)
    monkeypatch.setattr(against, "feature_space", lambda name, images: made)
    return made


def measured(**asked):
    return list(measure_against(MODEL, TRAIN, TEST, Request(**asked), subject="toy"))


def samples(n):
    return means(MODEL.sample(n, 0, dtype=torch.uint8))


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_the_distance_to_statistics_is_that_to_the_features_they_are_of():
    noise = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, dtype=torch.float64, generator=noise)
    y = x[:400] * torch.arange(1, 7) + 1
    mean, covariance = y.mean(0), torch.cov(y.T)
    assert fid_to(x, mean, covariance) == pytest.approx(fid(x, y), rel=1e-9)
    assert fid_to(y, mean, covariance) == pytest.approx(0, abs=1e-9)


def test_a_singular_covariance_is_no_obstacle():
    y = torch.randn(5, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert fid_to(y, y.mean(0), torch.cov(y.T)) == pytest.approx(0, abs=1e-6)


def test_against_the_training_images():
    records = measured(reference="train")
    assert [record.metric for record in records[:3]] == ["kid", "fid", "precision"]
    assert {(record.subject, record.n, record.n_reference) for record in records} == {
        ("toy", 60, 60),
        (FLOOR, 20, 60),
    }
    assert {record.split for record in records} == {"train"}
    assert all("all 60 training images" in record.protocol for record in records)
    assert all(record.note.startswith(against.REAL) == (record.subject == FLOOR) for record in records)
    assert records[1].value == pytest.approx(fid(samples(60), means(TRAIN.pixels)))


def test_more_samples_than_training_images():
    (own, floor) = measured(reference="train", n=100, metrics=["fid"])
    assert (own.n, own.n_reference, floor.n) == (100, 60, 20)


def test_against_a_file_of_statistics(tmp_path):
    rows = means(image_set(70, 5, "other").pixels).numpy()
    path = saved(tmp_path / "other.npz", mu=rows.mean(0), sigma=np.cov(rows, rowvar=False))
    own, floor = measured(reference=str(path), n=40)
    assert own.value == pytest.approx(fid(samples(40), torch.from_numpy(rows)))
    assert (own.metric, own.n, own.n_reference, floor.subject) == ("fid", 40, None, FLOOR)
    assert "other.npz, sha256 " in own.protocol and against.NOT_USUAL in own.note


def test_against_a_file_of_features(tmp_path):
    rows = means(image_set(70, 5, "other").pixels)
    path = saved(tmp_path / "other.npz", features=rows.numpy().astype("float32"))
    found = {record.metric: record for record in measured(reference=path, n=40) if record.subject == "toy"}
    assert set(found) == {"kid", "fid", "precision", "recall", "density", "coverage"}
    assert found["fid"].value == pytest.approx(fid(samples(40), rows))
    assert found["kid"].stderr > 0 and found["kid"].n_reference == 70


STATISTICS = {"mu": np.zeros(8), "sigma": np.eye(8)}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "no arrays"),
        ({"mu": np.zeros(8)}, "but mu"),
        ({"mu": np.zeros(8), "sigma": np.eye(7)}, "not float64 \\(7, 7\\)"),
        ({"mu": np.full(8, np.nan), "sigma": np.eye(8)}, "finite numbers"),
        ({"mu": np.arange(8), "sigma": np.eye(8)}, "int64"),
        ({"features": np.zeros((3, 8, 1))}, "features \\(M, F\\)"),
        ({"features": np.array([object()])}, "no .npz file of numbers"),
    ],
)
def test_what_is_no_reference_is_one_line(tmp_path, arrays, words):
    with pytest.raises(DataError, match=words):
        measured(reference=saved(tmp_path / "wrong.npz", **arrays), n=40)


@pytest.mark.parametrize(
    ("asked", "arrays", "words"),
    [
        ({}, {"mu": np.zeros(5), "sigma": np.eye(5)}, "5 features, but means@000000000000 has 8"),
        ({"metrics": ["kid"]}, STATISTICS, "the Fréchet distance alone"),
        ({"metrics": ["swd"]}, STATISTICS, "swd is measured against held-out images, not against a file"),
    ],
)
def test_what_cannot_be_measured_is_one_line(tmp_path, asked, arrays, words):
    with pytest.raises(ArgumentError, match=words):
        measured(reference=saved(tmp_path / "some.npz", **arrays), n=40, **asked)


def test_statistics_of_features_that_are_standardised(tmp_path, monkeypatch):
    scaled = FeatureSpace(name="means@000000000000", describe=means, standardised=True)
    monkeypatch.setattr(against, "feature_space", lambda name, images: scaled)
    with pytest.raises(ArgumentError, match="training images standardise"):
        measured(reference=saved(tmp_path / "some.npz", **STATISTICS), n=40)
    assert measured(reference="train", metrics=["fid"])[0].protocol.count("standardised by 60") == 1


def test_files_that_are_not_there_or_no_archive(tmp_path):
    with pytest.raises(StorageError, match=r"none\.npz"):
        measured(reference=tmp_path / "none.npz", n=40)
    (tmp_path / "text.npz").write_text("mu")
    with pytest.raises(DataError, match="of numbers"):
        measured(reference=tmp_path / "text.npz", n=40)


def test_the_request_decides():
    assert Request(reference="train").of_samples
    (record, *_) = score_model(MODEL, TRAIN, TEST, Request(reference="train", metrics=["fid"]), subject="toy")
    assert record.split == "train" and isinstance(MODEL, GenerativeModel)
    with pytest.raises(ArgumentError, match="reference must be 'train' or"):
        Request(reference=7)
    with pytest.raises(ArgumentError, match="reads_as"):
        Request(reference="train", reads_as="bedroom")
