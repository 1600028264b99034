"""Pairs: both halves always of one picture, in every split, order and size; what lacks a half is named."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import Images, identity, open_data
from genzoo.data.jitter import flipped, moved
from genzoo.data.opening import native_shape, open_both
from genzoo.errors import ArgumentError, DataError

COUNT = 24


def flat(grey, width=8, height=8):
    return Image.new("RGB", (width, height), (int(grey),) * 3)


def level(number):
    """Return the grey of pair `number`: the image has it, the source has it less one."""
    return 20 + 9 * number


def side_by_side(folder, numbers=range(COUNT), form="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        whole = Image.new("RGB", (16, 8))
        whole.paste(flat(level(number) - 1), (0, 0))
        whole.paste(flat(level(number)), (8, 0))
        whole.save(folder / f"{number:02}.{form}")
    return folder


def two_folders(root, numbers=range(COUNT), a="A", b="B"):
    for name, less in ((a, 1), (b, 0)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            # another format on either side
            flat(level(number) - less).save(root / name / f"{number:02}.{'png' if less else 'bmp'}")
    return root


def npz(path, count=COUNT, first="A", second="B", **more):
    greys = np.array([level(number) for number in range(count)], np.uint8)
    images = np.broadcast_to(greys[:, None, None, None], (count, 8, 8, 3))
    np.savez(path, **{first: images - 1, second: images}, **more)
    return path


FORMS = {"side by side": side_by_side, "folders": two_folders, "npz": lambda path: npz(path / "p.npz")}


@pytest.fixture(params=FORMS)
def pairs(request, tmp_path):
    return f"pairs:{FORMS[request.param](tmp_path)}"


def greys(array):
    return array[:, 0, 0, 0].astype(int)


@pytest.mark.parametrize("split", ["train", "valid", "fit", "test"])
def test_no_split_parts_a_pair(pairs, split):
    found = open_data(pairs, split=split, image_shape=(3, 8, 8))
    assert found.shape == (3, 8, 8) and len(found) == len(found.source) > 0
    assert (greys(found.pixels) - 1 == greys(found.source)).all()


def test_the_splits_are_all_pairs_once_and_the_same_in_both_directions(pairs):
    levels = {level(number) for number in range(COUNT)}
    train, test = (open_data(pairs, split=split) for split in ("train", "test"))
    assert sorted([*greys(train.pixels), *greys(test.pixels)]) == sorted(levels)
    halves = not pairs.endswith(".npz") and not os.path.exists(f"{pairs.removeprefix('pairs:')}/A")
    back = open_data(f"{pairs}?source={'right' if halves else 'B'}", split="test")
    assert (greys(back.source) - 1 == greys(back.pixels)).all()
    assert set(greys(back.source)) == set(greys(test.pixels))


def test_both_splits_are_opened_together_and_any_choice_keeps_pairs(pairs):
    train, test = open_both(pairs, image_shape=(1, 4, 4), source_shape=(3, 2, 2))
    assert train.shape == test.shape == (1, 4, 4) and train.source.shape[1:] == (3, 2, 2)
    few = train.subset([3, 0, 5])
    assert (greys(few.pixels) - 1 == greys(few.source)).all()
    assert native_shape(pairs) in ((3, 64, 64), (3, 8, 8))


def test_in_memory_a_source_is_held_out_with_its_image():
    pixels = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(3, 1)
    images = Images(pixels=pixels, source=(pixels + 100).repeat(5, 2).repeat(5, 3))
    for split in ("train", "test"):
        part = open_data(images, split=split)
        assert (greys(part.pixels) + 100 == greys(part.source)).all() and part.source.shape[2:] == (5, 5)


def test_the_source_counts_in_the_identity_of_data():
    pixels = np.arange(4, dtype=np.uint8)[:, None, None, None]
    one = Images(pixels=pixels, source=pixels)
    other = one.replace(source=pixels[::-1])
    assert len({identity(one), identity(other), identity(one.replace(source=None))}) == 3


def test_published_splits_are_kept(tmp_path):
    for split, numbers in (("train", range(6)), ("val", range(6, 8)), ("test", range(8, 11))):
        side_by_side(tmp_path / "whole" / split, numbers)
        two_folders(tmp_path / "sides", numbers, f"A/{split}", f"B/{split}")
    flags = np.array([0] * 6 + [1] * 2 + [2] * 3)
    npz(tmp_path / "flags.npz", 11, "photo", "map", split=flags)
    for spec in ("whole", "sides", "flags.npz?source=photo"):
        for split, numbers in (("train", range(6)), ("valid", range(6, 8)), ("test", range(8, 11))):
            found = open_data(f"pairs:{tmp_path / spec}", split=split)
            assert sorted(greys(found.pixels)) == [level(number) for number in numbers], (spec, split)


def test_a_pair_of_which_one_half_is_unreadable_is_left_out(tmp_path, capsys):
    (two_folders(tmp_path) / "A" / "05.png").write_bytes(b"no image")
    found = open_data(f"pairs:{tmp_path}", val_split=0)
    assert len(found) == COUNT - 1 and level(5) not in greys(found.pixels) and dict(found.skipped)
    assert (greys(found.pixels) - 1 == greys(found.source)).all()
    assert "skipped 1: 1 corrupt" in capsys.readouterr().err


def lone(root):
    (two_folders(root) / "B" / "07.bmp").unlink()


def uneven(root):
    flat(level(3), 6, 8).save(two_folders(root) / "A" / "03.png")


def odd(root):
    flat(9, 15, 8).save(side_by_side(root) / "x.png")


def one_side(root):
    side_by_side(root / "A")


def unclear(root):
    two_folders(root, a="maps", b="photos")


def twice(root):
    flat(9).save(two_folders(root) / "A" / "03.bmp")


BAD = {
    lone: r"1 of 24 images of A have no partner in B: 07 — give both files of a pair one name",
    uneven: r"1 of 24 pairs have sides of different size, such as A/03.png of 6x8 and B/03.bmp of 8x8",
    odd: r"x.png: a picture of two halves must have an even width, and is 15x8",
    one_side: r"has no images of the side 'B', only of 'A'",
    unclear: r"maps/ and photos/ .* unclear which is the source — write pairs:.*\?source=maps",
    twice: r"A has several files of the name 03",
    (lambda root: None): r"holds no files",
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_set_of_pairs_is_refused_in_one_line(tmp_path, bad):
    bad(tmp_path)
    with pytest.raises(DataError, match=BAD[bad]) as error:
        open_data(f"pairs:{tmp_path}", image_shape=(3, 8, 8))
    assert "\n" not in str(error.value)


def test_bad_files_and_options_are_refused(tmp_path):
    np.savez(tmp_path / "counts.npz", A=np.zeros((4, 8, 8), np.uint8), B=np.zeros((3, 8, 8), np.uint8))
    np.savez(tmp_path / "sizes.npz", A=np.zeros((4, 8, 8), np.uint8), B=np.zeros((4, 6, 6), np.uint8))
    np.savez(tmp_path / "one.npz", A=np.zeros((4, 8, 8), np.uint8))
    npz(tmp_path / "named.npz", 5, "map", "photo")
    for spec, words in {
        "counts.npz": "1 images have no partner: A has 4 and B 3",
        "sizes.npz": "sides are of different size: A of 8x8, B of 6x6",
        "one.npz": "has no array 'B'",
        "named.npz": "unclear which is the source",
        "absent": "no such file or folder",
    }.items():
        with pytest.raises(DataError, match=words):
            open_data(f"pairs:{tmp_path / spec}")
    for spec in ("named.npz?source=maps", "named.npz?direction=BtoA"):
        with pytest.raises(ArgumentError, match=r"no array of images 'maps'.*'map'|knows no option"):
            open_data(f"pairs:{tmp_path / spec}")


def test_the_same_coins_flip_and_move_both_halves_alike():
    one = torch.rand(64, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    coins = torch.rand(64, generator=torch.Generator().manual_seed(2)) < 0.5
    left, right = flipped(one, coins), flipped(one + 1, coins)
    assert torch.equal(left + 1, right) and torch.equal(left[coins], one[coins].flip(3))
    assert torch.equal(left[~coins], one[~coins]) and coins.any() and not coins.all()
    down, across = torch.arange(64) % 3 - 1, torch.arange(64) % 5 - 2
    here, there = moved(one, down, across), moved(one + 1, down, across)
    assert torch.equal(here + 1, there) and torch.equal(here[8, :, 1:, 1:], one[8, :, :-1, :-1])
    assert torch.equal(here[8, :, 0], here[8, :, 1]) and torch.equal(here[8, :, :, 0], here[8, :, :, 1])


def test_facades_are_pairs_of_map_and_photograph_with_their_published_split(make, tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"GENZOO_DATA=.* has no facades_128\.npz"):
        open_data("facades")
    columns = {"test": np.arange(20) % 4 == 3}
    for name, less in (("photo", 0), ("map", 1)):
        files = [make.encoded(np.full((8, 8, 3), level(n) - less, np.uint8), "PNG") for n in range(20)]
        stored = make.end_to_end(files, name)
        columns |= {name: stored[name], f"{name}_offsets": stored["offsets"]}
    np.savez(tmp_path / "facades_128.npz", **columns)
    test = open_data("facades", split="test")
    assert greys(test.pixels).tolist() == [level(number) for number in range(3, 20, 4)]
    for split, shape in (("train", None), ("fit", (3, 4, 4)), ("valid", (1, 4, 4)), ("test", (3, 8, 8))):
        found = open_data("facades", split=split, image_shape=shape, source_shape=shape and (3, 2, 2))
        assert (greys(found.pixels) - 1 == greys(found.source)).all() and "CMP" in found.facts["source"]
        assert shape is None or (found.shape, found.source.shape[1:]) == (shape, (3, 2, 2))
    counts = [len(open_data("facades", split=split)) for split in ("train", "fit", "valid")]
    assert counts[0] == 15 == counts[1] + counts[2]
