"""Features of real images in the cache: computed once, found again for the same pixels in the same space
only, and computed again where they are damaged."""

import stat

import pytest
import torch

from genzoo import show
from genzoo.evaluation import FeatureSpace, sample_quality
from genzoo.evaluation.kept import described_once, narrow
from genzoo.hub import store


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def pictures(n, seed=0):
    noise = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, 8, 8), generator=noise, dtype=torch.uint8)


def counting(asked, name="means@0123456789ab", **more):
    def describe(images, progress=None):
        asked.append(len(images))
        return images.float().mean(3).flatten(1).double() / 3

    return FeatureSpace(name=name, describe=describe, **more)


def test_they_are_computed_once():
    asked, x = [], pictures(20)
    found = [described_once(counting(asked), x) for _ in range(3)]
    assert asked == [20]
    assert all(torch.equal(rows, found[0]) and rows.dtype == found[0].dtype for rows in found)


@pytest.mark.parametrize("other", ["pixels", "order", "number", "space", "device"])
def test_anything_else_is_computed(other):
    asked, x = [], pictures(20)
    described_once(counting(asked), x)
    images = {"pixels": x ^ 1, "order": x.flip(0), "number": x[:19]}.get(other, x)
    more = {"space": {"name": "means@ba9876543210"}, "device": {"device": "cuda"}}.get(other, {})
    described_once(counting(asked, **more), images)
    assert len(asked) == 2


def test_a_damaged_file_is_computed_again(cache):
    asked, x = [], pictures(20)
    whole = described_once(counting(asked), x)
    (path,) = cache.glob("*/*.features")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    blob = bytearray(path.read_bytes())
    blob[-40] ^= 1
    path.write_bytes(blob)
    assert torch.equal(described_once(counting(asked), x), whole) and asked == [20, 20]
    assert [entry.kind for entry in store.entries()] == ["features"]


def test_a_cache_that_cannot_be_written_costs_nothing_else(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(show, "_is_program", True)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "file"))
    asked = []
    assert len(described_once(counting(asked), pictures(8))) == 8
    assert len(asked) == 1 and "features are not kept" in (said := capsys.readouterr().err)
    assert "set GENZOO_CACHE" in said


def test_float32_where_it_loses_nothing():
    exact, fine = torch.randn(5000, 3).double(), torch.full((5000, 3), 0.1, dtype=torch.float64)
    assert narrow(exact).dtype == torch.float32 and torch.equal(narrow(exact).double(), exact)
    assert narrow(fine) is fine
    mixed = exact.clone()
    mixed[-1, -1] = 0.1  # one value, in the last block
    assert narrow(mixed) is mixed


def test_only_real_images_are_kept(cache):
    """The samples of a second model are described, the images that they are compared with are not."""
    asked = []
    space = counting(asked, standardised=True)
    for seed in (1, 2):
        sample_quality(pictures(12, seed), pictures(30, 8), pictures(12, 9), metrics=["kid"], space=space)
    assert asked == [30, 12, 12, 12]
    assert len(list(cache.glob("*/*.features"))) == 2
