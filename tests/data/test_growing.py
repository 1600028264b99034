"""Task by pieces on disk: what a killed run keeps, what is never taken for whole, and mapped sets."""

import gc
import mmap
import os
import signal
import subprocess
import sys
import textwrap
import types

import numpy as np
import pytest
from small_disks import ballast, small_disk

from genzoo.data import cache as caching
from genzoo.data import folder as folders
from genzoo.data import growing, identity, journal, memory, open_data, sealed, seen
from genzoo.data.frames import Task
from genzoo.errors import DataError, StorageError

SHAPE = (3, 16, 20)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Cut forty images into pieces of four."""
    monkeypatch.setattr(journal, "LEAST", 4)


@pytest.fixture
def mapping(monkeypatch):
    """Map every set, however small."""
    for module in (sealed, growing, caching):
        monkeypatch.setattr(module, "MAPPED", 0)


@pytest.fixture
def decoded(monkeypatch):
    """Give the list of files that were decoded."""
    names = []
    real = folders.decode
    monkeypatch.setattr(folders, "decode", lambda path, *how: names.append(path.name) or real(path, *how))
    return names


def interrupt(monkeypatch, after, error=KeyboardInterrupt):
    """Let decoding break off after so many images."""
    real, left = folders.decode, [after]

    def breaks(*how):
        left[0] -= 1
        if left[0] < 0:
            raise error
        return real(*how)

    monkeypatch.setattr(folders, "decode", breaks)
    return lambda: monkeypatch.setattr(folders, "decode", real)


def whole(photos):
    """Return the images as a set without a cache has them."""
    return open_data(photos, image_shape=SHAPE, val_split=0, cache=False).pixels


def look(photos):
    """Return a copy of the images, so that no array is shared with the next look."""
    found = np.array(open_data(photos, image_shape=SHAPE, val_split=0).pixels)
    gc.collect()
    return found


def kept(own_cache, suffix):
    return sorted(own_cache.rglob(f"*{suffix}"))


def test_what_is_decoded_is_kept_when_a_run_breaks_off(photos, monkeypatch, own_cache):
    expected = whole(photos)
    heal = interrupt(monkeypatch, 30)
    with pytest.raises(KeyboardInterrupt):
        look(photos)
    heal()
    names = []
    real = folders.decode
    monkeypatch.setattr(folders, "decode", lambda path, *how: names.append(path.name) or real(path, *how))
    assert np.array_equal(look(photos), expected)
    # at most the piece that was under way, which several threads work at, is lost
    assert 10 <= len(names) <= 16
    assert not kept(own_cache, ".growing") and not kept(own_cache, ".journal")


def test_a_killed_process_loses_one_piece(photos, own_cache, decoded):
    script = """
        import os, signal, sys
        from genzoo.data import folder, journal, open_data
        journal.LEAST = 4
        real, left = folder.decode, [30]
        def counted(*how):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*how)
        folder.decode = counted
        open_data(sys.argv[1], image_shape=(3, 16, 20), val_split=0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(photos)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert len(kept(own_cache, ".growing")) == 1
    assert np.array_equal(look(photos), whole(photos))
    assert len(decoded) - 40 <= 16  # 40 of them without a cache


def spoil(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)


def test_a_piece_that_is_not_as_it_was_written_is_decoded_again(photos, monkeypatch, own_cache):
    """As after a power cut: the journal has reached the disk, the images have not."""
    expected = whole(photos)
    heal = interrupt(monkeypatch, 36)
    with pytest.raises(KeyboardInterrupt):
        look(photos)
    heal()
    (path,) = kept(own_cache, ".growing")
    with open(path, "r+b") as file:
        file.write(b"\0" * 40 * 960)
    assert np.array_equal(look(photos), expected)


@pytest.mark.parametrize(
    "harm",
    [
        lambda lines: [*lines[:-1], lines[-1][:20]],  # a line that is half written
        lambda lines: [lines[0].replace(b'"count": 40', b'"count": 39'), *lines[1:]],
        lambda lines: lines[1:],
        lambda lines: [b"{}\n"],
        lambda lines: [lines[0], b"[]\n", b'{"piece": 99}\n', b'{"piece": 1, "sha256": 3, "none": 4}\n'],
        lambda lines: [],
    ],
    ids=range(6),
)
def test_a_damaged_journal_costs_time_alone(photos, monkeypatch, own_cache, harm):
    expected = whole(photos)
    heal = interrupt(monkeypatch, 30)
    with pytest.raises(KeyboardInterrupt):
        look(photos)
    heal()
    (path,) = kept(own_cache, ".journal")
    path.write_bytes(b"".join(harm(path.read_bytes().splitlines(keepends=True))))
    assert np.array_equal(look(photos), expected)


def test_ten_added_files_are_ten_to_decode(photos, make, decoded, own_cache):
    first = look(photos)
    for i in range(10):
        (photos / f"new {i}.png").write_bytes(make.encoded(make.photo(seed=100 + i)))
    del decoded[:]
    second = look(photos)
    assert sorted(decoded) == [f"new {i}.png" for i in range(10)]
    assert np.array_equal(second, whole(photos)) and len(second) == len(first) + 10
    assert len(kept(own_cache, ".images")) == 1  # the earlier one is gone


def test_files_added_to_a_half_decoded_folder(photos, make, monkeypatch, own_cache):
    heal = interrupt(monkeypatch, 30)
    with pytest.raises(KeyboardInterrupt):
        look(photos)
    heal()
    (photos / "new.png").write_bytes(make.encoded(make.photo(seed=100)))
    (photos / "photo 00.png").unlink()
    names = []
    real = folders.decode
    monkeypatch.setattr(folders, "decode", lambda path, *how: names.append(path.name) or real(path, *how))
    found = look(photos)
    assert "new.png" in names and len(names) <= 18
    assert np.array_equal(found, whole(photos))
    assert not kept(own_cache, ".growing") and not kept(own_cache, ".journal")


def test_a_removed_and_a_renamed_file_decode_nothing(photos, decoded):
    look(photos)
    (photos / "photo 00.png").unlink()
    (photos / "photo 03.png").rename(photos / "another.png")
    del decoded[:]
    found = look(photos)
    assert not decoded and np.array_equal(found, whole(photos))


def test_a_changed_file_is_never_taken_from_the_earlier_copy(photos, make, decoded):
    look(photos)
    (photos / "photo 03.png").write_bytes(make.encoded(make.photo(seed=77)))
    del decoded[:]
    assert np.array_equal(look(photos), whole(photos))
    assert decoded[:1] == ["photo 03.png"]


def test_another_scale_is_another_image(tmp_path, make, monkeypatch):
    """A deep image is brighter or darker by what the others of its folder hold: it is not taken over."""
    folder = tmp_path / "deep"
    folder.mkdir()
    for i in range(4):
        deep = (np.arange(320).reshape(16, 20) * 3 + i).astype(np.uint16)
        (folder / f"{i}.png").write_bytes(make.encoded(deep))
    look(folder)
    (folder / "bright.png").write_bytes(
        make.encoded((np.arange(320).reshape(16, 20) * 200).astype(np.uint16))
    )
    assert np.array_equal(look(folder), whole(folder))


def test_bad_files_leave_no_gap(photos, make, monkeypatch, mapping):
    for i in range(6):
        (photos / f"bad {i}.jpg").write_bytes(b"\xff\xd8\xff" + bytes([i]) * 50)
    expected = whole(photos)
    assert len(expected) == 40
    monkeypatch.setattr(growing, "MOVED", 4000)
    images = open_data(photos, image_shape=SHAPE, val_split=0)
    assert np.array_equal(images.pixels, expected) and dict(images.skipped) == {"corrupt": 6}


def test_the_order_does_not_depend_on_who_decodes(photos, monkeypatch, own_cache):
    from genzoo.data import pool

    found = []
    for cores, pieces in ((1, 1), (2, 7), (8, 40)):
        monkeypatch.setattr(pool.os, "cpu_count", lambda cores=cores: cores)
        monkeypatch.setattr(journal, "PIECES", pieces)
        for path in own_cache.rglob("*.images"):
            path.unlink()
        found.append(look(photos))
    assert all(np.array_equal(found[0], one) for one in found)


def test_a_mapped_set_is_the_set(photos, mapping):
    images = open_data(photos, image_shape=SHAPE)
    owner = images.pixels.base
    assert isinstance(owner.base, mmap.mmap) and not images.pixels.flags.writeable
    test = open_data(photos, image_shape=SHAPE, split="test")
    assert np.shares_memory(owner, test.pixels)
    expected = open_data(photos, image_shape=SHAPE, cache=False)
    assert np.array_equal(images.pixels, expected.pixels) and identity(images) == identity(expected)
    rows = np.array([5, 0, 11])
    assert np.array_equal(images[rows], expected[rows])
    sealed.release(images.pixels)
    assert np.array_equal(images.pixels, expected.pixels)


def test_a_mapped_set_needs_no_memory_for_its_pixels(photos, mapping, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    assert len(open_data(photos, image_shape=SHAPE, val_split=0)) == 40
    gc.collect()
    assert len(open_data(photos, image_shape=SHAPE, val_split=0)) == 40


def test_a_mapped_set_is_not_read_at_the_next_start(photos, mapping, monkeypatch):
    first = open_data(photos, image_shape=SHAPE)
    name = identity(first)
    del first
    gc.collect()

    def fails(*_):
        raise AssertionError("the pixels were read")

    monkeypatch.setattr(sealed, "_digests", fails)
    monkeypatch.setattr(sys.modules["genzoo.data.identity"], "_add", fails)
    again = open_data(photos, image_shape=SHAPE)
    assert identity(again) == name
    # other labels, another split: another name
    with pytest.raises(AssertionError):
        identity(again.replace(split="valid"))


def test_a_mapped_file_that_was_written_to_is_looked_at(photos, mapping, own_cache, decoded):
    expected = look(photos)
    (path,) = kept(own_cache, ".images")
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"?")
    assert np.array_equal(look(photos), expected) and len(decoded) == 80


def test_damage_in_one_block_spares_the_others(photos, monkeypatch, own_cache, decoded, mapping):
    monkeypatch.setattr(sealed, "BLOCK", 8 * 960)
    expected = look(photos)
    (path,) = kept(own_cache, ".images")
    spoil(path, 20 * 960)
    del decoded[:]
    assert np.array_equal(look(photos), expected) and len(decoded) == 8


def test_what_is_noted_of_a_file_is_believed_for_that_file_alone(photos, mapping, own_cache):
    images = open_data(photos, image_shape=SHAPE)
    (path,) = kept(own_cache, ".images")
    seen.note_identity(path, "name", "0" * 64)
    assert seen.identity_of(path, "name") == "0" * 64 and seen.identity_of(path, "other") is None
    os.utime(path, ns=(1, 1))
    assert seen.identity_of(path, "name") is None
    seen.note_identity(path, "name", "1" * 64)  # of another state: nothing is noted
    assert seen.identity_of(path, "name") is None
    path.with_suffix(seen.SUFFIX).write_text("[")
    assert seen.identity_of(path, "name") is None and len(images) > 30


class Full(types.SimpleNamespace):
    """A disk with so many bytes free."""


def test_a_disk_without_room_is_told_before_anything_is_decoded(photos, mapping, monkeypatch, decoded):
    monkeypatch.setattr(growing.shutil, "disk_usage", lambda _: Full(free=growing.SPARE + 10_000))
    with pytest.raises(
        StorageError,
        match=r"disk is full; the images need 0 MB; 67 MB are free, of which 67 MB stay free — free",
    ):
        look(photos)
    assert not decoded


def no_space(monkeypatch, after):
    """Let the disk be full after so many pieces; return what ends that."""
    real, left = growing._put, [after]

    def put(*how):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(*how)

    monkeypatch.setattr(growing, "_put", put)
    return lambda: monkeypatch.setattr(growing, "_put", real)


def test_a_disk_that_fills_keeps_what_was_decoded(photos, mapping, monkeypatch, decoded):
    free = no_space(monkeypatch, 9)
    with pytest.raises(
        StorageError, match="the disk is full; 36 of 40 images of photos are decoded and kept"
    ):
        look(photos)
    free()
    del decoded[:]
    assert np.array_equal(look(photos), whole(photos))
    assert len(decoded) == 4 + 40  # 40 without a cache


def test_a_real_disk_that_fills_at_nine_tenths(photos, mapping, monkeypatch, decoded, tmp_path, capfd):
    """Somebody else's file takes what is left: one line, and what was decoded is there the next time."""
    monkeypatch.setattr(growing, "SPARE", 0)
    shape, real, left = (3, 64, 64), folders.decode, [36]

    def fills(*how):
        left[0] -= 1
        if left[0] == 0:
            ballast(tmp_path / "disk")
        return real(*how)

    with small_disk(tmp_path / "disk", 700) as disk:
        monkeypatch.setenv("GENZOO_CACHE", str(disk / "cache"))
        monkeypatch.setattr(folders, "decode", fills)
        with pytest.raises(
            StorageError, match=r"the disk is full; 3\d of 40 images of photos are decoded"
        ) as no:
            open_data(photos, image_shape=shape, val_split=0)
        assert "\n" not in str(no.value) and capfd.readouterr().err == ""
        (disk / "ballast").unlink()
        del decoded[:]
        found = open_data(photos, image_shape=shape, val_split=0)
        assert len(decoded) <= 8
        expected = open_data(photos, image_shape=shape, val_split=0, cache=False)
        assert np.array_equal(found.pixels, expected.pixels)


def test_a_small_set_does_without_the_disk(photos, monkeypatch, capsys):
    no_space(monkeypatch, 3)
    assert len(look(photos)) == 40
    said = capsys.readouterr().err
    assert "decoded images are not kept: cannot write" in said and said.count("\n") == 1


def late(monkeypatch, make, name):
    """Change the file `name` while it is decoded."""
    real = folders.decode

    def changes(path, *how):
        if path.name == name:
            path.write_bytes(make.encoded(make.photo(seed=55)))
        return real(path, *how)

    monkeypatch.setattr(folders, "decode", changes)
    return lambda: monkeypatch.setattr(folders, "decode", real)


def test_of_a_folder_that_changes_the_rest_is_kept(photos, make, monkeypatch, capsys, own_cache):
    heal = late(monkeypatch, make, "photo 10.png")
    assert len(look(photos)) == 40
    assert "photos changed while it was read" in capsys.readouterr().err and not kept(own_cache, ".images")
    heal()
    names = []
    real = folders.decode
    monkeypatch.setattr(folders, "decode", lambda path, *how: names.append(path.name) or real(path, *how))
    assert np.array_equal(look(photos), whole(photos))
    assert "photo 10.png" in names[:4] and len(names) <= 4 + 40


def test_a_large_folder_that_changes_is_one_line(photos, make, monkeypatch, mapping):
    heal = late(monkeypatch, make, "photo 10.png")
    with pytest.raises(DataError, match="photos changed while it was read — type the same again"):
        look(photos)
    heal()
    assert np.array_equal(look(photos), whole(photos))


def test_a_second_process_waits_and_decodes_nothing(photos):
    script = """
        import sys, time
        from genzoo.data import folder, open_data
        real, count = folder.decode, [0]
        def slow(*how):
            count[0] += 1
            time.sleep(0.05)
            return real(*how)
        folder.decode = slow
        open_data(sys.argv[1], image_shape=(3, 16, 20))
        print(count[0])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(photos)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = sorted(int(process.communicate(timeout=120)[0]) for process in both)
    assert counts == [0, 40]


def test_an_empty_growing_file_is_no_result():
    with growing.Growing(__import__("pathlib").Path("."), "a", "b") as empty, pytest.raises(DataError):
        empty.pixels()


def test_tags_of_zeros_are_not_mixed_up(tmp_path):
    """Texts of numpy end at their last byte that is not zero."""
    from genzoo.data.earlier import _sortable

    tags = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0]], np.uint8)
    assert len(set(_sortable(tags).tolist())) == 3
    job = Task(count=3, load=lambda row: row, shape=(1, 1, 1), what="x", tags=tags)
    assert journal.Head.of("k", job).tagged == 3
