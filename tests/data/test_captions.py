"""Captions: each image keeps its own, whatever order, split or format; what cannot be used is named."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from genzoo.data import Images, captions_for, identity, open_data
from genzoo.errors import ArgumentError, DataError

COUNT = 30


def pictures(folder, prefix="", count=COUNT):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("L", (4, 4), 8 * number).save(folder / f"{prefix}{number:02}.png")
    return folder


def text(number):
    return f"grey level {8 * number}"


def jsonl(folder):
    pictures(folder / "deep")
    rows = [{"file_name": f"deep/{n:02}.png", "text": [text(n), f"also {8 * n}"]} for n in range(COUNT)]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows[::-1])), "utf-8")


def table(folder):
    with (pictures(folder) / "metadata.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "caption"])
        for number in range(COUNT):
            writer.writerows(
                [[f"./{number:02}.png", text(number)], [f"{number:02}.png", f"also {8 * number}"]]
            )


def beside(folder):
    pictures(folder)
    for number in range(COUNT):
        (folder / f"{number:02}.txt").write_bytes(f"{text(number)}\r\n\r\n  also   {8 * number}\n".encode())
    (folder / "README.txt").write_text("of no image", "utf-8")


@pytest.fixture(params=[jsonl, table, beside])
def captioned(request, tmp_path):
    request.param(tmp_path)
    return tmp_path


@pytest.mark.parametrize("split", ["train", "test", "valid", "fit"])
def test_each_image_has_its_own_captions_in_every_split(captioned, split):
    found = open_data(captioned, split=split, image_shape=(1, 4, 4), val_split=0.3)
    levels = found.pixels[:, 0, 0, 0].tolist()
    assert found.captions == tuple((f"grey level {level}", f"also {level}") for level in levels)
    few = found.subset(np.arange(len(found)) % 2 == 0)
    assert few.captions == found.captions[::2] and captions_for(found) is found.captions


def test_a_skipped_file_shifts_no_caption(captioned):
    path = next(captioned.rglob("04.png"))
    path.write_bytes(b"no image")
    found = open_data(f"captions:{captioned}", val_split=0, image_shape=(1, 4, 4))
    assert len(found) == COUNT - 1
    assert [texts[0] for texts in found.captions] == [
        f"grey level {level}" for level in found.pixels[:, 0, 0, 0]
    ]


def test_captions_count_in_the_identity_of_data():
    pixels = np.zeros((2, 1, 2, 2), np.uint8)
    one = Images(pixels=pixels, captions=["a", "b"])
    assert one.captions == (("a",), ("b",))
    assert (
        len({identity(one), identity(one.replace(captions=["b", "a"])), identity(Images(pixels=pixels))}) == 3
    )


@pytest.mark.parametrize(
    ("captions", "words"),
    [
        ("ab", "must be one or more texts per image, not str"),
        (["a"], "one entry per image: 1 for 2"),
        (["a", ()], "image 1 has none"),
        (["a", " "], "image 1: a caption is empty"),
        (["a", "x" * 10_001], "10,001 characters, more than 10,000"),
        (["a", "b\0"], "control character"),
        (["a", 7], "texts per image, and image 1 has none|must be"),
    ],
)
def test_what_is_no_caption_is_refused(captions, words):
    with pytest.raises(ArgumentError, match=words):
        Images(pixels=np.zeros((2, 1, 2, 2), np.uint8), captions=captions)


def row(**columns):
    return json.dumps(columns) + "\n"


def write(name, data):
    def spoil(folder):
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())

    return spoil


ALL = "".join(row(file_name=f"{n:02}.png", text=text(n)) for n in range(COUNT))


def spoilt(*spoils):
    return lambda folder: [spoil(folder) for spoil in spoils]


LINE = 'write each line as {"file_name": "1.png", "text": "a red flower"}'
SAVE = "save it as plain text in UTF-8"
BAD = {
    "an image without captions": (
        write("metadata.jsonl", ALL[len(row(file_name="00.png", text=text(0))) :]),
        "1 of 30 images has no caption: 00.png — add a line for it to metadata.jsonl, or remove this image",
    ),
    "images without captions": (
        write("metadata.csv", "file_name,text\n" + "".join(f"{n:02}.png,x\n" for n in range(28))),
        "2 of 30 images have no caption: 28.png, 29.png — add lines for them to metadata.csv, or remove "
        "these images",
    ),
    "captions without image": (
        write("metadata.jsonl", ALL + row(file_name="gone.png", text="x")),
        "1 caption is of no image that is there: gone.png — correct or remove its lines in metadata.jsonl, "
        "or add this image",
    ),
    "captions without images": (
        spoilt(write("metadata.csv", "file_name,text\na.png,x\n"),
               write("metadata.jsonl", ALL + row(file_name="b.png", text=["x", "y"]))),
        "3 captions are of no image that is there: a.png, b.png — correct or remove their lines in the "
        "metadata files, or add these images",
    ),
    "no text column": (
        write("metadata.jsonl", row(file_name="00.png", label="x")),
        "no column 'text': its columns are file_name, label — call the columns file_name and text",
    ),
    "no name column": (
        write("metadata.csv", "name,text\n00.png,x\n"),
        "no column 'file_name': its columns are name, text — call",
    ),
    "no JSON": (write("metadata.jsonl", ALL + "{"), f"line 31 is not JSON — {LINE}"),
    "a list": (
        write("metadata.jsonl", "[1]"), f"line 1 is not an object with 'file_name' and 'text' — {LINE}"
    ),
    "a number": (
        write("metadata.jsonl", row(file_name="00.png", text=7)),
        'must be a text, not int — for example "a red flower"',
    ),
    "NUL": (write("00.txt", b"a\0b"), f"00.txt is no text: it has NUL bytes — {SAVE}"),
    "1 MB": (write("00.txt", b"a" * 10**6), "00.txt has more than 100,000 bytes — shorten it"),
    "Latin-1": (write("00.txt", "caf\xe9".encode("latin-1")), f"00.txt is no text in UTF-8 — {SAVE}"),
    "some texts": (
        write("00.txt", "one"),
        "29 of 30 images have no caption: 01.png, 02.png, 03.png, … (26 more) — give each a caption in a "
        ".txt of its name, or remove these images",
    ),
    "a text of no image": (
        spoilt(beside, write("other.txt", "x")),
        "1 caption is of no image that is there: other.txt — rename or remove it, or add this image",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_captions_that_cannot_be_used_are_named_and_the_images_stay(tmp_path, capsys, bad):
    spoil, words = BAD[bad]
    spoil(pictures(tmp_path))
    found = open_data(tmp_path, val_split=0, image_shape=(1, 4, 4))
    assert len(found) == COUNT and found.captions is None and words in found.facts["captions"]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "captions are not used: " in line]
    assert words in line
    with pytest.raises(DataError) as error:
        open_data(f"captions:{tmp_path}", val_split=0, image_shape=(1, 4, 4))
    assert str(error.value).startswith(f"{tmp_path.name}: ") and "not used" not in str(error.value)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert capsys.readouterr().err == ""  # the error alone says why


@pytest.mark.parametrize("names", [["metadata.jsonl"], ["a.txt"], ["in/a.txt", "README.txt"]])
def test_captions_without_any_image_are_named(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(row(file_name="00.png", text="a red rose"))
    with pytest.raises(DataError, match=r"holds no images, only captions of some — formats: JPEG"):
        open_data(str(tmp_path), image_shape=(1, 4, 4))


@pytest.mark.parametrize("names", [["README.txt"], ["a.txt", "b.dat"]])
def test_other_files_are_not_taken_for_captions(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("a red rose")
    with pytest.raises(DataError, match=f"holds no readable image; skipped {len(names)}: "):
        open_data(str(tmp_path), image_shape=(1, 4, 4))


def test_a_folder_without_captions_says_nothing_of_them(tmp_path, capsys):
    found = open_data(pictures(tmp_path), val_split=0)
    assert found.captions is None and "captions" not in found.facts
    assert "captions" not in capsys.readouterr().err
    with pytest.raises(DataError, match=r"has no captions — a folder has metadata\.jsonl"):
        captions_for(found)


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv", "0.txt"])
def test_files_of_captions_are_not_counted_as_skipped(tmp_path, make, name, capsys):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(make.encoded(make.photo(seed=i)))
    (tmp_path / name).write_text("nothing of use")
    (tmp_path / "readme.txt").write_text("x")
    images = open_data(tmp_path, image_shape=(3, 8, 8), val_split=0)
    assert dict(images.skipped) == {"not an image": 1}  # the readme
    assert "(one of them: readme.txt)" in capsys.readouterr().err
