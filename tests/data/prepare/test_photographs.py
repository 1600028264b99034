"""Photographs are found by what they show, in the order of the published set; others are refused."""

import io
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from genzoo.data import open_data
from genzoo.data.prepare import photographs, prepare
from genzoo.data.prepare.prints import KNOWN, known, matched, print_of
from genzoo.errors import DataError
from genzoo.homes import HOMES

COUNT = 12


def scene(seed, width=140, height=120):
    """Return a picture of soft blobs that differs from seed to seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def album(tmp_path, monkeypatch):
    """Write twelve scenes among others and pin them, in another order; return the folder."""
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path / "out"))
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    for seed in range(COUNT + 8):
        scene(seed).save(folder / ("deep" if seed % 2 else ".") / f"picture {seed:02}.jpg", quality=90)
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("nothing")
    wanted = [print_of(photographs.BEDROOMS.small(scene(seed))) for seed in reversed(range(COUNT))]
    monkeypatch.setattr(photographs, "known", lambda name: np.array(wanted))
    return folder


def pictures(path):
    with np.load(path) as file:
        data, ends = file["jpeg"].tobytes(), file["offsets"]
    return [np.asarray(Image.open(io.BytesIO(data[a:b])), np.int16) for a, b in itertools.pairwise(ends)]


def test_photographs_come_in_the_published_order(album, tmp_path):
    (made,), (remark,) = prepare("bedrooms", [str(album)], tmp_path / "out")
    found = pictures(made)
    assert len(found) == COUNT and "may differ by a few grey levels" in remark
    for seed, picture in zip(reversed(range(COUNT)), found, strict=True):
        exact = np.asarray(photographs.BEDROOMS.small(scene(seed)), np.int16)
        assert picture.shape == (96, 96, 3) and np.abs(picture - exact).mean() < 6
    assert len(open_data("bedrooms", val_split=0)) == COUNT
    with np.load(made) as file:
        assert file["path"][-1] == "picture 00.jpg"


def test_the_same_bytes_are_recognised(album, tmp_path, monkeypatch):
    (made,), _ = prepare("bedrooms", [str(album)], tmp_path / "out")
    with np.load(made) as file:
        whole = photographs.sha256_of(file["jpeg"].tobytes())
    pinned = photographs.Print(side=96, quality=95, native=256, sha256=whole)
    monkeypatch.setattr(photographs, "BEDROOMS", pinned)
    _, (remark,) = prepare("bedrooms", [str(album)], tmp_path / "out")
    assert "the same bytes" in remark


def test_a_photograph_that_is_missing_is_counted(album, tmp_path):
    (album / "picture 00.jpg").unlink()
    with pytest.raises(DataError, match=r"11 of 12 photographs were found among the 19 images given"):
        prepare("bedrooms", [str(album)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    scene(0).save(tmp_path / "picture.png")
    (tmp_path / "rest").mkdir()
    (tmp_path / "picture.png").rename(tmp_path / "rest" / "renamed.png")  # in another folder and format
    prepare("bedrooms", [str(album), str(tmp_path / "rest")], tmp_path / "out")


def test_photographs_may_come_from_any_data_set(tmp_path, monkeypatch):
    scenes = [scene(seed, 256, 256) for seed in range(COUNT)]
    wanted = [print_of(photographs.BEDROOMS.small(one)) for one in reversed(scenes)]
    monkeypatch.setattr(photographs, "known", lambda name: np.array(wanted))
    every = np.stack([np.asarray(one) for one in scenes])
    np.savez(tmp_path / "all.npz", images=every)
    (made,), _ = prepare("bedrooms", [str(tmp_path / "all.npz")], tmp_path / "out")
    assert len(pictures(made)) == COUNT


def test_rooms_have_the_labels_of_their_order(album, tmp_path):
    made, remarks = prepare("rooms", [str(album)], tmp_path / "out")
    with np.load(made[0]) as file:
        assert list(file["labels"]) == [0] * 4 + [1] * 4 + [2] * 4 and file["class_names"][1] == "kitchen"
    assert "also needs bedrooms_96.npz" in remarks[1]


def test_faces_know_their_person_and_their_attributes(tmp_path, monkeypatch):
    folder = tmp_path / "got" / "lfw-deepfunneled"
    notes = tmp_path / "got" / "feature_embeddings_lfw"
    folder.mkdir(parents=True)
    for seed in range(4):
        scene(seed, 250, 250).save(folder / f"Ann_Lee_{seed:04}.jpg", quality=95)
    wanted = [print_of(photographs.FACES.small(scene(seed, 250, 250))) for seed in range(4)]
    monkeypatch.setattr(photographs, "known", lambda name: np.array(wanted))
    (made,), remarks = prepare("faces", [str(tmp_path / "got")], tmp_path / "out")
    assert "no attributes" in remarks[1]
    notes.mkdir()
    (notes / "Ann_Lee_0002.jpg.json").write_text(
        json.dumps({**dict.fromkeys(photographs.ATTRIBUTES, 0.5), "Smiling": 0.75, "other": "text"})
    )
    (made,), remarks = prepare("faces", [str(tmp_path / "got")], tmp_path / "out")
    with np.load(made) as file:
        assert list(file["path"][:1]) == ["Ann_Lee/Ann_Lee_0000.jpg"]
        smiling = file["attr"][:, list(file["attr_names"]).index("Smiling")]
    assert smiling[2] == 0.75 and np.isnan(smiling[[0, 1, 3]]).all() and "3 faces have none" in remarks[1]
    (notes / "Ann_Lee_0001.jpg.json").write_text("[1]")
    with pytest.raises(DataError, match=r"Ann_Lee_0001\.jpg\.json does not hold the attributes"):
        prepare("faces", [str(tmp_path / "got")], tmp_path / "out")


def test_a_photograph_is_taken_once_and_the_nearest_first():
    one = np.array([[0, 0], [0, 1]], np.uint64)
    assert list(matched(one, one[::-1].copy())) == [1, 0]
    assert list(matched(one, one[1:])) == [-1, 0]
    assert list(matched(one, np.zeros((0, 2), np.uint64))) == [-1, -1]
    far = np.array([[2**9 - 1, 0]], np.uint64)  # nine bits away
    assert list(matched(one[:1], far)) == [-1]


def test_a_print_survives_another_encoding_and_differs_between_scenes():
    prints = np.array([print_of(scene(seed)) for seed in range(30)])
    again = io.BytesIO()
    scene(3).save(again, "JPEG", quality=60)
    apart = np.bitwise_count(prints ^ print_of(Image.open(again))).sum(1)
    assert apart.argmin() == 3 and apart[3] <= 8 and np.sort(apart)[1] > 20


def test_what_is_known_has_the_published_counts():
    counts = {"bedrooms": 4379, "rooms": 12_000, "faces": 11_898}
    counts |= {"facades": 506, "horse2zebra": 2661, "flowers102": 8189}
    assert {name: len(known(name)) for name in counts} == counts
    assert {len(known(f"binarized_{split}")) for split in ("train", "valid", "test")} == {50_000, 10_000}
    assert KNOWN.stat().st_size < 800_000 and counts.keys() <= HOMES.keys()
