"""Large arrays of an .npz file: the same images as of one in memory, without the memory."""

import gc
import mmap

import numpy as np
import pytest

from genzoo.data import cache, growing, identity, open_data, parts, sealed, streamed
from genzoo.errors import DataError


@pytest.fixture
def mapping(monkeypatch):
    """Give a function that maps every set from now on, however small."""

    def begin():
        for module in (sealed, growing, cache, parts, streamed):
            monkeypatch.setattr(module, "MAPPED", 0)
        monkeypatch.setattr(streamed, "BLOCK", 700)

    return begin


def pictures(*shape):
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


ARRAYS = {
    "channels last": {"images": pictures(50, 6, 5, 3)},
    "channels second": {"images": pictures(50, 3, 6, 5)},
    "grey": {"images": pictures(50, 6, 5), "labels": np.arange(50) % 4},
    "a grey channel": {"images": pictures(50, 6, 5, 1)},
    "its own splits": {
        "x_train": pictures(50, 6, 5, 3),
        "x_test": pictures(20, 6, 5, 3),
        "y_train": np.arange(50),
    },
    "blocks": {"images": pictures(50, 6, 5), "blocks": np.arange(50) // 5},
}


@pytest.mark.parametrize("arrays", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_mapped_npz_is_the_set(tmp_path, arrays, save, mapping):
    path = tmp_path / "a.npz"
    save(path, **arrays)

    def look():
        return [open_data(path, split=split, val_split=0.3) for split in ("train", "test", "fit")]

    expected = [(identity(part), part.labels, part.class_names) for part in look()]
    mapping()
    for part, (name, labels, classes) in zip(look(), expected, strict=True):
        assert identity(part) == name and part.class_names == classes
        assert np.array_equal(part.labels, labels) if labels is not None else part.labels is None
        owner = part.pixels.base if isinstance(part.pixels.base, np.ndarray) else part.pixels
        assert isinstance(owner.base, mmap.mmap)


def test_a_changed_npz_is_read_anew(tmp_path, mapping):
    path = tmp_path / "a.npz"
    mapping()
    for seed in (1, 2):
        images = np.random.default_rng(seed).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
        np.savez(path, images=images)
        found = open_data(path, val_split=0)
        assert np.array_equal(found.pixels, images.transpose(0, 3, 1, 2))
        del found
        gc.collect()


def test_a_stream_that_breaks_off_goes_on(tmp_path, mapping, monkeypatch):
    from genzoo.data import journal

    images = pictures(60, 4, 4, 3)
    np.savez_compressed(tmp_path / "a.npz", images=images)
    mapping()
    monkeypatch.setattr(journal, "LEAST", 5)
    real, rows = streamed._Stream.row, []

    def breaks(self, row):
        rows.append(row)
        if row == 40 and rows.count(40) == 1:
            raise KeyboardInterrupt
        return real(self, row)

    monkeypatch.setattr(streamed._Stream, "row", breaks)
    with pytest.raises(KeyboardInterrupt):
        open_data(tmp_path / "a.npz", val_split=0)
    del rows[:]
    rows.append(40)
    found = open_data(tmp_path / "a.npz", val_split=0)
    assert np.array_equal(found.pixels, images.transpose(0, 3, 1, 2)) and min(rows[1:]) >= 30


def test_dark_arrays_are_told_as_ever(tmp_path, mapping, capsys):
    np.savez(tmp_path / "a.npz", images=pictures(20, 4, 4, 3) // 20)
    mapping()
    open_data(tmp_path / "a.npz", val_split=0)
    assert "the largest number of images is 12 of 255: they are nearly black" in capsys.readouterr().err


def test_an_array_that_is_cut_short_is_one_line(tmp_path, mapping):
    np.savez(tmp_path / "a.npz", images=pictures(20, 4, 4, 3))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[: len(data) // 2])
    mapping()
    with pytest.raises(DataError):
        open_data(tmp_path / "a.npz", val_split=0)


def test_arrays_of_other_kinds_are_read_as_ever():
    assert streamed.is_large((100_000, 64, 64, 3), np.dtype(np.uint8))
    for shape, kind in (((100, 64, 64, 3), "u1"), ((100_000, 64, 64, 3), "f4"), ((10**10,), "u1")):
        assert not streamed.is_large(shape, np.dtype(kind))
