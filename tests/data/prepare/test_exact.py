"""Data sets whose contents are known exactly: what is made is what genzoo reads, the rest is refused."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest
from scipy.io import savemat

from genzoo.data import cifar, open_data
from genzoo.data.contents import digest_arrays
from genzoo.data.prepare import RECIPES, batches, digits, frames, prepare
from genzoo.data.prepare.matlab import read_matlab
from genzoo.datasets import IDX_FILES, NAMES, File
from genzoo.errors import ArgumentError, DataError, UnknownNameError
from genzoo.homes import HOMES


@pytest.fixture
def out(tmp_path, monkeypatch):
    """Give the folder that GENZOO_DATA names, which is not there yet."""
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path / "out"))
    return tmp_path / "out"


@pytest.mark.parametrize("packed", [True, False])
def test_matlab_arrays_are_those_that_were_saved(tmp_path, packed):
    arrays = {
        "ff": np.arange(24, dtype=np.uint8).reshape(4, 6),
        "numbers": np.linspace(0, 1, 6).reshape(2, 3),
        "few": np.array([[1, 2]], np.int16),  # small enough for its tag
    }
    savemat(tmp_path / "x.mat", {**arrays, "text": "no numbers"}, do_compression=packed)
    found = read_matlab(tmp_path / "x.mat")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_a_damaged_matlab_file(tmp_path):
    savemat(tmp_path / "x.mat", {"ff": np.zeros((30, 40))})
    whole = (tmp_path / "x.mat").read_bytes()
    for cut in (60, 140, 400, len(whole) - 9):
        (tmp_path / "x.mat").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"not a MATLAB 5 file|is damaged|no numbers"):
            read_matlab(tmp_path / "x.mat")
    (tmp_path / "x.mat").write_bytes(b"PK" + whole)
    with pytest.raises(DataError, match="is not a MATLAB 5 file"):
        read_matlab(tmp_path / "x.mat")


def test_frey_faces_from_their_matlab_file(tmp_path, out, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 20), np.uint8)
    monkeypatch.setattr(frames, "SHAPE", images.shape)
    monkeypatch.setattr(frames, "DIGEST", digest_arrays(images))
    savemat(tmp_path / frames.FILE, {"ff": images.reshape(60, 560).T})
    written, remarks = prepare("frey", [str(tmp_path)], out)
    assert written == [out / "frey_faces.npz"] and remarks
    with np.load(written[0]) as made:
        assert np.array_equal(made["images"], images)
    assert len(open_data("frey", val_split=0)) == 60
    savemat(tmp_path / frames.FILE, {"ff": images.reshape(60, 560).T[:, ::-1]})
    with pytest.raises(DataError, match=r"does not hold the .*expected frey_rawface.mat of https"):
        prepare("frey", [str(tmp_path / frames.FILE)], tmp_path / "other")
    (tmp_path / "freyfaces.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(DataError, match=r"never loaded .*frey_rawface.mat of https"):
        prepare("frey", [str(tmp_path / "freyfaces.pkl")], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def pin_idx(monkeypatch, folder, name, packed):
    """Pin the idx files in `folder` as the right ones."""
    files = (folder / f"{file}{'.gz' * packed}" for file in IDX_FILES)
    plain = [gzip.decompress(file.read_bytes()) if packed else file.read_bytes() for file in files]
    known = tuple(hashlib.sha256(data).hexdigest() for data in plain)
    monkeypatch.setattr(digits, "UNPACKED", {**digits.UNPACKED, name: known})


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_files_are_checked_and_gzipped(tmp_path, out, make, monkeypatch, name, packed):
    written = make.mnist(tmp_path / "got", name, compress=packed)
    pin_idx(monkeypatch, tmp_path / "got" / name, name, packed)
    files, _ = prepare(name, [str(tmp_path / "got")], out)
    assert {str(file.relative_to(out)) for file in files} == set(NAMES[name].files)
    assert np.array_equal(open_data(name).pixels[:, 0], written["train-images-idx3"])
    with pytest.raises(DataError, match="is another file"):
        make.mnist(tmp_path / "got", name, count=13, compress=packed)
        prepare(name, [str(tmp_path / "got")], out)
    next((tmp_path / "got" / name).glob("t10k-labels*")).unlink()
    monkeypatch.setattr(digits, "sha256_of", lambda data: next(known))
    known = iter(digits.UNPACKED[name])
    with pytest.raises(DataError, match=r"has no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz"):
        prepare(name, [str(tmp_path / "got")], out)


@pytest.fixture
def binary(tmp_path, make, monkeypatch):
    """Write MNIST of 12 and 5 images under GENZOO_DATA, and pin a binarisation of 6, 4 and 5 of them; return
    the bits and the labels of each split.
    """
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path / "out"))
    written = make.mnist(tmp_path / "out")
    rng = np.random.default_rng(2)
    bits = {
        split: rng.integers(0, 2, (n, 784), np.uint8)
        for split, n in (("train", 6), ("valid", 4), ("test", 5))
    }
    pinned, numbers, labels = {}, {}, {}
    for split, rows in bits.items():
        source = rng.permutation(5 if split == "test" else 12)[: len(rows)]
        packed = np.packbits(rows, axis=1)
        order = np.lexsort(packed.T[::-1])
        pinned[split] = (len(rows), digest_arrays(packed[order]))
        numbers[f"binarized_{split}"] = source[order].astype(np.uint16)
        labels[split] = written[f"{'t10k' if split == 'test' else 'train'}-labels-idx1"][source]
    monkeypatch.setattr(digits, "BINARISED", pinned)
    monkeypatch.setattr(digits, "known", numbers.__getitem__)
    return bits, labels


@pytest.mark.parametrize("form", ["text", "matlab"])
def test_the_fixed_binarisation_has_its_labels_in_any_order(tmp_path, binary, form):
    bits, labels = binary
    turned = {split: rows[::-1] for split, rows in bits.items()}  # copies differ in their order
    for split, rows in turned.items():
        path = tmp_path / f"binarized_mnist_{split}.amat"
        if form == "text":
            path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
        else:
            with path.open("wb") as file:
                savemat(file, {"x": rows.astype(float)}, do_compression=True)
    prepare("binarized-mnist", [str(tmp_path)], tmp_path / "out")
    for split, rows in turned.items():
        images = open_data("binarized-mnist", split=split)
        assert np.array_equal(images.pixels.reshape(-1, 784), 255 * rows)
        assert np.array_equal(images.labels, labels[split][::-1])


def test_another_binarisation_is_refused(tmp_path, binary):
    for split, rows in binary[0].items():
        text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
        (tmp_path / f"binarized_mnist_{split}.amat").write_text(text)
    path = tmp_path / "binarized_mnist_valid.amat"
    path.write_text(path.read_text().replace("0", "1", 1))
    with pytest.raises(DataError, match="does not hold the 4 images of the valid split"):
        prepare("binarized-mnist", [str(tmp_path)], tmp_path / "out")
    path.write_text("0 1 0\n")
    with pytest.raises(DataError, match="is not lines of 784 zeros and ones: 3 digits"):
        prepare("binarized-mnist", [str(tmp_path)], tmp_path / "out")
    path.unlink()
    with pytest.raises(DataError, match=r"has no binarized_mnist_valid.amat .*larocheh"):
        prepare("binarized-mnist", [str(tmp_path)], tmp_path / "out")
    assert not (tmp_path / "out" / "binarized_mnist.npz").exists()


def test_labels_that_cannot_be_had_are_left_out(tmp_path, binary, monkeypatch):
    def no_network(file, name):
        raise DataError("no network")

    monkeypatch.setattr(digits, "fetch", no_network)
    monkeypatch.delenv("GENZOO_DATA")
    for split, rows in binary[0].items():
        text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
        (tmp_path / f"binarized_mnist_{split}.amat").write_text(text)
    (made,), remarks = prepare("binarized-mnist", [str(tmp_path)], tmp_path / "bare")
    assert "no labels" in remarks[1] and set(np.load(made).files) == {"train", "valid", "test"}


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Write an archive of batches of twenty images, pinned as the official one; return its records."""
    monkeypatch.setattr(cifar, "BATCH", 20)
    records = np.random.default_rng(4).integers(0, 256, (6, 20, cifar.RECORD), np.uint8)
    records[:, :, 0] %= 10
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, batch in zip((*cifar.TRAIN, *cifar.TEST), records, strict=True):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = batch.nbytes
            file.addfile(info, io.BytesIO(batch.tobytes()))
    data = buffer.getvalue()
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(data)
    pinned = File("cifar-10-binary.tar.gz", len(data), hashlib.sha256(data).hexdigest(), ("https://x/y",))
    monkeypatch.setattr(batches, "ARCHIVE", pinned)
    return records


def test_the_test_set_of_cifar10_is_whole(tmp_path, archive, out):
    files, _ = prepare("cifar10", [str(tmp_path / "cifar-10-binary.tar.gz")], out)
    assert {file.name for file in files} == set(NAMES["cifar10"].files)
    train, test = open_data("cifar10"), open_data("cifar10", split="test")
    assert np.array_equal(test.pixels.reshape(20, -1), archive[5, :, 1:])
    assert np.array_equal(test.labels, archive[5, :, 0]) and len(train) == 100
    assert np.array_equal(train.pixels.reshape(100, -1), archive[:5, :, 1:].reshape(100, -1))
    assert test.class_names[3] == "cat"


def test_another_archive_is_refused(tmp_path, archive, out):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match="is not the official archive"):
        prepare("cifar10", [str(path)], out)
    path.rename(tmp_path / "cifar-10-python.tar.gz")
    for source in (tmp_path, tmp_path / "cifar-10-python.tar.gz"):
        with pytest.raises(DataError, match=r"pickles.* never loaded .*cifar-10-binary.tar.gz of https"):
            prepare("cifar10", [str(source)], out)
    with pytest.raises(DataError, match=r"no such file or folder: .*get cifar-10-binary.tar.gz from"):
        prepare("cifar10", [str(tmp_path / "nowhere")], out)
    assert not out.exists()


def test_a_name_that_cannot_be_prepared(tmp_path):
    with pytest.raises(UnknownNameError, match=r"did you mean 'faces'\?.*--data FOLDER"):
        prepare("facess", ["x"], tmp_path)
    with pytest.raises(ArgumentError, match="ships with genzoo"):
        prepare("digits", ["x"], tmp_path)


def test_every_home_has_its_recipe():
    assert HOMES.keys() == RECIPES.keys() <= NAMES.keys()
    for name, home in HOMES.items():
        assert set(home.writes) <= set(NAMES[name].files) and all(
            place.startswith("https://") for place in home.places
        )
        assert f"genzoo data prepare {name} --from" in home.advice(name)
        assert not home.stand_in or home.stand_in in NAMES
