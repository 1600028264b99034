"""Labels of any form: read where it is plain what they mean, else refused in one line that says how to get
there."""

import numpy as np
import pytest
import torch

from genzoo.data import Images
from genzoo.data.labels import class_order, read_labels
from genzoo.errors import ArgumentError

PIXELS = np.zeros((4, 1, 2, 2), np.uint8)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 2, 1, 2], [0, 2, 1, 2]),
        (np.array([0, 2, 1, 2], np.uint8), [0, 2, 1, 2]),
        (np.array([0, 2, 1, 2], ">i8"), [0, 2, 1, 2]),
        (np.array([0.0, 2.0, 1.0, 2.0]), [0, 2, 1, 2]),
        (np.array([0, 2, 1, 2], object), [0, 2, 1, 2]),
        (torch.tensor([0, 2, 1, 2]), [0, 2, 1, 2]),
        (np.array([[0], [2], [1], [2]]), [0, 2, 1, 2]),
        (np.eye(3)[[0, 2, 1, 2]], [0, 2, 1, 2]),
        (np.eye(3, dtype=bool)[[0, 2, 1, 2]], [0, 2, 1, 2]),
        (np.array([True, False, False, True]), [1, 0, 0, 1]),
        (np.array([True, False, False, True], object), [1, 0, 0, 1]),
        (
            np.array([-1, 0, 1, 2]),
            [-1, 0, 1, 2],
        ),  # -1 stands for "no class" in many sets; who learns from it says so
        (np.array([1, 2, 3, 4]), [1, 2, 3, 4]),
    ],
)
def test_whole_numbers_in_any_form(labels, expected):
    images = Images(pixels=PIXELS, labels=labels)
    assert images.labels.dtype == np.int64 and images.labels.tolist() == expected
    assert images.class_names == tuple(str(number) for number in range(max(expected) + 1))


@pytest.mark.parametrize(
    "kind",
    [
        np.array,
        list,
        lambda texts: np.array(texts, object),
        lambda texts: np.array([text.encode() for text in texts]),
    ],
)
def test_texts_are_places_in_their_sorted_names(kind):
    images = Images(pixels=PIXELS, labels=kind(["dog", "cat", "größe", "cat"]))
    assert images.labels.tolist() == [1, 0, 2, 0] and images.class_names == ("cat", "dog", "größe")
    few = images.subset([1, 3])
    assert few.labels.tolist() == [0, 0] and few.class_names == images.class_names  # nothing is numbered anew
    assert images.replace(name="x").class_names == images.class_names


def test_names_that_are_numbers_have_their_order():
    assert class_order(["10", "9", "1"]) == ("1", "9", "10") and class_order(["10", "9", "a"]) == (
        "10",
        "9",
        "a",
    )
    assert Images(pixels=PIXELS, labels=["10", "9", "1", "9"]).labels.tolist() == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0.5, 1.5, 0.5, 1.5], "not 0.5 — they are classes, not amounts: numpy.digitize"),
        ([0, 1, np.nan, 1], "and 1 of 4 are NaN or infinite — give those images a class, or leave them out"),
        ([0, 1, np.inf, 1], "1 of 4 are NaN or infinite"),
        ([None, 1, 2, 3], "not a mixture with NoneType — numpy.unique"),
        (["cat", None, "cat", "cat"], "not a mixture with"),
        (
            np.array([0, 1, 2, 2**63], np.uint64),
            "below 2,147,483,648, not 9223372036854775808 — numpy.unique",
        ),
        (np.array([0, 1, 2, 2**70], object), "below 2,147,483,648"),
        ([0, 1, 2], "one entry per image: 3 for 4 images"),
        (3, "one entry per image: a single value for 4 images"),
        (
            [[0.2, 0.8]] * 4,
            r"one-hot rows with a single 1, not an array \(4, 2\) of other rows — labels.argmax\(1\)",
        ),
        ([[0, 0], [0, 1], [1, 0], [1, 0]], "one-hot rows with a single 1"),
        ([[1, 1], [0, 1], [1, 0], [1, 0]], "one-hot rows with a single 1"),
        ([[0], [1, 2], [3], [4]], "rows of different lengths|not a mixture|not list"),
        (np.zeros(4, "M8[D]"), "not datetime64"),
        (np.zeros(4, complex), "not complex128"),
        ([{}, {}, {}, {}], "not dict"),
    ],
)
def test_other_labels_are_refused_in_one_line(labels, words):
    with pytest.raises(ArgumentError, match=words) as caught:
        Images(pixels=PIXELS, labels=labels)
    assert str(caught.value).startswith("labels must be") or "one entry per image" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a", "b"), "2 class_names do not name the class 2"),
        (("a", "b", "a"), "'a' is there twice"),
        ("abc", "must be texts"),
        (3, "must be texts"),
    ],
)
def test_names_of_classes_are_checked(names, words):
    with pytest.raises(ArgumentError, match=words):
        Images(pixels=PIXELS, labels=[0, 1, 2, 2], class_names=names)


def test_labels_of_no_image_are_none():
    assert read_labels(np.zeros(0, np.int64), 0)[0].shape == (0,)
