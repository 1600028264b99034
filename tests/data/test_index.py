"""What is known of files by their state: nothing that changed is taken for what it was."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from genzoo.data import index as indices
from genzoo.data import listing, open_data
from genzoo.data.index import Index, open_kept
from genzoo.data.listing import Files, State, list_files
from genzoo.data.reading import _digest, index_of, index_path

LATER = 10 * indices.STEP


@pytest.fixture
def settled(monkeypatch):
    """Let all files be old enough that their states are believed."""
    real = indices.time.time_ns
    monkeypatch.setattr(indices.time, "time_ns", lambda: real() + LATER)


@pytest.fixture
def read(monkeypatch):
    """Give the list of files that were read for their content."""
    from genzoo.data import folder

    names = []
    real = folder.digest_file
    monkeypatch.setattr(folder, "digest_file", lambda path: names.append(path.name) or real(path))
    return names


def look(photos):
    return {image.tobytes() for image in open_data(photos, image_shape=(3, 16, 20), val_split=0).pixels}


def test_a_second_start_reads_no_file(photos, settled, read):
    first = look(photos)
    assert len(read) == 40
    assert look(photos) == first and len(read) == 40


def test_a_start_that_reads_nothing_finds_what_one_that_read_all_has_kept(photos, own_cache):
    """In processes of their own: what is asked of Pillow before a file is read must not show in a key."""
    script = """
        import sys
        from genzoo.data import index, open_data
        index.STEP = -(10**12)  # all files are old enough
        open_data(sys.argv[1], image_shape=(3, 16, 20))
    """
    kept = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(photos)], check=True, timeout=120)
        kept.append({path: path.stat().st_ino for path in own_cache.rglob("*.images")})
    assert kept[0] == kept[1] and len(kept[0]) == 1


def test_files_that_have_just_changed_are_read_again(photos, read, monkeypatch):
    real = indices.time.time_ns
    monkeypatch.setattr(indices.time, "time_ns", lambda: real() - LATER)
    look(photos)
    look(photos)
    assert len(read) == 80


def test_a_new_file_is_read_alone(photos, settled, read, make):
    look(photos)
    (photos / "new.png").write_bytes(make.encoded(make.photo(seed=70)))
    look(photos)
    assert read[40:] == ["new.png"]


@pytest.mark.parametrize("field", State._fields)
def test_each_field_of_a_state_counts(photos, settled, read, monkeypatch, field):
    look(photos)
    real, place = listing.numbers_of, State._fields.index(field)

    def other(status):
        found = list(real(status))
        found[place] ^= 2
        return tuple(found)

    monkeypatch.setattr(listing, "numbers_of", other)
    look(photos)
    assert len(read) == 80


@pytest.mark.parametrize(
    "way", ["cut", "flip", "flipped digest", "flipped mark", "empty", "other version", "long", "nonsense"]
)
def test_a_damaged_index_is_none(photos, settled, read, own_cache, way):
    first = look(photos)
    (path,) = own_cache.rglob(f"*{indices.SUFFIX}")
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut": data[:-7],
            "flip": data[:900] + bytes([data[900] ^ 1]) + data[901:],
            "flipped digest": data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],  # of one of the last files
            "flipped mark": data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
            "empty": b"",
            "other version": data.replace(b'"version": 1', b'"version": 9'),
            "long": data + b"x",
            "nonsense": b'{"files": -1, "names": 5, "version": 1}\n',
        }[way]
    )
    assert look(photos) == first and len(read) == 80


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes are those of POSIX")
def test_an_index_that_others_may_write_is_none(photos, settled, read, own_cache):
    look(photos)
    (path,) = own_cache.rglob(f"*{indices.SUFFIX}")
    path.chmod(0o666)
    look(photos)
    assert len(read) == 80


def test_a_long_reading_is_noted_on_the_way(tmp_path, monkeypatch, settled):
    monkeypatch.setattr(indices, "LEAST", 4)
    monkeypatch.setattr(indices, "EVERY", -1.0)
    names = [f"{i:02}" for i in range(20)]
    files = Files.of(names, np.arange(120).reshape(20, 6))
    path = tmp_path / "own" / "a.index"
    path.parent.mkdir(mode=0o700)
    seen = []

    def digest(number):
        seen.append(number)
        if number == 12:
            raise KeyboardInterrupt
        return bytes([number + 1]) * 32

    with pytest.raises(KeyboardInterrupt):
        Index(files, path).read(digest, "x")
    again = Index(files, path)
    assert again.digests.any(axis=1)[:12].all() and not again.digests.any(axis=1)[16:].any()
    again.read(lambda number: bytes([number + 1]) * 32, "x")
    assert again.digests[:, 0].tolist() == list(range(1, 21))


def test_a_long_look_is_noted_on_the_way(photos, settled, monkeypatch):
    from genzoo.data import survey

    monkeypatch.setattr(indices, "EVERY", -1.0)
    real, looked = survey._Look.__call__, []

    def breaks(self, number):
        looked.append(number)
        if len(looked) == 30:
            raise KeyboardInterrupt
        return real(self, number)

    monkeypatch.setattr(survey._Look, "__call__", breaks)
    with pytest.raises(KeyboardInterrupt):
        look(photos)
    del looked[:]
    looked += [None] * 30
    look(photos)
    assert 0 < len(looked) - 30 <= 25  # the others were noted, those of a second thread as well


def test_what_cannot_be_read_is_tried_again(photos, settled, read):
    from genzoo.data.folder import _source

    gone = photos / "photo 00.png"
    source = _source(photos, list_files(photos))
    gone.rename(photos.parent / "away.png")
    first = index_of(source, True)
    assert not first.digests[[name for name, _ in source.files].index("photo 00.png")].any()
    (photos.parent / "away.png").rename(gone)
    assert index_of(source, True).digests.any(axis=1).all()


def test_files_are_a_sequence():
    files = Files.of(["a", "b/ü", "c\udcff"], np.arange(18).reshape(3, 6))
    assert [name for name, _ in files] == list(files.names()) == ["a", "b/ü", "c\udcff"]
    assert files[1] == ("b/ü", State(6, 7, 8, 9, 10, 11)) and files[-1][0] == "c\udcff" == files.name(2)
    assert [name for name, _ in files[1:]] == ["b/ü", "c\udcff"] and len(files) == 3
    with pytest.raises(IndexError):
        files[3]


@pytest.mark.parametrize("others", [[], ["a/\udcff", "a/\uf000", "a/\udc80"]], ids=["unicode", "others"])
@pytest.mark.parametrize("step", [1, 2, 1 << 14])
def test_files_are_in_the_order_of_their_paths(tmp_path, monkeypatch, step, others):
    """Whatever order a file system gives, also where a folder's name goes on in that of a file, where bytes
    have another order than the names, and where the names in a folder are too many to be texts.
    """
    monkeypatch.setattr(listing, "STEP", step)
    names = ["b/z", "b/a/x", "b.txt", "b-", "b0", "a/ü", "a/z", "c", "b/a.x", "b/a!", "a/1/2/3/4", *others]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))
    found = list_files(tmp_path)
    assert list(found.files.names()) == sorted(names)
    assert found.folders == ["a", "a/1", "a/1/2", "a/1/2/3", "b", "b/a"]
    assert [state for _, state in found.files] == [
        listing.state_of((tmp_path / name).stat()) for name in sorted(names)
    ]


def test_folders_deeper_than_python_calls(tmp_path):
    folder, depth = tmp_path, sys.getrecursionlimit() + 100
    before = os.getcwd()
    try:
        for _ in range(depth):
            os.mkdir("d" if folder is None else folder / "d")
            os.chdir("d" if folder is None else folder / "d")
            folder = None
        with open("x", "wb") as file:
            file.write(b"x")
    finally:
        os.chdir(before)
    found = list_files(tmp_path)
    subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)  # Python's own way calls itself
    assert list(found.files.names()) == ["d/" * depth + "x"]


@pytest.mark.parametrize("block", [1, 3, 7, 1 << 20])
def test_endings_of_names_are_found_across_blocks(monkeypatch, block):
    monkeypatch.setattr(listing, "BLOCK", block)
    files = Files.of(["a.tar.x", "b/C.TaR", "d"], np.zeros((3, 6), np.int64))
    assert files.any_ends_with(".tar") and files.any_ends_with(".no", "d") and files.any_ends_with(".x")
    assert not files.any_ends_with(".ta") and not files.any_ends_with("a.tar.")


def some_files(folder):
    for number in range(50):
        path = folder / f"{number % 5}" / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * number)


def changed_name(folder):
    (folder / "2" / "07.png").rename(folder / "2" / "07.gif")


CHANGES = {
    "nothing": lambda folder: None,
    "a new first file": lambda folder: (folder / "0" / "!").write_bytes(b""),
    "a new last file": lambda folder: (folder / "5").write_bytes(b""),
    "no last file": lambda folder: (folder / "4" / "49.png").unlink(),
    "no first file": lambda folder: (folder / "0" / "00.png").unlink(),
    "another state": lambda folder: (folder / "2" / "22.png").write_bytes(b"other"),
    "another name": changed_name,
}


@pytest.mark.parametrize("step", [1, 7, 50, 1 << 14])
@pytest.mark.parametrize("change", CHANGES)
def test_files_are_listed_along_what_is_kept(tmp_path, own_cache, monkeypatch, change, step):
    """Those that are kept are not in memory once more, and what has changed since is seen."""
    monkeypatch.setattr(listing, "STEP", step)
    folder = tmp_path / "images"
    folder.mkdir()
    some_files(folder)
    first = Index(list_files(folder).files, index_path(folder))
    first.digests[:] = np.arange(1, 51)[:, None]
    first.save()
    CHANGES[change](folder)
    kept = open_kept(index_path(folder))
    found, plain = list_files(folder, kept), list_files(folder)
    assert list(found.files) == list(plain.files) and found.folders == plain.folders
    assert (found.files.blob is kept.files.blob) == (change == "nothing")
    again = Index(found.files, index_path(folder))
    assert np.array_equal(again.digests, Index(plain.files, index_path(folder)).digests)
    assert again.digests.any(axis=1).sum() == len(set(plain.files) & set(first.files))


@pytest.mark.skipif(
    not os.path.exists("/proc/self/smaps"), reason="Linux says how much of a file is in memory"
)
def test_an_index_is_not_in_memory_as_a_whole(tmp_path):
    (tmp_path / "own").mkdir(mode=0o700)
    path = tmp_path / "own" / "a.index"
    files = Files.of([f"{number:040}" for number in range(100_000)], np.ones((100_000, 6), np.int64))
    first = Index(files, path)
    first.digests[:] = 1
    first.save()
    kept = open_kept(path)
    assert sum(map(len, kept.files.names())) == 40 * 100_000
    assert kept.files.name(99_999) == f"{99_999:040}" and not kept.files.any_ends_with(".tar")
    assert _digest(kept.digests) == _digest(first.digests)
    same = Index(files, path)
    same.read(lambda number: pytest.fail("all are known"), "x")
    assert same.digests.base is not None and not same.digests.flags.writeable
    lines = iter(Path("/proc/self/smaps").read_text().split("\n"))
    sizes = [next(line for line in lines if line.startswith("Rss:")) for line in lines if str(path) in line]
    assert len(sizes) == 2 and max(int(size.split()[1]) for size in sizes) < 4000  # kB, of 12,100
