"""What the folders of a folder mean: splits and classes."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from genzoo.data import folder as folders
from genzoo.data import open_data
from genzoo.data.labels import labels_for
from genzoo.data.layout import layout_of
from genzoo.data.opening import native_shape, open_both
from genzoo.errors import DataError

SHAPE = (3, 16, 20)


@pytest.fixture
def tree(tmp_path, make):
    """Write pictures under relative paths, each of one colour that its number gives; return the folder and a
    reader of numbers."""

    def write(*paths):
        root = tmp_path / "data"
        for number, path in enumerate(paths):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(make.encoded(np.full((16, 20, 3), number + 1, np.uint8)))
        return root

    return write


def numbers(images):
    return sorted(int(image[0, 0, 0]) - 1 for image in images.pixels)


def spread(*folders, count=6):
    return [f"{folder}/{i}.png" for folder in folders for i in range(count)]


@pytest.mark.parametrize(
    ("words"),
    [("train", "test"), ("Training", "TESTING"), ("train", "val", "test"), ("train", "validation", "test")],
)
def test_folders_of_splits_are_the_splits(tree, words, capsys):
    root = tree(*spread(*words))
    parts = [numbers(open_data(root, image_shape=SHAPE, split=split)) for split in ("train", "test")]
    assert parts == [list(range(6)), list(range(6 * len(words) - 6, 6 * len(words)))]
    assert "split by its folders: " + ", ".join(f"{word}/" for word in words) in capsys.readouterr().err
    if len(words) == 3:
        assert numbers(open_data(root, image_shape=SHAPE, split="valid")) == list(range(6, 12))
    else:  # a share of the training images
        fit, valid = (numbers(open_data(root, image_shape=SHAPE, split=split)) for split in ("fit", "valid"))
        assert valid and fit and sorted([*fit, *valid]) == list(range(6))
    assert numbers(open_data(root, image_shape=SHAPE, val_split=0, split="train")) == list(range(6))


def test_where_only_validation_is_kept_apart_it_is_what_is_held_out(tree, capsys):
    root = tree(*spread("train", "val"))
    train, test = open_both(root, image_shape=SHAPE)
    assert (train.split, test.split) == ("train", "valid")  # a record says on which images it was measured
    assert numbers(train) == list(range(6)) and numbers(test) == list(range(6, 12))
    assert "val/ is held out for the scores" in capsys.readouterr().err


def test_images_beside_folders_of_splits_are_in_no_split_and_told(tree, capsys):
    root = tree(*spread("train", "test"), "stray.png", "other/stray.png")
    (root / "README.md").write_text("hello")
    found = [numbers(open_data(root, image_shape=SHAPE, split=split)) for split in ("train", "test")]
    assert sorted([*found[0], *found[1]]) == list(range(12))
    assert (
        "2 images in none of these folders: not used (one of them: other/stray.png)"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [
        ("archive/set/train", "archive/set/test", ()),  # as archives unpack
        ("images/train2017", "images/val2017", ()),
        ("training_set/training_set/{}", "test_set/test_set/{}", ("cat", "dog")),
        ("{}/train", "{}/test", ("cat", "dog")),
        ("{}/train/good", "{}/test/good", ()),
        ("Train/{}", "Test/{}", ("cat", "dog")),
    ],
)
def test_folders_of_splits_are_found_where_people_have_them(tree, train, test, classes):
    root = tree(
        *(
            f"{form.format(kind)}/{kind}{i}.png"
            for form in (train, test)
            for kind in ("cat", "dog")
            for i in range(3)
        )
    )
    (root / "README.txt").write_text("hello")
    parts = open_both(root, image_shape=SHAPE)
    assert [numbers(part) for part in parts] == [list(range(6)), list(range(6, 12))]
    for part in parts:
        assert part.class_names == classes
        if classes:
            assert all(
                label == (int(pixels[0, 0, 0]) - 1) // 3 % 2
                for pixels, label in zip(part.pixels, part.labels, strict=True)
            )


def test_words_that_stand_for_no_split_divide_nothing(tree):
    root = tree(*spread("trains", "tests", "testament", "steam/train", "steam/test", "bus/new"))
    train, test = open_both(root, image_shape=SHAPE)
    assert sorted(numbers(train) + numbers(test)) == list(range(36))


def test_a_folder_of_a_split_alone_is_divided(tree):
    root = tree(*spread("train", count=20))
    train, test = open_both(root, image_shape=SHAPE)
    assert len(test) > 0 and sorted(numbers(train) + numbers(test)) == list(range(20))


def test_an_unreadable_split_says_so(tree):
    root = tree(*spread("train"))
    (root / "test").mkdir()
    (root / "test" / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"test/ of the folder .* holds no readable image"):
        open_data(root, image_shape=SHAPE, split="test")


def test_a_folder_for_each_class_gives_labels_and_their_names(tree, capsys):
    root = tree(*spread("dog", "cat", "ape"), "notes.md")
    (root / "notes.md").write_text("hello")
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "a.png").write_bytes(b"")
    for part in open_both(root, image_shape=SHAPE):
        assert part.class_names == ("ape", "cat", "dog")
        for pixels, label in zip(part.pixels, part.labels, strict=True):
            assert label == [2, 1, 0][(int(pixels[0, 0, 0]) - 1) // 6] or int(pixels[0, 0, 0]) == 19
        few = part.subset([0])
        assert (
            few.class_names == part.class_names
            and few.labels.tolist() == [part.labels[0]]
            and few.labels.dtype == np.int64
        )
    assert "3 classes by its folders: ape, cat, dog" in capsys.readouterr().err
    again = open_data(root, image_shape=SHAPE)  # from the cache
    assert again.class_names == ("ape", "cat", "dog") and len(again.labels) == len(again)


@pytest.mark.parametrize("prefix", ["", "images/", "deep/er/"])
def test_classes_are_found_below_what_all_share(tree, prefix):
    root = tree(*spread(f"{prefix}a", f"{prefix}b"))
    assert open_data(root, image_shape=SHAPE).class_names == ("a", "b")


def test_classes_are_the_same_in_all_splits(tree):
    root = tree(*spread("train/a", "train/b", "train/c", "test/b", "test/c"))
    train, test = open_both(root, image_shape=SHAPE)
    assert train.class_names == test.class_names == ("a", "b", "c")
    assert set(train.labels) == {0, 1, 2} and set(test.labels) == {1, 2}


@pytest.mark.parametrize(
    ("paths", "bare", "named"),
    [
        (spread("a", "c", count=2), ["b"], "b/"),
        (spread("a", "c", count=2), ["b", "d/e"], "b/, d/"),
        (spread("deep/a", "deep/c", count=2), ["deep/b", "other/x"], "b/"),
        (spread("train/a", "train/c", "test/a", "test/c", count=2), ["train/b"], "b/"),
        (spread("train/a", "train/c", "test/a", "test/c", count=2), ["test/b", "stray/x"], "b/"),
        (spread("a/train", "a/test", "c/train", "c/test", count=2), ["b/train"], "b/"),
    ],
)
@pytest.mark.parametrize("inside", ["", "notes.txt", "broken.png"])
def test_a_class_folder_without_images_would_shift_the_numbers(tree, capsys, paths, bare, named, inside):
    """The images can be had, for who needs no labels; who does is told which folder to see to."""
    root = tree(*paths)
    for folder in bare:
        (root / folder).mkdir(parents=True)
        if inside:
            (root / folder / inside).write_text("no picture")
    images = open_data(root, image_shape=SHAPE)
    words = f"no readable image in {named}; add images or remove the folder"
    assert images.labels is None and images.class_names == () and words in images.facts["labels"]
    assert words in capsys.readouterr().err
    with pytest.raises(DataError, match=f"data has no labels — {words}"):
        labels_for(images, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("paths", "bare"),
    [
        (spread("test_set/test_set/a", "test_set/test_set/b", "train/a", "train/b", count=2), []),
        (spread("train/a", "train/b", "test/b", count=2), ["test/a", "stray/c"]),
        (spread("images/a", "images/b", count=2), ["labels", "labels/c", ".git"]),
        (spread("a/train", "a/test", "b/train", "b/test", count=2), ["a/valid"]),
    ],
)
def test_other_folders_without_images_are_no_classes(tree, paths, bare):
    root = tree(*paths)
    for folder in bare:
        (root / folder).mkdir(parents=True, exist_ok=True)
    assert open_data(root, image_shape=SHAPE).class_names == ("a", "b")


def test_a_split_that_loses_a_class_says_so(tree, capsys):
    root, lines = tree(*spread("a", "b", count=20), "rare/1.png"), []
    for part in open_both(root, image_shape=SHAPE):
        assert part.class_names == ("a", "b", "rare")
        if 2 not in part.labels:
            lines.append(f"genzoo: data ({part.split}) has no image of 1 of 3 classes: rare")
    said = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and [line for line in said if "has no image" in line] == lines


def test_a_published_split_that_lacks_a_class_says_so(tree, capsys):
    open_data(tree(*spread("train/a", "train/b", "test/b")), image_shape=SHAPE, split="test")
    assert "data (test) has no image of 1 of 2 classes: a" in capsys.readouterr().err


def test_a_split_of_an_array_that_loses_a_class_says_so(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=pixels, labels=[2, *[0, 1] * 19, 1], class_names=["x", "y", "z"])
    without = [
        split for split in ("train", "test") if 2 not in open_data(tmp_path / "a.npz", split=split).labels
    ]
    assert [
        f"a ({split}) has no image of 1 of 3 classes: z" in capsys.readouterr().err for split in without
    ] == [True]


def test_ten_thousand_classes_are_named_in_no_time():
    paths = [f"train/class {i}/{j}.png" for i in range(10_000) for j in range(2)]
    layout = layout_of(
        [*paths, "test/class 7/0.png"], ["train", *{path.rpartition("/")[0] for path in paths}]
    )
    begun = time.process_time()
    found = layout.classes(paths)
    assert time.process_time() - begun < 0.5
    assert len(found.names) == 10_000 and found.names[found.labels[2 * 77]] == "class 77"


def test_numbered_folders_are_in_the_order_of_their_numbers(tree):
    root = tree(*spread(*map(str, range(12)), count=2))
    images = open_data(root, image_shape=SHAPE, val_split=0)
    assert images.class_names == tuple(map(str, range(12)))
    assert all(
        label == (int(pixels[0, 0, 0]) - 1) // 2
        for pixels, label in zip(images.pixels, images.labels, strict=True)
    )


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["a.png", "b.png"], None),
        (["one/a.png", "one/b.png"], None),
        (["one/x/a.png", "two/y/b.png"], None),
        (
            ["one/a.png", "two/b.png", "c.png"],
            "1 of 3 images are not directly in one of its 2 folders (one of them: c.png)",
        ),
        (["one/a.png", "two/b.png", "two/deep/c.png"], "1 of 3 images are not directly"),
    ],
)
def test_other_folders_are_no_classes_and_say_why_where_they_nearly_are(tree, paths, why, capsys):
    images = open_data(tree(*paths), image_shape=SHAPE, val_split=0)
    assert images.labels is None and images.class_names == ()
    assert (
        (why in images.facts["labels"] and why in capsys.readouterr().err)
        if why
        else "labels" not in images.facts
    )


def test_names_that_are_no_text_are_classes_all_the_same(tree):
    names = open_data(tree(*spread(os.fsdecode(b"\xff"), "b")), image_shape=SHAPE).class_names
    assert names == ("b", "\\xff") and all(name.encode() for name in names)


def test_what_systems_leave_in_folders_is_no_data(tree, capsys):
    root = tree(*spread("."))
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "__MACOSX/._a.png", "@eaDir/a.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    assert not open_data(root, image_shape=SHAPE).skipped and not capsys.readouterr().err


def test_a_folder_is_decoded_once_for_both_parts(tree, monkeypatch):
    root, seen, real = tree(*spread("a", "b", count=20)), [], folders.decode
    monkeypatch.setattr(
        folders, "decode", lambda path, *how: seen.append(Path(path).name) or real(path, *how)
    )
    monkeypatch.setenv("GENZOO_CACHE", os.devnull)  # nowhere to keep what was decoded
    assert native_shape(root) == (3, 64, 64) and not seen
    train, test = open_both(root, image_shape=SHAPE)
    assert len(seen) == 40 and len(train) + len(test) == 40
    assert not {image.tobytes() for image in train.pixels} & {image.tobytes() for image in test.pixels}
    assert open_both(root, image_shape=SHAPE, val_split=0)[1] is None


def test_copies_across_the_folders_of_splits_are_told(tree, capsys):
    root = tree(*spread("train/a", "train/b", "val/a", "val/b", "test/a", "test/b"))
    open_data(root, image_shape=SHAPE)
    assert "exact cop" not in capsys.readouterr().err
    for copy, held in (
        ("train/b/9.png", "test/a/0.png"),
        ("train/a/8.png", "val/b/1.png"),
        ("test/b/8.png", "val/b/1.png"),
    ):
        (root / copy).write_bytes((root / held).read_bytes())
    # as published
    assert [len(open_data(root, image_shape=SHAPE, split=split)) for split in ("train", "valid", "test")] == [
        14,
        12,
        13,
    ]
    said = capsys.readouterr().err
    assert said.count("2 training images are exact copies of held-out images") == 1
    assert "(one of them: train/a/8.png)" in said


def test_labels_follow_images_whose_place_their_content_gives(tree):
    root = tree(*spread("ape", "cat", "dog", count=12))
    for i in (3, 4):
        # the same image, of two classes
        (root / "dog" / f"copy {i}.png").write_bytes((root / "cat" / f"{i}.png").read_bytes())

    def sides():
        found = {}
        for side, part in zip(
            ("train", "test"), open_both(root, image_shape=SHAPE, val_split=0.3), strict=True
        ):
            for pixels, label in zip(part.pixels, part.labels, strict=True):
                found.setdefault(int(pixels[0, 0, 0]) - 1, set()).add((side, part.class_names[label]))
        return found

    before = sides()
    for number, places in before.items():
        assert ("ape", "cat", "dog")[number // 12] in {name for _, name in places}
        assert len({side for side, _ in places}) == 1 and len(places) == (2 if number in (15, 16) else 1)
    assert {side for places in before.values() for side, _ in places} == {"train", "test"}
    for path in sorted(root.rglob("*.png")):
        path.rename(path.with_name(f"new {path.name}"))
    assert sides() == before
