"""Arrays as people have them: which number is white, where the channels are, and which array is what."""

import numpy as np
import pytest
import torch

from genzoo.data import Images, open_data
from genzoo.errors import ArgumentError, DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 6, 5), dtype=np.uint8)
PIXELS[0, 0, :2] = 0, 255
COLOUR = np.repeat(PIXELS[..., None], 3, -1)


def read(array):
    return open_data(array, val_split=0).pixels[:, 0]


@pytest.mark.parametrize(
    "dtype",
    [np.int64, np.int32, np.uint16, np.uint64, ">i4", ">u2", np.float32, np.float64, ">f4", np.float16],
)
def test_whole_numbers_up_to_255_are_bytes(dtype):
    assert np.array_equal(read(PIXELS.astype(dtype)), PIXELS)


def test_tensors_are_read_like_arrays():
    for dtype in (torch.int64, torch.uint16, torch.float32):
        assert np.array_equal(read(torch.from_numpy(PIXELS).to(dtype)), PIXELS)
    assert np.array_equal(read(torch.from_numpy(PIXELS > 99)), (PIXELS > 99) * 255)


def test_minus_one_to_one_is_black_to_white(capsys):
    assert np.array_equal(read(PIXELS.astype(np.float32) / 127.5 - 1), PIXELS)
    assert "-1 is taken as black and 1 as white" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16])
def test_zeros_and_ones_are_black_and_white(dtype, capsys):
    assert np.array_equal(read((PIXELS > 99).astype(dtype)), (PIXELS > 99) * 255)
    assert "of 0 and 1 alone: 1 is taken as white" in capsys.readouterr().err
    assert not read(np.zeros((4, 6, 5), dtype)).any()


def test_sixteen_bits_are_scaled_by_the_whole_set(monkeypatch, capsys):
    deep = PIXELS.astype(np.uint16) * 16
    assert np.array_equal(read(deep), np.rint(deep / 4095 * 255))
    assert "read as 12-bit, white is 4,095; GENZOO_BITS=16" in capsys.readouterr().err
    monkeypatch.setenv("GENZOO_BITS", "16")
    assert read(deep).max() == 16
    monkeypatch.setenv("GENZOO_BITS", "10")
    with pytest.raises(ArgumentError, match=r"reach 4,080, above the 1,023 of GENZOO_BITS=10"):
        read(deep)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (PIXELS.astype(np.int16) - 1, "not int16 from -1 to 254"),
        (PIXELS.astype(np.int64) * 1000, "not int64 from 0 to 255000"),
        (PIXELS.astype(np.int64) // 16, "up to 15, and it is unclear which number is white — divide data by"),
        (PIXELS / 16, r"but has values in \[0, 15.9375\] — divide data by the number that is white"),
        (PIXELS / 255 * 1.2, "cuts what lies outside"),
        (np.where(PIXELS > 250, np.nan, PIXELS / 255), "holds NaN"),
        (np.where(PIXELS > 250, np.inf, PIXELS / 255), "holds infinity"),
        (PIXELS.astype(complex), "not complex128"),
        (COLOUR[0].repeat(4, 0), "look like one colour image"),
        (PIXELS.reshape(30, 30), r"not \(30, 30\)"),
        (np.zeros((9, 784)), r"reshape\(-1, 28, 28\)"),
        (np.zeros((9, 3072)), r"reshape\(-1, 3, 32, 32\)"),
        (np.zeros((4, 8, 8, 4)), "leave the alpha channel out"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(array, words):
    with pytest.raises(ArgumentError, match=words) as caught:
        read(array)
    assert "\n" not in str(caught.value)


def test_what_is_nearly_black_or_has_two_readings_is_told(capsys):
    assert read(PIXELS // 16).max() == 15
    assert "the largest number of data is 15 of 255: they are nearly black" in capsys.readouterr().err
    assert open_data(np.full((9, 3, 8, 3), 200, np.uint8), val_split=0).shape == (3, 8, 3)
    assert "can be read in two ways: taken as (N, C, H, W)" in capsys.readouterr().err


# names in an .npz


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return tmp_path / "a.npz"

    return save


LABELS = np.arange(30) % 3


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("x", "y"),
        ("X", "Y"),
        ("data", "target"),
        ("arr_0", "arr_1"),
        ("images", "label"),
        ("x_train", "y_train"),
    ],
)
def test_arrays_have_many_names(saved, images, labels):
    found = open_data(saved(**{images: PIXELS, labels: LABELS}), val_split=0)
    assert np.array_equal(found.pixels[:, 0], PIXELS) and np.array_equal(found.labels, LABELS)


def test_an_array_alone_needs_no_name(saved):
    assert np.array_equal(open_data(saved(whatever=PIXELS), val_split=0).pixels[:, 0], PIXELS)
    with pytest.raises(
        DataError, match=r"has no array named 'images', but first \(30, 6, 5\), second \(30,\)"
    ):
        open_data(saved(first=PIXELS, second=LABELS))


@pytest.mark.parametrize(
    "form",
    [("x_{}", "y_{}"), ("{}_images", "{}_labels"), ("X_{}", "Y_{}"), ("{}_x", "{}_y"), ("{}", "{}_labels")],
)
@pytest.mark.parametrize("words", [("train", "test"), ("train", "val", "test")])
def test_splits_of_an_npz_are_its_splits(saved, form, words):
    arrays, images, labels = {}, *form
    for number, word in enumerate(words):
        arrays |= {
            images.format(word): PIXELS[number * 10 :][:10],
            labels.format(word): LABELS[number * 10 :][:10, None],
        }
    path = saved(**arrays)
    for number, word in enumerate(words):
        part = open_data(path, split={"val": "valid"}.get(word, word))
        assert np.array_equal(part.pixels[:, 0], PIXELS[number * 10 :][:10])
        assert np.array_equal(part.labels, LABELS[number * 10 :][:10]) and part.labels.dtype == np.int64


def test_classes_of_splits_are_numbered_together(saved):
    path = saved(
        x_train=PIXELS[:20],
        y_train=np.array(["cat", "dog"] * 10),
        x_test=PIXELS[20:],
        y_test=np.array(["dog"] * 10),
    )
    train, test = open_data(path), open_data(path, split="test")
    assert train.class_names == test.class_names == ("cat", "dog") and set(test.labels) == {1}


def test_two_arrays_that_may_be_the_images_are_not_chosen_from(saved):
    with pytest.raises(
        ArgumentError,
        match=r"a\.npz: x and data may each be the images — keep one of them, under the name 'images'",
    ):
        open_data(saved(x=PIXELS, data=PIXELS))
    with pytest.raises(ArgumentError, match="y and label may each be the labels"):
        open_data(saved(images=PIXELS, y=LABELS, label=LABELS))


def test_what_is_not_read_makes_no_array_alone(saved):
    with pytest.raises(DataError, match=r"has no array named 'images', but labels \(30, 6, 5\), junk \(2,\)"):
        open_data(saved(labels=PIXELS, junk=np.zeros(2)))


def test_images_is_the_name_that_decides(saved):
    assert len(open_data(saved(images=PIXELS, x_train=PIXELS[:3], x_test=PIXELS[:3]), val_split=0)) == 30


def test_names_of_classes_in_an_npz(saved):
    names = np.array(["ape", "cat", "dog"])
    assert open_data(saved(images=PIXELS, labels=LABELS, class_names=names)).class_names == (
        "ape",
        "cat",
        "dog",
    )
    with pytest.raises(ArgumentError, match=r"a\.npz: 2 class_names do not name the class 2"):
        open_data(saved(images=PIXELS, labels=LABELS, class_names=names[:2]))


def test_labels_that_cannot_be_used_are_left_out_and_told(saved, capsys):
    for part in ("train", "test"):
        images = open_data(saved(images=PIXELS, labels=LABELS + 0.5), split=part)
        assert (
            images.labels is None
            and "one whole number or one text per image, not 0.5" in images.facts["labels"]
        )
    assert "genzoo: 'labels' gives no labels: labels must be" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match=r"a\.npz: labels must have one entry per image: 3 for 30 images"):
        open_data(saved(images=PIXELS, labels=LABELS[:3]))


def test_named_sets_name_their_classes():
    digits = open_data("digits")
    assert (
        digits.class_names == tuple("0123456789") == digits.subset([0, 1]).class_names
        and digits.labels.dtype == np.int64
    )
    assert Images(pixels=PIXELS[:, None]).class_names == ()


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_packed_images_have_labels_and_names_too(tmp_path, make, form):
    """What holds of arrays holds of files end to end."""
    count = 12 if form == "jpeg" else 1000
    mosaic = make.mosaic(np.zeros((1000, 32, 32, 3), np.uint8)) if form == "webp" else b""
    files = [mosaic] if mosaic else [make.encoded(make.photo(seed=i), "JPEG") for i in range(count)]

    def opened(labels, **more):
        np.savez(tmp_path / "a.npz", **make.end_to_end(files, form), labels=labels, **more)
        return open_data(tmp_path / "a.npz", val_split=0)

    numbers = np.arange(count) % 3
    images = opened(numbers, class_names=["cat", "dog", "eel"])
    assert images.class_names == ("cat", "dog", "eel") and np.array_equal(images.labels, numbers)
    assert opened(numbers).class_names == ("0", "1", "2")
    assert opened(np.array(["dog", "cat", "eel"])[numbers]).class_names == ("cat", "dog", "eel")
    bad = opened(numbers + 0.5)
    assert bad.labels is None and "not 0.5" in bad.facts["labels"]
    with pytest.raises(ArgumentError, match=r"a\.npz: 2 class_names do not name the class 2"):
        opened(numbers, class_names=["cat", "dog"])
    if form == "jpeg":
        with pytest.raises(
            ArgumentError, match=r"a\.npz: labels must have one entry per image: 5 for 12 images"
        ):
            opened(numbers[:5])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS.astype(float) * np.nan, "30 of 30 are NaN or infinite"),
        (np.where(LABELS == 0, "", "x"), "are empty"),
        (LABELS[:, None] * np.ones((1, 2)), "one-hot rows with a single 1"),
    ],
)
def test_an_npz_whose_labels_say_nothing_can_still_be_learned_from(saved, labels, words):
    images = open_data(saved(images=PIXELS, labels=labels))
    assert images.labels is None and words in images.facts["labels"]


def test_a_part_without_the_last_class_knows_of_it(saved):
    arrays = {"x_train": PIXELS[:20], "y_train": [*range(5)] * 4, "x_test": PIXELS[20:], "y_test": [0, 1] * 5}
    assert open_data(saved(**arrays), split="test").class_names == tuple("01234")


def test_validation_images_of_an_npz_with_splits_of_its_own(tmp_path):
    train = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x_train=train, x_test=train[:5] // 2, y_train=np.arange(60) % 3)
    parts = {split: open_data(tmp_path / "a.npz", split=split) for split in ("train", "fit", "valid", "test")}
    shown = {split: {image.tobytes() for image in part.pixels} for split, part in parts.items()}
    assert shown["fit"] | shown["valid"] == shown["train"] and not shown["fit"] & shown["valid"]
    assert len(parts["test"]) == 5 and parts["valid"].split == "valid" and len(parts["valid"].labels)
