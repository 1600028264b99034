"""Decoded images that are kept: always those of the present files, in files that nobody else can touch."""

import gc
import mmap
import os
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, ImageFile

from genzoo.data import cache as caching
from genzoo.data import folder as folders
from genzoo.data import index, listing, memory, open_data, sealed
from genzoo.errors import DataError, StorageError
from genzoo.locks import try_lock
from genzoo.safe_open import open_to_write

SHAPE = (3, 16, 20)
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and modes are those of POSIX")


@pytest.fixture
def decoded(monkeypatch):
    """Give the list of files that were decoded."""
    names = []
    real = folders.decode
    monkeypatch.setattr(folders, "decode", lambda path, *how: names.append(path.name) or real(path, *how))
    return names


@pytest.fixture
def bitmaps(tmp_path, make):
    """Give a folder of five BMPs: files of one size, whatever they show."""
    folder = tmp_path / "bitmaps"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.bmp").write_bytes(make.encoded(make.photo(seed=i), "BMP"))
    return folder


def kept(own_cache):
    return sorted(own_cache.glob("data/decoded-*/*.images"))


def shown(folder, shape=SHAPE):
    """Return the images of a folder, without keeping an array of them alive."""
    return {image.tobytes() for image in open_data(folder, image_shape=shape, val_split=0).pixels}


def planar(make, *seeds):
    return {make.photo(seed=seed).transpose(2, 0, 1).tobytes() for seed in seeds}


# Other pixels under the old name, size and time


def _swap(path, new):  # rsync -t: another file in its place
    new_file = path.with_name("new")
    new_file.write_bytes(new)
    os.replace(new_file, path)


def _in_place(path, new):  # cp -p
    path.write_bytes(new)


def _mapped(path, new):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as room:
        room[:] = new


def _through_another_name(path, new):
    other = path.parent.parent / "hard.bmp"
    os.link(path, other)
    other.write_bytes(new)


@pytest.mark.parametrize("way", [_swap, _in_place, _mapped, _through_another_name])
def test_files_of_the_same_size_and_time_are_not_the_same_files(bitmaps, make, way):
    assert shown(bitmaps) == planar(make, 0, 1, 2, 3, 4)
    path, new = bitmaps / "3.bmp", make.encoded(make.photo(seed=33), "BMP")
    before = path.stat()
    way(path, new)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert shown(bitmaps) == planar(make, 0, 1, 2, 33, 4)


def test_a_link_that_leads_elsewhere_now(bitmaps, make, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(make.encoded(make.photo(seed=len(name) + ord(name[0])), "BMP"))
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    link = bitmaps / "link.bmp"
    link.symlink_to(tmp_path / "one")
    before = shown(bitmaps)
    link.unlink()
    link.symlink_to(tmp_path / "two")
    assert shown(bitmaps) == before - planar(make, 3 + ord("o")) | planar(make, 3 + ord("t"))


def test_an_image_that_only_its_name_makes_one(tmp_path, make):
    """A TGA has no magic number: all of it has to be read, though nothing but its name tells that it is an
    image."""
    (tmp_path / "tga").mkdir()
    path = tmp_path / "tga" / "a.tga"
    for seed in (1, 2):
        photo = make.photo(60, 40)
        photo[0] = seed  # lies last in the file, which begins at the bottom
        path.write_bytes(make.encoded(photo, "TGA"))
        os.utime(path, ns=(10**18, 10**18))
        assert np.array_equal(
            open_data(tmp_path / "tga", image_shape=(3, 40, 60), val_split=0).pixels[0],
            photo.transpose(2, 0, 1),
        )


def test_two_files_that_have_changed_their_names(bitmaps, make, decoded):
    shown(bitmaps)
    (bitmaps / "0.bmp").rename(bitmaps / "x")
    (bitmaps / "1.bmp").rename(bitmaps / "0.bmp")
    (bitmaps / "x").rename(bitmaps / "1.bmp")
    assert shown(bitmaps) == planar(make, 0, 1, 2, 3, 4)


def test_a_change_within_one_step_of_the_clock_is_seen(bitmaps, make, monkeypatch):
    """As on a file system whose clock goes in steps of seconds: the state is the same, the content is not."""
    frozen = {path.name: listing.state_of(path.stat()) for path in bitmaps.iterdir()}
    monkeypatch.setattr(listing, "_entries", lambda folder: iter(sorted(frozen.items())))
    monkeypatch.setattr(folders, "_is_steady", lambda *_: True)
    monkeypatch.setattr(index.time, "time_ns", lambda: max(s.st_ctime_ns for s in frozen.values()) + 10**9)
    shown(bitmaps)
    _in_place(bitmaps / "2.bmp", make.encoded(make.photo(seed=22), "BMP"))
    assert shown(bitmaps) == planar(make, 0, 1, 22, 3, 4)


def test_files_that_change_while_they_are_read_are_not_kept(bitmaps, make, monkeypatch, own_cache, capsys):
    real = folders.decode

    def late(path, *how):
        if path.name == "2.bmp":
            _swap(path, make.encoded(make.photo(seed=22), "BMP"))
        return real(path, *how)

    monkeypatch.setattr(folders, "decode", late)
    shown(bitmaps)
    assert not kept(own_cache) and "bitmaps changed while it was read" in capsys.readouterr().err


def test_an_npz_of_the_same_size_and_time(tmp_path, make):
    path = tmp_path / "a.npz"
    for seed in (1, 2):
        files = [make.encoded(make.photo(seed=seed + i), "BMP") for i in range(3)]
        np.savez(path, **make.end_to_end(files, "jpeg"))
        os.utime(path, ns=(10**18, 10**18))
        found = {image.tobytes() for image in open_data(path, val_split=0).pixels}
        assert found == planar(make, seed, seed + 1, seed + 2)


# What else decides the pixels


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        (caching, "VERSION", 10**6),
        (PIL, "__version__", "0.1"),
        (caching.genzoo, "__version__", "9.9"),
        (ImageFile, "LOAD_TRUNCATED_IMAGES", True),
        (Image, "MAX_IMAGE_PIXELS", 10**6),
    ],
)
def test_another_decoder_decodes_anew(bitmaps, decoded, monkeypatch, where, name, value):
    shown(bitmaps)
    caching._versions.cache_clear()
    monkeypatch.setattr(where, name, value)
    shown(bitmaps)
    caching._versions.cache_clear()
    assert len(decoded) == 10
    shown(bitmaps, (1, 16, 20))
    shown(bitmaps, (3, 20, 16))
    assert len(decoded) == 20


def test_a_moved_or_copied_folder_is_not_decoded_again(bitmaps, decoded, tmp_path):
    shown(bitmaps)
    shutil.copytree(bitmaps, tmp_path / "copy")
    bitmaps.rename(tmp_path / "moved")
    assert shown(tmp_path / "moved") == shown(tmp_path / "copy") and len(decoded) == 5


def test_a_film_among_the_images_is_not_read(bitmaps, own_cache, decoded):
    with open(bitmaps / "film.mp4", "wb") as film:
        film.write(b"\0\0\0\x18ftypmp42")
        film.truncate(1 << 40)  # a hole: to read it would take hours
    assert len(shown(bitmaps)) == 5


# Left-overs


def test_the_earlier_copy_of_a_changed_folder_is_removed(bitmaps, photos, make, own_cache):
    shown(photos)
    shown(bitmaps, (1, 8, 8))
    before = set(kept(own_cache))
    for seed in range(50, 53):
        _in_place(bitmaps / "3.bmp", make.encoded(make.photo(seed=seed), "BMP"))
        shown(bitmaps)
        assert len(kept(own_cache)) == 3 and before < set(kept(own_cache))


def test_what_a_killed_process_left_is_removed(bitmaps, own_cache):
    shown(bitmaps)
    folder = kept(own_cache)[0].parent
    dead, alive = (folder / f".genzoo-{16 * digit}.tmp" for digit in "01")
    dead.write_bytes(b"half")
    handle = open_to_write(alive, new=True)
    try:
        locked = try_lock(handle)  # as long as it is written
        shown(bitmaps, (1, 8, 8))
        assert list(folder.glob(".*.tmp")) == [alive] and locked
    finally:
        os.close(handle)


# Harm, and others


def test_a_damaged_copy_is_made_again_wherever_the_damage_is(bitmaps, decoded, own_cache):
    good = shown(bitmaps)
    (path,) = kept(own_cache)
    data = path.read_bytes()
    places = [
        0,
        5,
        60,
        data.index(b"\n"),
        data.index(b"\n") + 3,
        len(data) // 2,
        len(data) - 40,
        len(data) - 1,
    ]
    harms = [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in places]
    harms += [data[: len(data) // 2], b"", b"\n", data + b"\0", b"[" * 70_000, b"3\n" + data]
    harms += [b'{"shape": [1, 3, 4611686018427387904, 9]}\n']
    for count, harm in enumerate(harms, 1):
        path.write_bytes(harm)
        assert shown(bitmaps) == good and len(decoded) == 5 * (count + 1), harm[:80]
        assert path.read_bytes() == data


def test_the_copy_of_other_images_under_this_name_is_refused(bitmaps, photos, decoded, own_cache):
    shown(bitmaps)
    (ours,) = kept(own_cache)
    shown(photos)
    (theirs,) = set(kept(own_cache)) - {ours}
    shutil.copyfile(theirs, ours)
    assert len(shown(bitmaps)) == 5


@posix
def test_files_and_folder_are_closed_to_others(bitmaps, own_cache, decoded):
    old = os.umask(0)
    try:
        shown(bitmaps)
        (path,) = kept(own_cache)
        assert (
            stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        )
        path.parent.chmod(0o777)
        path.chmod(0o666)  # somebody else may have written to it since
        shown(bitmaps)
    finally:
        os.umask(old)
    assert len(decoded) == 10
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@posix
def test_what_another_user_left_is_not_read(bitmaps, own_cache, decoded, monkeypatch, capsys):
    shown(bitmaps)
    folder, me = kept(own_cache)[0].parent, os.geteuid()
    monkeypatch.setattr(caching.os, "geteuid", lambda: me + 1)
    folder.rename(folder.with_name(f"decoded-{me + 1}"))
    assert len(shown(bitmaps)) == 5 and len(decoded) == 10
    said = capsys.readouterr().err
    assert (
        "decoded images are not kept: cannot use" in said
        and "permission denied" in said
        and said.count("\n") == 1
    )


@posix
def test_a_link_in_the_place_of_a_copy_is_neither_read_nor_followed(bitmaps, own_cache, decoded, tmp_path):
    shown(bitmaps)
    (path,) = kept(own_cache)
    victim = tmp_path / "victim"
    path.rename(victim)
    data = victim.read_bytes()
    path.symlink_to(victim)
    assert len(shown(bitmaps)) == 5 and len(decoded) == 10
    assert not path.is_symlink() and victim.read_bytes() == data
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    shown(bitmaps)
    assert not (tmp_path / "nowhere").exists() and not path.is_symlink()


@posix
def test_a_link_in_the_place_of_the_folder_is_refused(bitmaps, own_cache, tmp_path, capsys):
    shown(bitmaps)
    folder = kept(own_cache)[0].parent
    shutil.rmtree(folder)
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert len(shown(bitmaps)) == 5
    assert (
        not any((tmp_path / "elsewhere").iterdir())
        and "decoded images are not kept" in capsys.readouterr().err
    )


@posix
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_does_not_hang(bitmaps, own_cache, decoded, kind, capsys):
    shown(bitmaps)
    (path,) = kept(own_cache)
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    assert len(shown(bitmaps)) == 5 and len(decoded) == 10
    assert path.is_file() if kind == "pipe" else "it is a folder" in capsys.readouterr().err


def test_a_copy_that_is_cut_or_overwritten_harms_nobody_who_reads_it(bitmaps, own_cache):
    """In a process of its own: of a memory map, it would be killed by SIGBUS."""
    script = """
        import sys
        from pathlib import Path
        from genzoo.data import open_data
        def look(): return open_data(sys.argv[1], image_shape=(3, 256, 256), val_split=0)
        first = look().pixels.sum()
        images = look()
        for path in Path(sys.argv[2]).rglob("*"):
            if path.is_file():
                with open(path, "r+b") as file:
                    file.write(b"?" * 1000)
                    file.truncate(1000)
        assert images.pixels.sum() == first
        del images
        assert look().pixels.sum() == first
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(bitmaps), str(own_cache)],
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]


def test_a_copy_that_does_not_fit_is_one_line(bitmaps, monkeypatch):
    shown(bitmaps)
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(DataError, match=r"bitmaps needs .* MB are free"):
        shown(bitmaps)


def test_an_array_is_forgotten_with_its_last_user(bitmaps):
    images = open_data(bitmaps, image_shape=SHAPE)
    assert len(caching._alive) >= 1
    count = len(caching._alive)
    del images
    gc.collect()
    assert len(caching._alive) < count


def test_notes_end_no_run(monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

    for stream in (None, Gone()):
        monkeypatch.setattr(sys, "stderr", stream)
        caching.note("hello")


def test_an_own_folder_says_what_is_in_its_way(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot use"):
        sealed.own_folder(tmp_path / "file")
    assert sealed.own_folder(tmp_path / "a" / "b") == Path(tmp_path / "a" / "b")
