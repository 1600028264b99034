"""Labels of any form: read where it is plain what they mean, else refused in one line that says how to get
there."""

import time

import numpy as np
import pytest
import torch

from genzoo.data import Images
from genzoo.data.labels import class_order, labels_for, places_of, read_labels
from genzoo.errors import ArgumentError, DataError, UnknownNameError

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
        (["cat", "", " ", "cat"], "and 2 of 4 are empty — give those images a class, or leave them out"),
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
        (("a", "b", ""), "the name of class 2 is empty"),
        (("a", " \t", "c"), "the name of class 1 is empty"),
        (("a", "b\x1b[31m", "b\x1b[32m"), "is there twice"),
        ("abc", "must be texts"),
        (3, "must be texts"),
    ],
)
def test_names_of_classes_are_checked(names, words):
    with pytest.raises(ArgumentError, match=words):
        Images(pixels=PIXELS, labels=[0, 1, 2, 2], class_names=names)


def test_labels_of_no_image_are_none():
    assert read_labels(np.zeros(0, np.int64), 0)[0].shape == (0,)


def test_names_from_outside_are_one_printable_line_each():
    hostile = ("cat\n\x1b[2J", "do\u202eg", "größe", " bird ", "x" * 10_000)
    names = Images(pixels=np.zeros((5, 1, 2, 2), np.uint8), labels=range(5), class_names=hostile).class_names
    assert all(name.isprintable() and len(name) <= 200 for name in names)
    assert names[1:4] == ("do\ufffdg", "größe", "bird") and names[0].startswith("cat")
    assert Images(pixels=PIXELS[:2], labels=["b\x07", "a"]).class_names == ("a", "b\ufffd")


def test_classes_that_are_numbers_are_called_by_them():
    images = Images(pixels=PIXELS, labels=[3, 1, 1, 3])
    assert images.class_names == ("0", "1", "2", "3") == images.subset([1]).class_names
    assert images.replace(labels=[0, 5, 1, 1]).class_names == tuple("012345")
    assert Images(pixels=PIXELS, labels=[-1, -1, -1, -1]).class_names == ()
    assert Images(pixels=PIXELS, labels=[2**30, 0, 1, 2]).class_names == ()  # nobody wants a billion texts
    assert Images(pixels=PIXELS).class_names == ()


# labels as those of a model


def rooms(labels, names=("bedroom", "dining_room", "Kitchen", "living room")):
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return Images(pixels=pixels, labels=labels, class_names=names, name="rooms", split="test")


def test_labels_are_matched_by_name_whatever_the_order(capsys):
    found = labels_for(rooms([3, 0, 1, 2, 0]), ("kitchen", "living room", "dining room", "bedroom"))
    assert found.dtype == torch.int64 and found.tolist() == [1, 3, 2, 0, 3]
    assert not capsys.readouterr().err


def test_numbers_match_the_names_that_are_numbers():
    images = Images(pixels=PIXELS, labels=[7, 0, 7, 9])
    assert labels_for(images, tuple("9876543210")).tolist() == [2, 9, 2, 0]
    folders = Images(pixels=PIXELS, labels=["07", "00", "7x", "09"])
    assert labels_for(folders, ("7x", "0", "7", "9")).tolist() == [2, 1, 0, 3]
    many = Images(pixels=PIXELS, labels=[2**30, 0, 1, 2])
    assert labels_for(many, ("2", "1", "0", str(2**30))).tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("words", "names", "places"),
    [
        (["A", "a"], ["a", "A"], [1, 0]),  # letters of both cases
        (["A", "a"], ["a"], [None, 0]),  # two classes are never taken for one
        (["a_b", "a b"], ["A B"], [0, None]),
        (["a b"], ["A B", "a_b"], [None]),  # it may be either
        (["a  b_"], ["A B"], [0]),
        (["desert-rose", "-1"], ["desert rose", "1"], [None, None]),
        ([], ["a"], []),
        (["a"], [], [None]),
    ],
)
def test_which_names_are_the_same(words, names, places):
    assert places_of(words, names) == places


@pytest.mark.parametrize(
    ("images", "names", "words"),
    [
        (
            rooms([0, 1, 2, 3]),
            ("bedrom", "kitchen"),
            "rooms has images of classes that the model does not know: 'bedroom' (nearest: 'bedrom'), "
            "'dining_room', 'living room' — leave them out; the model knows bedrom, kitchen",
        ),
        (
            Images(pixels=np.zeros((9, 1, 2, 2), np.uint8), labels=range(9)),
            tuple("0123"),
            "'4', '5', '6' and 2 more — leave them out; the model knows 0, 1, 2, 3",
        ),
        (
            rooms([0, 1], ()),
            ("bedroom", "kitchen"),
            "'0', '1' — the model knows bedroom, kitchen: give the numbers names, class_names in",
        ),
        (rooms([0, 1], ()).replace(labels=None), ("a",), "rooms has no labels — one folder per class"),
        (
            rooms([0, 1], ()).replace(labels=None, facts={"labels": "no labels: one is NaN"}),
            ("a",),
            "rooms has no labels — one is NaN",
        ),
        (
            rooms([0, -1, -1]),
            ("a",),
            "2 of 3 images of rooms have a label below 0 — give those images a class",
        ),
    ],
)
def test_labels_that_a_model_does_not_know(images, names, words):
    with pytest.raises(DataError) as caught:
        labels_for(images, names)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_label_of_the_model_without_an_image_is_told(capsys):
    images = rooms([0, 2, 2])
    assert labels_for(images, ("attic", "bedroom", "kitchen", "cellar")).tolist() == [1, 2, 2]
    assert "none of them is of 2 of 4 classes: attic, cellar" in capsys.readouterr().err


def test_a_class_that_no_image_has_need_not_be_known():
    assert labels_for(rooms([2, 2]), ("kitchen",)).tolist() == [0, 0]


def test_ten_thousand_classes_cost_nothing():
    count = 10_000
    names = [f"class {i}" for i in range(count)]
    images = Images(
        pixels=np.zeros((2 * count, 1, 1, 1), np.uint8), labels=list(range(count)) * 2, class_names=names
    )
    begun = time.process_time()
    found = labels_for(images, tuple(name.upper() for name in reversed(names)))
    few = images.of_class("Class_77")
    assert time.process_time() - begun < 0.5
    assert found[:2].tolist() == [count - 1, count - 2] and few.labels.tolist() == [77, 77]


# the images of one class


@pytest.mark.parametrize("which", ["kitchen", "Kitchen", "KITCHEN", 2, "2", np.int64(2)])
def test_the_images_of_one_class(which):
    images = rooms([2, 0, 2, 3])
    few = images.of_class(which)
    assert few.pixels[:, 0, 0, 0].tolist() == [0, 2] and few.labels.tolist() == [2, 2]
    assert (few.name, few.split, few.class_names) == (images.name, images.split, images.class_names)


@pytest.mark.parametrize(
    ("which", "error", "words"),
    [
        (
            "kitchn",
            UnknownNameError,
            "rooms has no class 'kitchn'; did you mean 'Kitchen'? — classes: bedroom",
        ),
        (4, ArgumentError, "rooms has the classes 0 to 3, not 4"),
        ("4", ArgumentError, "rooms has the classes 0 to 3, not 4"),
        (-1, ArgumentError, "rooms has the classes 0 to 3, not -1"),
        (True, ArgumentError, "by its name or its number, not by True"),
        (1.0, ArgumentError, "by its name or its number, not by 1.0"),
        (None, ArgumentError, "by its name or its number, not by None"),
        ("9" * 5000, UnknownNameError, "rooms has no class '999"),
        ("dining_room", DataError, "rooms (test) has no image of 'dining_room'"),
    ],
)
def test_a_class_that_cannot_be_chosen(which, error, words):
    with pytest.raises(error) as caught:
        rooms([2, 0, 2, 3]).of_class(which)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_images_without_labels_have_no_classes():
    with pytest.raises(DataError, match="images has no labels — one folder per class"):
        Images(pixels=PIXELS).of_class("cat")
