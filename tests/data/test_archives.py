"""Images in shards of WebDataset and in tables of Parquet: the same set as a folder, however they are cut."""

import io
import json
import os
import sys
import tarfile

import numpy as np
import pytest

from genzoo.data import archives, identity, open_data, parquet
from genzoo.data.captions import captions_for
from genzoo.data.opening import native_shape, open_both
from genzoo.errors import ArgumentError, DataError

SHAPE = (3, 16, 20)


def shards(root, samples, cuts=1, name="shard-{:04}.tar", reverse=False):
    """Write `samples` (name of a file -> bytes) as so many tar files."""
    root.mkdir(parents=True, exist_ok=True)
    every = sorted(samples.items(), reverse=reverse)
    size = -(-len(every) // cuts)
    for number in range(cuts):
        with tarfile.open(root / name.format(number), "w") as archive:
            for file, data in every[number * size : (number + 1) * size]:
                about = tarfile.TarInfo(file)
                about.size = len(data)
                archive.addfile(about, io.BytesIO(data))
    return root


@pytest.fixture
def pictures(make):
    """Give the contents of thirty PNGs by their names."""
    return {f"{i:03}.png": make.encoded(make.photo(seed=i)) for i in range(30)}


def as_folder(root, samples):
    for name, data in samples.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_shards_are_the_folder_that_they_were_made_of(tmp_path, pictures):
    """One identity: a run on the folder goes on with the shards."""
    folder = as_folder(tmp_path / "folder", pictures)
    for split in ("train", "test", "valid", "fit"):
        names = {
            identity(open_data(spec, image_shape=SHAPE, split=split))
            for spec in (
                folder,
                shards(tmp_path / "one", pictures),
                shards(tmp_path / "five", pictures, 5),
                shards(tmp_path / "back", pictures, 3, "x{}.tar", reverse=True),
                shards(tmp_path / "single", pictures) / "shard-0000.tar",
            )
        }
        assert len(names) == 1


def test_a_shard_that_is_added_is_read_alone(tmp_path, pictures, make, monkeypatch):
    from genzoo.data import source

    root = shards(tmp_path / "set", pictures, 3)
    open_data(root, image_shape=SHAPE)
    shards(root, {"new.png": make.encoded(make.photo(seed=99))}, name="another.tar")
    opened = []
    real = archives.Source

    def counted(**fields):
        decode = fields.get("decode", source.decode)
        return real(**{**fields, "decode": lambda *how: opened.append(1) or decode(*how)})

    monkeypatch.setattr(archives, "Source", counted)
    train, test = open_both(root, image_shape=SHAPE)
    assert len(opened) == 1 and len(train) + len(test) == 31


def test_a_shard_that_changed_is_read_anew(tmp_path, pictures, make):
    root = shards(tmp_path / "set", pictures, 3)
    before = open_data(root, image_shape=SHAPE, val_split=0).pixels.copy()
    pictures["003.png"] = make.encoded(make.photo(seed=88))
    shards(root, pictures, 3)
    after = open_data(root, image_shape=SHAPE, val_split=0)
    expected = open_data(as_folder(tmp_path / "folder", pictures), image_shape=SHAPE, val_split=0)
    assert identity(after) == identity(expected) and not np.array_equal(before, after.pixels)


def test_a_listing_is_made_once(tmp_path, pictures, monkeypatch):
    from genzoo.data import tar

    texts = {name.replace(".png", ".txt"): b"a text" for name in pictures}
    root = shards(tmp_path / "set", pictures | texts, 2)
    open_data(root, image_shape=SHAPE)

    def fails(path):
        raise AssertionError("listed again")

    monkeypatch.setattr(tar, "entries", fails)
    images = open_data(root, image_shape=SHAPE, val_split=0)
    assert len(images) == 30 and images.captions[0] == ("a text",)


def test_another_class_of_the_same_images_is_seen(tmp_path, pictures):
    for label in (b"cat", b"dog"):
        for name in [name for name in pictures if name.endswith(".png")]:
            pictures[name.replace(".png", ".cls")] = label
        pictures["000.cls"] = b"ape"
        root = shards(tmp_path / "set", pictures, 2)
        assert open_data(root, image_shape=SHAPE, val_split=0).class_names == ("ape", label.decode())


def test_classes_and_captions_of_samples(tmp_path, pictures):
    for i in range(30):
        pictures[f"{i:03}.cls"] = str(i % 3 + 7 * (i % 3 == 2)).encode()
        pictures[f"{i:03}.txt"] = f"picture {i}\n\nof many".encode()
    images = open_data(shards(tmp_path / "set", pictures, 3), image_shape=SHAPE, val_split=0)
    order = [int(captions[0].split()[1]) for captions in images.captions]
    assert sorted(order) == list(range(30)) and images.captions[0][1] == "of many"
    assert images.labels.tolist() == [i % 3 + 7 * (i % 3 == 2) for i in order]
    again = open_data(tmp_path / "set", image_shape=SHAPE, val_split=0)
    assert again.labels.tolist() == images.labels.tolist() and again.captions == images.captions


def test_json_tells_as_well(tmp_path, pictures):
    for i in range(30):
        pictures[f"{i:03}.json"] = json.dumps({"label": f"kind {i % 2}", "text": f"number {i}"}).encode()
    images = open_data(shards(tmp_path / "set", pictures), image_shape=SHAPE, val_split=0)
    assert images.class_names == ("kind 0", "kind 1")
    for label, (text,) in zip(images.labels, images.captions, strict=True):
        assert int(text.split()[1]) % 2 == label
    assert captions_for(images)


def test_a_sample_without_its_class_is_said(tmp_path, pictures, capsys):
    for i in range(29):
        pictures[f"{i:03}.cls"] = b"cat"
    images = open_data(shards(tmp_path / "set", pictures), image_shape=SHAPE, val_split=0)
    assert images.labels is None and "1 of 30 are empty" in images.facts["labels"]


def test_folders_within_shards_are_classes(tmp_path, make):
    samples = {f"{'cat' if i % 2 else 'dog'}/{i}.png": make.encoded(make.photo(seed=i)) for i in range(30)}
    images = open_data(shards(tmp_path / "set", samples, 3), image_shape=SHAPE)
    folder = open_data(as_folder(tmp_path / "folder", samples), image_shape=SHAPE)
    assert images.class_names == ("cat", "dog") and identity(images) == identity(folder)


@pytest.mark.parametrize(
    ("archive", "split"),
    [
        ("train-0001.tar", "train"),
        ("laion_val_03.tar", "valid"),
        ("train/0001.tar", "train"),
        ("data/validation-00000-of-00001.parquet", "valid"),
        ("test.parquet", "test"),
        ("Train-1.tar", "train"),
        ("0001.tar", ""),
        ("latest-0001.tar", ""),
        ("trained.tar", ""),
    ],
)
def test_the_split_of_an_archive_is_in_its_name(archive, split):
    assert archives.split_of(archive) == split


def test_splits_by_shards(tmp_path, make):
    several = {i: make.encoded(make.photo(seed=i)) for i in range(30)}
    root = tmp_path / "set"
    shards(root, {f"{i}.png": several[i] for i in range(20)}, 2, "train-{}.tar")
    shards(root, {f"{i}.png": several[i] for i in range(20, 30)}, 1, "test-{}.tar")
    train, test = open_both(root, image_shape=SHAPE)
    assert (len(train), len(test)) == (20, 10)
    with pytest.raises(ArgumentError, match="there are train, valid, test, fit"):
        open_data(root, image_shape=SHAPE, split="nonsense")


def test_equal_names_in_two_shards_are_two_images(tmp_path, make):
    for number in range(3):
        shards(tmp_path / "set", {"0.png": make.encoded(make.photo(seed=number))}, name=f"{number}.tar")
    assert len(open_data(tmp_path / "set", image_shape=SHAPE, val_split=0)) == 3


def test_bad_members_are_counted(tmp_path, pictures, capsys):
    pictures["bad.png"] = b"\x89PNG\r\n\x1a\n broken"
    pictures[".hidden.png"] = pictures["readme.md"] = b"x"
    images = open_data(shards(tmp_path / "set", pictures), image_shape=SHAPE, val_split=0)
    assert len(images) == 30 and dict(images.skipped) == {"corrupt": 1}
    assert "skipped 1: 1 corrupt (one of them: shard-0000.tar:bad.png)" in capsys.readouterr().err


def test_links_and_holes_in_a_shard_are_no_images(tmp_path, pictures):
    root = shards(tmp_path / "set", pictures)
    with tarfile.open(root / "links.tar", "w") as archive:
        for kind, name in (
            (tarfile.SYMTYPE, "a.png"),
            (tarfile.LNKTYPE, "b.png"),
            (tarfile.FIFOTYPE, "c.png"),
        ):
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, "/etc/passwd"
            archive.addfile(about)
        about = tarfile.TarInfo("/up.png")
        about.size = len(pictures["000.png"])
        archive.addfile(about, io.BytesIO(pictures["000.png"]))
    assert len(open_data(root, image_shape=SHAPE, val_split=0)) == 31


@pytest.mark.parametrize("data", [b"", b"no tar" * 200, b"\x1f\x8b\x08" + bytes(600)])
def test_what_is_no_tar_is_one_line(tmp_path, data):
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"is not a plain tar file: .* — unpack it"):
        open_data(tmp_path / "a.tar")


def test_the_shape_is_that_of_a_folder(tmp_path, pictures):
    root = shards(tmp_path / "set", pictures)
    assert native_shape(root) == native_shape(root / "shard-0000.tar") == (3, 64, 64)


# Parquet


def table(path, rows, label_names=(), group=7, **columns):
    """Write rows of encoded images as the Hub's library does."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    path.parent.mkdir(parents=True, exist_ok=True)
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    cells = [None if row is None else {"bytes": row, "path": "x.png"} for row in rows]
    data = {"image": arrow.array(cells, kind), **columns}
    features = {"image": {"_type": "Image"}}
    if label_names:
        features["label"] = {"names": list(label_names), "_type": "ClassLabel"}
    told = json.dumps({"info": {"features": features}})
    found = arrow.table(data).replace_schema_metadata({"huggingface": told})
    files.write_table(found, path, row_group_size=group)


def test_parquet_is_the_folder(tmp_path, pictures):
    rows = list(pictures.values())
    table(tmp_path / "set" / "a.parquet", rows[:11])
    table(tmp_path / "set" / "b.parquet", rows[11:])
    expected = identity(open_data(as_folder(tmp_path / "folder", pictures), image_shape=SHAPE))
    for spec in (tmp_path / "set", f"hf:{tmp_path / 'set'}"):
        assert identity(open_data(spec, image_shape=SHAPE)) == expected


def test_labels_and_captions_of_a_table(tmp_path, pictures):
    rows, names = list(pictures.values()), ("ant", "bee", "cow", "never")
    table(
        tmp_path / "set" / "train-00000-of-00001.parquet",
        [*rows[:20], None],
        names,
        label=[i % 3 for i in range(21)],
        text=[f"picture {i}" for i in range(21)],
    )
    table(
        tmp_path / "set" / "test-00000-of-00001.parquet",
        rows[20:],
        names,
        label=[2] * 10,
        text=[f"picture {i}" for i in range(20, 30)],
    )
    train, test = open_both(f"hf:{tmp_path / 'set'}", image_shape=SHAPE)
    assert (len(train), len(test)) == (20, 10) and dict(train.skipped) == {"absent": 1}
    assert train.class_names == names and set(test.labels.tolist()) == {2}
    for images in (train, test):
        for pixels, label, (text,) in zip(images.pixels, images.labels, images.captions, strict=True):
            number = int(text.split()[1])
            assert label == (number % 3 if number < 20 else 2)
            decoded = open_data(pictures_of(tmp_path, number, rows), image_shape=SHAPE, val_split=0).pixels[0]
            assert np.array_equal(pixels, decoded)
    one = open_data(f"hf:{tmp_path / 'set'}:test", image_shape=SHAPE, split="train")
    assert 0 < len(one) < 10  # that split is the whole, and divided
    with pytest.raises(DataError, match="has no split 'nothing' — there are test, train"):
        open_data(f"hf:{tmp_path / 'set'}:nothing", image_shape=SHAPE)


def pictures_of(tmp_path, number, rows):
    return as_folder(tmp_path / f"one {number}", {"a.png": rows[number]})


def test_a_column_is_chosen_by_its_name(tmp_path, pictures):
    arrow = pytest.importorskip("pyarrow")
    rows = list(pictures.values())
    other = arrow.array([{"bytes": row, "path": None} for row in rows[::-1]])
    table(tmp_path / "set" / "a.parquet", rows, photo=other, number=list(range(30)))
    first = open_data(f"hf:{tmp_path / 'set'}::photo", image_shape=SHAPE, val_split=0)
    assert len(first) == 30
    with pytest.raises(DataError, match="no column 'phto' of images"):
        open_data(f"hf:{tmp_path / 'set'}::phto", image_shape=SHAPE)


def test_a_table_without_images_and_no_table(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    files.write_table(arrow.table({"number": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"has no column of images — columns: number"):
        open_data(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        open_data(tmp_path / "b.parquet")


def test_without_the_library_the_error_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        DataError, match=r"Parquet needs the library 'pyarrow'.* — pip install 'genzoo\[parquet\]'"
    ):
        open_data(tmp_path / "a.parquet")


def test_a_row_is_found_in_its_group(tmp_path, pictures):
    rows = list(pictures.values())
    table(tmp_path / "a.parquet", rows, group=4)
    reader = parquet.Tables()
    assert [reader.content(tmp_path / "a.parquet", row, 0) for row in (0, 29, 3, 4, 17)] == [
        rows[row] for row in (0, 29, 3, 4, 17)
    ]
    assert len(reader._groups) <= parquet.MOST


def test_a_path_behind_hf(tmp_path, pictures, monkeypatch):
    folder = as_folder(tmp_path / "folder", pictures)
    assert identity(open_data(f"hf:{folder}", image_shape=SHAPE)) == identity(
        open_data(folder, image_shape=SHAPE)
    )
    monkeypatch.chdir(tmp_path)
    assert len(open_data("hf:./folder", image_shape=SHAPE, val_split=0)) == 30
    with pytest.raises(DataError, match="no such file or folder: 'nowhere'"):
        open_data("hf:./nowhere")
    with pytest.raises(DataError, match="holds no Parquet files, of which 'train' may be a split"):
        open_data("hf:./folder:train")
    os.remove(folder / "000.png")
