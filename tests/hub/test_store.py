"""What the cache is said to hold, and what of it may go: only what genzoo made, and nothing that is in
use."""

import os
import time

import pytest

from genzoo.errors import StorageError
from genzoo.files import locked
from genzoo.hub import pull, store

A, B = "a" * 64, "b" * 64
FILES = {
    f"weights/{A}.safetensors": "weights",
    f"weights/{A}.lock": "lock",
    f"weights/{B}.part": "part",
    f"weights/{B}.1000.part": "part",
    f"weights/{B}.lock": "lock",
    "weights/.genzoo-0123456789abcdef.tmp": "left-over",
    "data/.genzoo-0123456789abcdef.tmp": "left-over",
    "data/mnist/.genzoo-0123456789abcdef.tmp": "left-over",
    "data/mnist/train-images-idx3-ubyte.gz": "data",
    f"data/{'c' * 32}.npy": "images",
    f"data/{'c' * 32}.json": "images",
    f"data/decoded-0/{'d' * 16}-{'c' * 32}.images": "images",
    f"data/decoded-0/{'d' * 16}-{'c' * 32}.growing": "images",
    f"data/decoded-0/anywhere-{'c' * 32}.images": "images",
    f"data/decoded-0/{'d' * 16}-busy.lock": "images",
    f"data/decoded-0/{'d' * 16}.index": "images",
    "plugins.json": "plugins",
}
OTHERS = (
    "thesis.pdf",
    f"{A}.safetensors",
    "weights/mine.safetensors",
    "weights/readme",
    "data/holiday/1.jpg",
    "data/thesis.npy",
    "photos/1.jpg",
    f"photos/{'c' * 32}.npy",
    "weights/.0123456789abcdef.tmp",
    f"weights/{A.upper()}.safetensors",
)


@pytest.fixture
def root(tmp_path):
    """Give a cache that holds a file of every kind, and files that are none of genzoo's."""
    for name in (*FILES, *OTHERS):
        path = tmp_path / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return tmp_path / "cache"


def aged(root, name, days):
    then = time.time() - days * 86_400
    os.utime(root / name, (then, then))


def going(root, *pinned, **options):
    return {
        entry.path.relative_to(root).as_posix()
        for entry in store.prunable(store.entries(), pinned, **options)
    }


def test_every_file_has_its_kind_and_others_have_none(root):
    found = {entry.path.relative_to(root).as_posix(): entry.kind for entry in store.entries()}
    assert found == FILES
    assert all(entry.bytes == 5 for entry in store.entries())


def test_no_cache_at_all():
    assert store.entries() == []


LEFT = {name for name, kind in FILES.items() if kind in ("left-over", "part")}


def test_what_goes_by_default(root):
    assert going(root) == LEFT
    for name in FILES:
        aged(root, name, 31)
    images = {name for name, kind in FILES.items() if kind == "images"}
    assert going(root, A) == LEFT | images
    assert going(root) == LEFT | images | {f"weights/{A}.safetensors"}
    assert going(root, days=40) == LEFT


def test_everything(root):
    assert going(root, A, everything=True) == set(FILES)
    for entry in store.prunable(store.entries(), (), everything=True):
        store.remove(entry)
    assert store.entries() == []
    assert all((root / name).read_bytes() == b"12345" for name in OTHERS)


@pytest.mark.skipif(os.name != "posix", reason="locks of open files")
def test_what_is_in_use_stays(root):
    with locked(root / "weights" / f"{B}.lock"):
        assert f"weights/{B}.part" not in going(root, everything=True)
        entry = next(entry for entry in store.entries() if entry.kind == "part")
        with pytest.raises(StorageError, match="is locked by this very process"):
            store.remove(entry)
    assert entry.path.exists()


def test_weights_are_checked_against_their_name(hub, row):
    pull(row)
    (entry,) = (entry for entry in store.entries() if entry.kind == "weights")
    assert store.verify(entry) == ""
    entry.path.write_bytes(b"x")
    assert store.verify(entry).startswith("damaged: its sha256 is 2d711642b726b044")


def test_a_pull_sweeps_what_was_left_behind(hub, row, cache):
    cache.mkdir(parents=True)
    old, young, own = f"{A}.part", f"{B}.part", f"{row.sha256}.part"
    for name in (old, young, ".genzoo-0123456789abcdef.tmp"):
        (cache / name).write_bytes(b"12345")
    (cache / own).write_bytes(b"")
    aged(cache, old, 8)
    aged(cache, own, 8)
    pull(row)
    assert not (cache / old).exists() and (cache / young).exists()
    assert not list(cache.glob("*.tmp"))
