"""`hf:` data sets, with a stand-in for the library `datasets`: what is asked of it, and what becomes of its
answers."""

import os
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


def test_deep_images_and_names_of_classes(hub, make, capsys):
    deep = [
        {
            "bytes": make.encoded((np.arange(320).reshape(16, 20) * (11 + i % 2)).astype(np.uint16)),
            "path": None,
        }
        for i in range(20)
    ]
    hub["train"] = Table(deep)
    hub["train"].features["label"] = types.SimpleNamespace(names=[f"class {i}" for i in range(20)])
    images = open_data("hf:me/photos", image_shape=(1, 16, 20))
    assert set(images.pixels.max((1, 2, 3)).tolist()) == {
        round(319 * 11 * 255 / 4095),
        round(319 * 12 * 255 / 4095),
    }
    assert images.class_names[:2] == ("class 0", "class 1") and images.labels.dtype == np.int64
    assert (
        "hf:me/photos:train: deep images with values up to 3,828: read as 12-bit" in capsys.readouterr().err
    )


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
        get_dataset_split_names=names,
        load_dataset=lambda repo, split: splits[split],
        Image=Image,
        __version__="4.0.0",
    )
    monkeypatch.setitem(sys.modules, "datasets", library)
    return splits


def test_the_splits_of_the_set_are_used(hub, make):
    train, test = (open_data("hf:me/photos", split=split) for split in ("train", "test"))
    assert len(train) == 20 and len(test) == 10 and test.split == "test" and train.shape == (3, 16, 20)
    assert np.array_equal(train.pixels[3], make.photo(seed=3).transpose(2, 0, 1)) and train.labels[3] == 3
    assert train.facts["source"] == "https://huggingface.co/datasets/me/photos"


def test_one_split_is_divided(hub):
    parts = [
        open_data("hf:me/photos:train:photo", split=split, image_shape=(1, 8, 8), val_split=0.3)
        for split in ("train", "test")
    ]
    assert sum(map(len, parts)) == 20 and all(map(len, parts)) and parts[0].shape == (1, 8, 8)
    del hub["test"]
    assert len(open_data("hf:me/photos", split="test", val_split=0.3)) == len(parts[1])


def test_broken_rows_are_left_out_with_their_labels(hub, capsys):
    hub["train"].cells[2] = {"bytes": b"no image", "path": None}
    hub["train"].cells[4] = None
    images = open_data("hf:me/photos")
    assert (
        dict(images.skipped) == {"corrupt": 1, "absent": 1}
        and 2 not in images.labels
        and 4 not in images.labels
    )
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


def test_a_training_split_alone_is_divided_for_both_sides(hub):
    del hub["test"]
    train, test = (open_data("hf:me/photos", split=split, val_split=0.3) for split in ("train", "test"))
    assert len(train) + len(test) == 20 and not set(train.labels) & set(test.labels) and 1 < len(test) < 12


@pytest.mark.parametrize("version", ["3.6.0", "2.20.0", "", "x", "٤.0", None])
def test_a_library_that_may_run_scripts_is_refused(hub, monkeypatch, version):
    monkeypatch.setattr(sys.modules["datasets"], "__version__", version, raising=False)
    with pytest.raises(DataError, match=r"may run the scripts of a data set — pip install 'datasets>=4'"):
        open_data("hf:me/photos")


def test_files_of_this_machine_are_no_images_of_the_data_set(hub, make, tmp_path, monkeypatch, capsys):
    secret = tmp_path / "secret.png"
    secret.write_bytes(make.encoded(make.photo(seed=99)))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    home = tmp_path / "hub" / "datasets--me--photos" / "snapshots" / "0"
    other = tmp_path / "hub" / "datasets--you--photos" / "own.png"
    for folder in (home, other.parent):
        folder.mkdir(parents=True)
    for path in (home / "own.png", other):
        path.write_bytes(make.encoded(make.photo(seed=98)))
    (home / "link.png").symlink_to(secret)
    os.mkfifo(home / "pipe.png")
    upwards = home / ".." / ".." / ".." / "datasets--you--photos" / "own.png"
    bad = [secret, home / "link.png", upwards, other, home / "pipe.png", "a\0b", 3, ""]
    hub["train"].cells[1:9] = [
        {"bytes": None, "path": path if isinstance(path, int) else str(path)} for path in bad
    ]
    hub["train"].cells[9] = {"bytes": None, "path": str(home / "own.png")}
    images = open_data("hf:me/photos")
    assert sum(images.skipped.values()) == 8 and images.labels[0] == 0 and 9 in images.labels
    shown = {image.tobytes() for image in images.pixels}
    assert (
        make.photo(seed=98).transpose(2, 0, 1).tobytes() in shown
        and make.photo(seed=99).transpose(2, 0, 1).tobytes() not in shown
    )


def test_the_first_image_may_be_absent(hub):
    hub["train"].cells[0] = {"bytes": None, "path": "/etc/hostname"}
    with pytest.raises(
        DataError,
        match="the first image of hf:me/photos:train is outside of the data set — give an image_shape",
    ):
        open_data("hf:me/photos")
    assert len(open_data("hf:me/photos", image_shape=(3, 8, 8))) == 19


def test_another_content_of_the_same_name_is_decoded_anew(hub, make):
    open_data("hf:me/photos")
    hub["train"].cells[5] = {"bytes": make.encoded(make.photo(seed=77)), "path": None}
    assert make.photo(seed=77).transpose(2, 0, 1).tobytes() in {
        image.tobytes() for image in open_data("hf:me/photos").pixels
    }


def test_a_column_of_classes_may_have_any_name(hub):
    named = types.SimpleNamespace(names=[f"class {i}" for i in range(20)])
    hub["train"].features = {"photo": Image(), "scene": named}
    images = open_data("hf:me/photos")
    assert images.class_names[3] == "class 3" and images.labels[3] == 3
    hub["train"].features["coarse"] = named
    images = open_data("hf:me/photos")
    assert images.labels is None and "the columns scene, coarse" in images.facts["labels"]
    hub["train"].features = {"photo": Image(), "fine": named, "label": int}
    assert open_data("hf:me/photos").class_names == tuple(map(str, range(20)))


def test_a_column_of_texts_gives_captions_that_stay_with_their_images(hub, make, monkeypatch, capsys):
    texts = [[f"photo {number}", "again"] if number % 2 else f"photo {number}" for number in range(20)]
    table = hub["train"]
    table.features["text"] = str
    hub["train"].cells[4] = {"bytes": b"no image", "path": None}
    plain = Table.__getitem__
    monkeypatch.setattr(
        Table, "__getitem__", lambda self, name: texts if name == "text" else plain(self, name)
    )
    found = open_data("hf:me/photos")
    assert len(found) == 19 and found.captions[3:5] == (("photo 3", "again"), ("photo 5", "again"))
    assert np.array_equal(found.pixels[4], make.photo(seed=5).transpose(2, 0, 1))
    texts[7] = None
    found = open_data("hf:me/photos", cache=False)
    assert found.captions is None and "the column 'text'" in found.facts["captions"]
    assert "captions are not used: the column 'text': " in capsys.readouterr().err
