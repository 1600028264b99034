"""Arrays, .npz and idx files: what is read, and what is refused before it can do harm."""

import gzip
import io
import os
import pickle
import struct
import threading
import zipfile

import numpy as np
import pytest
import torch

from genzoo.data import Images, open_data
from genzoo.data import npz as npz_file
from genzoo.data.decode import Skip, open_image
from genzoo.errors import ArgumentError, DataError, UnknownNameError


def rebuilt(*parts):
    return sorted(image.tobytes() for part in parts for image in part.pixels)


def both(spec, **options):
    return [open_data(spec, split=split, **options) for split in ("train", "test")]


PIXELS = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)  # (N, H, W, C)
FIRST = PIXELS.transpose(0, 3, 1, 2)  # (N, C, H, W)


@pytest.mark.parametrize(
    "given",
    [
        PIXELS,
        FIRST,
        torch.from_numpy(PIXELS.copy()),
        FIRST / 255,
        (FIRST / 255).astype(np.float32),
        torch.from_numpy(FIRST / 255),
    ],
)
def test_an_array_is_images(given):
    parts = both(given)
    assert parts[0].shape == (3, 6, 5) and rebuilt(*parts) == sorted(image.tobytes() for image in FIRST)


def test_grey_and_binary_arrays():
    assert open_data(PIXELS[..., 0]).shape == (1, 6, 5)
    assert set(np.unique(open_data(PIXELS[..., 0] > 99).pixels)) == {0, 255}
    # channels in the second place are preferred
    assert open_data(np.zeros((9, 1, 8, 3), np.uint8)).shape == (1, 8, 3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.full((4, 8, 8), -1), "not int64 from -1 to -1"),
        (np.zeros((4, 8, 8), object), "not object"),
        (np.zeros((4, 8)), "(N, H, W), (N, C, H, W) or (N, H, W, C), not (4, 8)"),
        (np.zeros((0, 8, 8)), "not (0, 8, 8)"),
        (np.zeros((4, 8, 8, 4)), "1 or 3 channels"),
        (np.full((5000, 2, 2), np.linspace(0, 2, 5000)[:, None, None]), "values in [0, 2"),
        (np.full((4, 8, 8), np.nan), "holds NaN"),
    ],
)
def test_an_array_that_is_no_images_is_refused(given, words):
    with pytest.raises(ArgumentError) as caught:
        open_data(given)
    assert words in str(caught.value)


def test_what_is_no_data_at_all():
    for spec in (None, 3, [1, 2]):
        with pytest.raises(ArgumentError, match="data must be a name, a path, an array or Images"):
            open_data(spec)


@pytest.mark.parametrize(
    "shape", [(3, 64), (2, 8, 8), (3, 0, 8), (3, 8, 8.0), "3x8", (3, 8, 5000), (True, 8, 8)]
)
def test_a_wrong_image_shape_is_named(shape):
    with pytest.raises(ArgumentError, match=r"image_shape must be \(C, H, W\)"):
        open_data(PIXELS, image_shape=shape)


def test_arrays_take_the_shape_that_is_asked_for(own_cache):
    assert open_data(PIXELS, image_shape=(3, 8, 4)).shape == (3, 8, 4)
    grey = open_data(FIRST[:, :1], image_shape=(3, 6, 5))
    assert (grey.pixels == grey.pixels[:, :1]).all()
    red = np.zeros((9, 3, 4, 4), np.uint8)
    red[:, 0] = 200
    assert (open_data(red, image_shape=(1, 4, 4)).pixels == 60).all()
    assert not any(own_cache.iterdir())  # what is in memory is nobody's cache


def test_images_go_through_and_know_their_split():
    train, test = both(PIXELS)
    assert open_data(train) is train
    assert open_data(test, split="test", image_shape=(1, 6, 5)).shape == (1, 6, 5)
    with pytest.raises(DataError, match=r"these images are the train split of array, not test — open_data"):
        open_data(train, split="test")
    whole = Images(pixels=FIRST)
    assert rebuilt(*both(whole)) == rebuilt(whole)


def test_images_are_checked_and_sliced():
    images = Images(
        pixels=FIRST.copy(),
        labels=np.arange(30),
        attributes={"a": np.ones(30)},
        name="x\x1b",
        facts={"source": "s"},
    )
    assert len(images) == 30 and images[3:5].shape == (2, 3, 6, 5) and images[np.array([1, 1])].shape[0] == 2
    assert torch.equal(images.float([2, 7]), torch.from_numpy(FIRST[[2, 7]].copy()).float() / 255)
    assert torch.equal(
        images.float(torch.tensor([2])), images.float(slice(2, 3))
    ) and images.float().shape == (30, 3, 6, 5)
    few = images.subset([4, 2])
    assert few.labels.tolist() == [4, 2] and few.facts == {"source": "s"} and len(few.attributes["a"]) == 2
    assert "30 of 3x6x5, 8-bit" in repr(images) and "\x1b" not in repr(images)
    with pytest.raises(ArgumentError, match="slice or an array"):
        images[3]
    with pytest.raises(ArgumentError, match="labels must have one entry per image: 3 for 30"):
        images.replace(labels=np.arange(3))
    with pytest.raises(ArgumentError, match="uint8 array"):
        Images(pixels=FIRST / 255)
    with pytest.raises(ArgumentError, match="channels, not 2"):
        Images(pixels=FIRST[:, :2])


# .npz


def test_an_npz_with_images(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=PIXELS, labels=np.arange(30))
    parts = both(tmp_path / "a.npz")
    assert rebuilt(*parts) == sorted(image.tobytes() for image in FIRST)
    assert all(np.array_equal(part.pixels, FIRST[part.labels]) for part in parts)
    np.savez(tmp_path / "b.npz", images=PIXELS[..., 0] / 255)
    assert open_data(str(tmp_path / "b.npz"), image_shape=(3, 4, 4)).shape == (3, 4, 4)


def test_an_npz_of_jpegs_keeps_rows_and_attributes_together(tmp_path, make):
    files = [make.encoded(np.full((16, 16, 3), 8 * i, np.uint8), "JPEG", quality=95) for i in range(30)]
    attr = np.stack([np.arange(30), np.full(30, np.nan)], 1).astype(np.float16)
    np.savez(
        tmp_path / "a.npz",
        **make.end_to_end(files, "jpeg"),
        attr=attr,
        attr_names=np.array(["Number", "None"]),
    )
    for part in both(tmp_path / "a.npz"):
        assert part.shape == (3, 16, 16) and np.isnan(part.attributes["None"]).all()
        assert abs(part.pixels.mean((1, 2, 3)) - 8 * part.attributes["Number"]).max() < 2


def test_a_second_look_decodes_no_jpeg(tmp_path, make, monkeypatch):
    np.savez(
        tmp_path / "a.npz",
        **make.end_to_end([make.encoded(make.photo(seed=i), "JPEG") for i in range(9)], "jpeg"),
    )
    first = both(tmp_path / "a.npz", image_shape=(3, 8, 8))
    monkeypatch.setattr(npz_file, "decode", None)
    assert rebuilt(*both(tmp_path / "a.npz", image_shape=(3, 8, 8))) == rebuilt(*first)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def stored(name, data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"first": PIXELS, "second": PIXELS}, "has no array named 'images', but first (30, 6, 5, 3), second"),
        ({}, "but none at all"),
        ({"images": np.array([Evil()], object)}, "Python objects, which are never loaded"),
        (
            {"images": PIXELS.astype(np.int64) - 9},
            "a.npz: images must be float32 in [0, 1] or uint8 in 0..255, not int64 from -9",
        ),
        ({"images": PIXELS, "labels": np.arange(3)}, "labels must have one entry per image"),
        (
            {"jpeg": np.zeros(9, np.uint8), "offsets": np.array([0, 5, 99])},
            "'offsets' do not lead through 'jpeg'",
        ),
        ({"jpeg": np.zeros(9, np.uint8), "offsets": np.array([0, 7, 3])}, "'offsets' do not lead through"),
        ({"jpeg": np.zeros(9, np.uint8), "offsets": np.array(["a"])}, "contradicts itself"),
        ({"jpeg": np.zeros(9, np.uint8), "offsets": np.array([0, 9])}, "the first image of a is corrupt"),
        ({"webp": np.zeros(9, np.uint8), "offsets": np.array([0, 9])}, "a mosaic cannot be read"),
        ({split: np.zeros((3, 7), np.uint8) for split in ("train", "valid", "test")}, "contradicts itself"),
    ],
)
def test_an_npz_that_is_wrong_is_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises((DataError, ArgumentError)) as caught:
        open_data(tmp_path / "a.npz")
    assert words in str(caught.value)


def test_one_broken_jpeg_is_a_damaged_set(tmp_path, make):
    files = [make.encoded(make.photo(seed=i), "JPEG") for i in range(3)]
    np.savez(tmp_path / "a.npz", **make.end_to_end([*files, files[0][:100]], "jpeg"))
    with pytest.raises(DataError, match="a is damaged; skipped 1: 1 corrupt"):
        open_data(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"<html>not found</html>",
        stored("images.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16),
        stored("images.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535),
        stored("images.npy", b""),
        stored("images.npy", pickle.dumps([1])),
    ],
)
def test_damaged_npz_files_are_one_line(tmp_path, data):
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.npz"):
        open_data(tmp_path / "a.npz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes")
@pytest.mark.parametrize("name", ["x.npz", "x-idx3-ubyte", "x.png"])
def test_a_pipe_is_one_line_and_does_not_hang(tmp_path, name):
    os.mkfifo(tmp_path / name)
    caught = []

    def work():
        try:
            open_data(tmp_path / name)
        except DataError as error:
            caught.append(str(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    assert caught and name in caught[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes")
def test_a_picture_that_is_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    caught = []

    def work():
        try:
            open_image(tmp_path / "x.png")
        except Skip as error:
            caught.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    assert caught


def test_a_truncated_npz(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=PIXELS)
    data = (tmp_path / "a.npz").read_bytes()
    for size in range(1, len(data), 211):
        (tmp_path / "a.npz").write_bytes(data[:size])
        with pytest.raises(DataError):
            open_data(tmp_path / "a.npz")


def test_an_npz_that_claims_more_than_the_memory(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 100000, 100000), }"
    (tmp_path / "a.npz").write_bytes(
        stored("images.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    )
    with pytest.raises(DataError, match=r"a\.npz"):
        open_data(tmp_path / "a.npz")


# idx


@pytest.mark.parametrize("compress", [True, False])
def test_an_idx_file_with_labels_beside_it(tmp_path, make, compress):
    written = make.mnist(tmp_path, compress=compress)
    name = f"train-images-idx3-ubyte{'.gz' * compress}"
    parts = both(tmp_path / "mnist" / name)
    assert rebuilt(*parts) == sorted(image.tobytes() for image in written["train-images-idx3"])
    assert sorted(np.concatenate([part.labels for part in parts])) == sorted(written["train-labels-idx1"])
    (tmp_path / "mnist" / f"train-labels-idx1-ubyte{'.gz' * compress}").unlink()
    assert open_data(tmp_path / "mnist" / name).labels is None


def test_a_folder_of_the_four_files_has_their_split(tmp_path, make):
    written = make.mnist(tmp_path)
    train, test = both(tmp_path / "mnist")
    assert np.array_equal(train.pixels[:, 0], written["train-images-idx3"]) and np.array_equal(
        test.labels, written["t10k-labels-idx1"]
    )


GOOD = struct.pack(">HBB3I", 0, 8, 3, 2, 4, 4) + bytes(32)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "truncated"),
        (GOOD[:9], "truncated"),
        (GOOD[:-1], "2x4x4 = 32 bytes, not 31"),
        (GOOD + b"\0", "not more than 32"),
        (b"\x89PNG" + GOOD, "not an idx file of unsigned bytes: it begins with 89504e47"),
        (struct.pack(">HBBI", 0, 13, 1, 4) + bytes(16), "begins with 00000d01"),
        (struct.pack(">HBBI", 0, 8, 1, 4) + bytes(4), "holds 1 axes, not images"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 9), "GB of memory"),
        (gzip.compress(GOOD, mtime=0)[:-12], "truncated or damaged"),
        (b"\x1f\x8b not gzip", "truncated or damaged"),
    ],
)
def test_a_broken_idx_file_says_why(tmp_path, data, words):
    (tmp_path / "x-idx3-ubyte").write_bytes(data)
    with pytest.raises(DataError) as caught:
        open_data(tmp_path / "x-idx3-ubyte")
    assert words in str(caught.value) and "x-idx3-ubyte" in str(caught.value)


# paths and names that lead nowhere


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("no/such/folder", "no such file or folder: 'no/such/folder'"),
        ("photos.npz", "no such file or folder: 'photos.npz'"),
        ("x" * 5000 + "/y", "no such file or folder"),
        ("a\0b/c", "no such file or folder"),
    ],
)
def test_a_path_that_leads_nowhere(spec, words):
    with pytest.raises(DataError) as caught:
        open_data(spec, extra={})
    assert words in str(caught.value)


def test_a_misspelt_name_is_guessed():
    with pytest.raises(
        UnknownNameError, match=r"no data set 'bedroom'; did you mean 'bedrooms'\? — known: digits, mnist"
    ):
        open_data("bedroom", extra={})


def test_a_file_that_is_no_data(tmp_path, make):
    (tmp_path / "a.png").write_bytes(make.encoded(make.photo()))
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"a\.png is one image, not a folder of images"):
        open_data(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.csv is not a form of data"):
        open_data(tmp_path / "a.csv")


# names that plugins bring


def test_a_plugin_brings_an_array_images_or_a_path(photos):
    asked = []
    extra = {
        "mine": lambda split: asked.append(split) or (PIXELS[:20] if split == "train" else PIXELS[20:]),
        "whole": lambda split: Images(pixels=FIRST),
        "there": lambda split: str(photos),
    }
    assert len(open_data("mine", split="test", extra=extra)) == 10 and asked[0] == "test"
    assert rebuilt(*both("whole", extra=extra)) == sorted(image.tobytes() for image in FIRST)
    found = open_data("there", extra=extra, image_shape=(1, 8, 8))
    assert found.shape == (1, 8, 8) and found.name == "there"


def test_a_plugin_cannot_take_a_known_name():
    assert open_data("digits", extra={"digits": lambda split: PIXELS}).shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("brought", "words"),
    [
        (lambda split: 1 / 0, "could not be opened: ZeroDivisionError"),
        (lambda: None, "could not be opened: TypeError"),
        (lambda split: None, "gave NoneType"),
        (lambda split: PIXELS.astype(int) - 9, "its images must be float32"),
        (lambda split: "nowhere", "gave str"),
    ],
)
def test_what_a_plugin_does_wrong_is_said_with_its_name(brought, words):
    with pytest.raises((DataError, ArgumentError)) as caught:
        open_data("mine", extra={"mine": brought})
    assert "'mine'" in str(caught.value) and words in str(caught.value)
