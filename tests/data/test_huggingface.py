"""`hf:` data sets, with a stand-in for the library `datasets`: what is asked of it, and what becomes of its answers."""

import sys
import types

import numpy as np
import pytest

from genzoo.data import open_data
from genzoo.errors import DataError


class Image:
    def __init__(self, decode=True):
        self.decode = decode


class Table:
    def __init__(self, cells, decoded=True):
        self.cells, self.decoded = cells, decoded
        self.features = {"id": int, "photo": Image(), "label": int}

    def cast_column(self, name, kind):
        assert name == "photo" and not kind.decode
        return Table(self.cells, decoded=False)

    def __getitem__(self, name):
        assert name != "photo" or not self.decoded, "genzoo decodes itself"
        return self.cells if name == "photo" else list(range(len(self.cells)))


@pytest.fixture
def hub(make, monkeypatch):
    """Put a library into place that knows one data set; return its splits."""
    cells = [{"bytes": make.encoded(make.photo(seed=i)), "path": None} for i in range(30)]
    splits = {"train": Table(cells[:20]), "test": Table(cells[20:])}

    def names(repo):
        if repo != "me/photos":
            raise ConnectionError(f"no {repo}\x1b[31m")
        return list(splits)

    library = types.SimpleNamespace(
        get_dataset_split_names=names, load_dataset=lambda repo, split: splits[split], Image=Image, __version__="4.0.0"
    )
    monkeypatch.setitem(sys.modules, "datasets", library)
    return splits


def test_the_splits_of_the_set_are_used(hub, make):
    train, test = (open_data("hf:me/photos", split=split) for split in ("train", "test"))
    assert len(train) == 20 and len(test) == 10 and test.split == "test" and train.shape == (3, 16, 20)
    assert np.array_equal(train.pixels[3], make.photo(seed=3).transpose(2, 0, 1)) and train.labels[3] == 3
    assert train.facts["source"] == "https://huggingface.co/datasets/me/photos"


def test_one_split_is_divided(hub):
    parts = [open_data("hf:me/photos:train:photo", split=split, image_shape=(1, 8, 8), held_out=0.3) for split in ("train", "test")]
    assert sum(map(len, parts)) == 20 and all(map(len, parts)) and parts[0].shape == (1, 8, 8)
    del hub["test"]
    assert len(open_data("hf:me/photos", split="test", held_out=0.3)) == len(parts[1])


def test_broken_rows_are_left_out_with_their_labels(hub, capsys):
    hub["train"].cells[2] = {"bytes": b"no image", "path": None}
    hub["train"].cells[4] = None
    images = open_data("hf:me/photos")
    assert dict(images.skipped) == {"corrupt": 1, "absent": 1} and 2 not in images.labels and 4 not in images.labels
    assert "skipped 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("hf:photos", "does not name a data set of the Hugging Face Hub — write hf:owner/dataset"),
        ("hf:", "does not name"),
        ("hf:a/b/c", "does not name"),
        ("hf:me/other", "me/other could not be fetched: ConnectionError: no me/other"),
        ("hf:me/photos:trian", "has no split 'trian'; did you mean 'train'?"),
        ("hf:me/photos:train:label", "no column 'label' of images — columns: id, photo, label"),
    ],
)
def test_what_is_wrong_is_one_line(hub, spec, words):
    with pytest.raises(DataError) as caught:
        open_data(spec)
    assert words in str(caught.value) and "\x1b" not in str(caught.value)


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"need the library 'datasets' .* — pip install 'genzoo\[data\]'"):
        open_data("hf:me/photos")
