"""A stranger's folder: found, decoded, divided, counted and cached."""

import os

import numpy as np
import pytest

from genzoo.data import folder as folders
from genzoo.data import memory, open_data
from genzoo.errors import DataError

SHAPE = (3, 16, 20)


@pytest.fixture
def decoded(monkeypatch):
    """Give the list of files that were decoded."""
    names = []
    real = folders.decode
    monkeypatch.setattr(folders, "decode", lambda path, *how: names.append(path.name) or real(path, *how))
    return names


def both(folder, **options):
    return [open_data(folder, image_shape=SHAPE, split=split, **options) for split in ("train", "test")]


def test_every_photograph_is_in_one_of_the_parts(photos, make):
    train, test = both(photos)
    assert len(train) + len(test) == 40 and 1 <= len(test) <= 10
    found = {image.tobytes() for part in (train, test) for image in part.pixels}
    assert found == {make.photo(seed=i).transpose(2, 0, 1).tobytes() for i in range(40)}
    assert train.name == "photos" and not train.skipped and train.shape == SHAPE


def test_a_new_photograph_moves_none_of_the_old(photos, make):
    before = {image.tobytes() for image in both(photos)[1].pixels}
    (photos / "new").mkdir()
    for i in range(60):
        (photos / "new" / f"{i}.png").write_bytes(make.encoded(make.photo(seed=100 + i)))
    train, test = both(photos)
    assert before <= {image.tobytes() for image in test.pixels}
    assert not before & {image.tobytes() for image in train.pixels}


def test_the_folder_may_lie_anywhere(photos, tmp_path):
    before = open_data(photos, image_shape=SHAPE)
    photos.rename(tmp_path / "elsewhere")
    assert np.array_equal(open_data(str(tmp_path / "elsewhere"), image_shape=SHAPE).pixels, before.pixels)


def test_without_a_shape_the_images_are_64_by_64(photos):
    assert open_data(photos).shape == (3, 64, 64)


def test_a_second_look_decodes_nothing(photos, decoded):
    first = open_data(photos, image_shape=SHAPE)
    assert len(decoded) == 40
    second = open_data(photos, image_shape=SHAPE)
    test = open_data(photos, image_shape=SHAPE, split="test", val_split=0.3)
    assert len(decoded) == 40 and np.array_equal(first.pixels, second.pixels) and len(test) > 4
    # one array for all who look
    assert not second.pixels.flags.writeable and np.shares_memory(first.pixels, second.pixels)
    assert test.pixels.base is second.pixels.base
    open_data(photos, image_shape=(1, 8, 8))
    assert len(decoded) == 80


def test_a_changed_folder_is_decoded_again(photos, decoded, make):
    open_data(photos, image_shape=SHAPE)
    path = photos / "photo 00.png"
    path.write_bytes(make.encoded(make.photo(seed=99)))
    os.utime(path, ns=(1, 1))
    train, test = both(photos)
    assert decoded[40:] == ["photo 00.png"]
    assert make.photo(seed=99).transpose(2, 0, 1).tobytes() in {
        image.tobytes() for part in (train, test) for image in part.pixels
    }


def test_without_a_cache_it_is_only_slower(photos, decoded, own_cache, tmp_path, monkeypatch, capsys):
    open_data(photos, image_shape=SHAPE, cache=False)
    assert not any(own_cache.iterdir()) and not capsys.readouterr().err
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "a file"))
    assert len(open_data(photos, image_shape=SHAPE)) > 30
    said = capsys.readouterr().err
    assert (
        said.startswith("genzoo: decoded images are not kept")
        and said.count("\n") == 1
        and "GENZOO_CACHE" in said
    )


def test_bad_files_are_left_out_and_counted(photos, make, capsys):
    (photos / "broken.jpg").write_bytes(make.encoded(make.photo(), "JPEG")[:200])
    (photos / "empty.png").write_bytes(b"")
    (photos / "notes.txt").write_text("hello")
    (photos / ".hidden.png").write_text("hello")
    (photos / ".thumbnails").mkdir()
    (photos / ".thumbnails" / "x.png").write_bytes(b"")
    os.mkfifo(photos / "pipe.png")
    train, test = both(photos)
    assert dict(train.skipped) == {"corrupt": 2, "not an image": 1, "not a file": 1} == dict(test.skipped)
    assert len(train) + len(test) == 40
    said = capsys.readouterr().err
    assert (
        "skipped 4: 2 corrupt, 1 not a file, 1 not an image (one of them:" in said and said.count("\n") == 1
    )
    assert dict(open_data(photos, image_shape=SHAPE).skipped) == dict(train.skipped)  # from the cache, too
    good = {make.photo(seed=i).transpose(2, 0, 1).tobytes() for i in range(40)}
    assert {image.tobytes() for part in (train, test) for image in part.pixels} == good


def test_links_are_followed_but_not_round_in_circles(photos, make, tmp_path, decoded):
    (photos / "deep" / "loop").symlink_to(photos)
    (photos / "gone.png").symlink_to(tmp_path / "nowhere")
    outside = tmp_path / "outside.png"
    outside.write_bytes(make.encoded(make.photo(seed=77)))
    (photos / "link.png").symlink_to(outside)
    train, test = both(photos)
    assert len(train) + len(test) == 41 == len(decoded)


def test_names_of_any_alphabet(photos, make):
    for name in ("größe.png", "写真.png", "a\x1b[31mb.png", "sp ace\n.png", b"\xff\xfe.png"):
        path = photos / os.fsdecode(name)
        path.write_bytes(make.encoded(make.photo()))
    assert sum(map(len, both(photos))) == 45


def test_hostile_names_do_not_reach_the_terminal(tmp_path, make, capsys):
    folder = tmp_path / "evil\x1b[2J\u202e"
    folder.mkdir()
    (folder / "good.png").write_bytes(make.encoded(make.photo()))
    (folder / "bad\x1b]0;owned\x07.png").write_bytes(b"")
    open_data(folder, image_shape=SHAPE)
    said = capsys.readouterr().err
    assert "skipped 1: 1 corrupt" in said and not {"\x1b", "\x07", "\u202e"} & set(said)
    (folder / "good.png").unlink()
    with pytest.raises(DataError) as caught:
        open_data(folder, image_shape=SHAPE)
    assert not {"\x1b", "\x07", "\u202e"} & set(str(caught.value))


def test_a_folder_without_images_says_so(tmp_path):
    with pytest.raises(DataError, match="holds no files — put images there: JPEG, PNG"):
        open_data(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "b.txt").write_text("b")
    with pytest.raises(DataError, match="holds no readable image; skipped 2: 1 corrupt, 1 not an image"):
        open_data(tmp_path)


def test_nothing_held_out(photos):
    assert len(open_data(photos, image_shape=SHAPE, val_split=0)) == 40
    with pytest.raises(DataError, match=r"photos has no test images: val_split is 0 — set val_split=0\.1"):
        open_data(photos, image_shape=SHAPE, val_split=0, split="test")


def test_validation_images_are_none_of_the_test_images(photos):
    splits = ("train", "valid", "fit", "test")
    train, valid, fit, test = (
        {image.tobytes() for image in open_data(photos, image_shape=SHAPE, split=split).pixels}
        for split in splits
    )
    assert valid and fit and valid | fit == train and not valid & fit and not test & train


def test_progress_is_reported_to_whom_asks(photos):
    seen = []
    open_data(photos, image_shape=SHAPE, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)


def test_an_interrupted_decoding_leaves_no_cache(photos, own_cache, monkeypatch):
    def interrupted(path, *how):
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_data(photos, image_shape=SHAPE)
    assert not list(own_cache.rglob("*.images"))


def test_more_than_the_memory_is_refused_in_one_line(photos, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(
        DataError, match=r"photos needs .* MB of memory, and 0 MB are free — take fewer or smaller images"
    ):
        open_data(photos, image_shape=SHAPE)
