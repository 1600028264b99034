"""Files: a crash leaves the old or the new content, digests cannot lead anywhere, and a full or closed disk
is one line."""

import errno
import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from genzoo import files
from genzoo.errors import HubError, StorageError

DIGEST = "0123456789abcdef" * 4
POSIX = os.name == "posix"


def failing(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_bytes_and_writers(tmp_path):
    path = tmp_path / "a.bin"
    assert files.atomic_write(path, b"one") == path and path.read_bytes() == b"one"
    files.atomic_write(str(path), lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two" and names(tmp_path) == ["a.bin"]


@pytest.mark.skipif(not POSIX, reason="modes")
def test_the_mode_is_what_the_umask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        files.atomic_write(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_link_is_followed(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    files.atomic_write(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_on_failure_the_old_file_stays_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "a"
    files.atomic_write(path, b"old")
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"cannot write .*a: the disk is full"):
        files.atomic_write(path, b"new")
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def write(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.atomic_write(tmp_path / "a", write)
    assert names(tmp_path) == []


class TestFilling:
    """Many small files for one folder: as `atomic_write` writes them, with fewer questions to the system."""

    def test_files_are_those_of_atomic_write(self, tmp_path):
        old = os.umask(0o027)
        try:
            with files.filling(tmp_path) as put:
                for number in range(20):
                    put(f"{number}", bytes([number]) * number)
        finally:
            os.umask(old)
        assert names(tmp_path) == sorted(map(str, range(20)))
        for number in range(20):
            path = tmp_path / f"{number}"
            assert path.read_bytes() == bytes([number]) * number
            assert not POSIX or path.stat().st_mode & 0o777 == 0o640

    @pytest.mark.parametrize("call", ["write", "replace"])
    def test_on_failure_nothing_is_left(self, tmp_path, monkeypatch, call):
        with files.filling(tmp_path) as put:
            put("a", b"x")
            monkeypatch.setattr(os, call, failing(errno.ENOSPC))
            with pytest.raises(StorageError, match=r"cannot write .*b: the disk is full"):
                put("b", b"x")
            monkeypatch.undo()
            put("c", b"x")
        assert names(tmp_path) == ["a", "c"]

    def test_a_write_that_takes_half_goes_on(self, tmp_path, monkeypatch):
        real = os.write
        monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[: (len(data) + 1) // 2]))
        with files.filling(tmp_path) as put:
            put("a", b"0123456789")
        assert (tmp_path / "a").read_bytes() == b"0123456789"

    @pytest.mark.skipif(not POSIX, reason="links and pipes")
    def test_what_is_there_is_looked_at(self, tmp_path):
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "link").symlink_to(tmp_path / "far")
        os.mkfifo(folder / "pipe")
        (folder / "old").write_bytes(b"old")
        with files.filling(folder) as put:
            put("link", b"x")
            put("old", b"new")
            with pytest.raises(StorageError, match="a pipe"):
                put("pipe", b"x")
        assert (folder / "link").is_symlink() and (tmp_path / "far").read_bytes() == b"x"
        assert (folder / "old").read_bytes() == b"new"

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(StorageError, match="no such file or folder"), files.filling(tmp_path / "a"):
            pass

    @pytest.mark.skipif(not POSIX or os.geteuid() != 0, reason="only root can give a link to somebody else")
    def test_a_link_of_somebody_else_is_not_followed(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        os.lchown(tmp_path / "link", 12345, 12345)
        with pytest.raises(StorageError, match="someone else"), files.filling(tmp_path / "link"):
            pass

    @pytest.mark.skipif(not POSIX, reason="Windows has no locks on open files here")
    def test_a_sweep_leaves_what_is_being_written(self, tmp_path):
        """Of several processes that begin at different moments, each sweeps the folder of all."""
        ended = threading.Event()

        def sweeping():
            while not ended.is_set():
                files.sweep(tmp_path)

        other = threading.Thread(target=sweeping)
        other.start()
        try:
            with files.filling(tmp_path) as put:
                for number in range(2000):
                    put(f"{number}", b"x" * 5000)
        finally:
            ended.set()
            other.join()
        assert len(names(tmp_path)) == 2000


LIMITED = """
import resource, signal, sys
from genzoo.errors import StorageError
from genzoo.files import atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic_write(sys.argv[1], b"x" * 5000)
except StorageError as error:
    print(error)
"""


@pytest.mark.skipif(not POSIX, reason="resource limits")
def test_a_disk_that_really_refuses(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    out = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a")], capture_output=True, text=True, check=True
    ).stdout
    assert out.count("\n") == 1 and "cannot write" in out
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"


def test_the_order_is_flush_rename_flush_folder(tmp_path, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(handle):
        calls.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        real_fsync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), real_replace(a, b)))
    files.atomic_write(tmp_path / "a", b"x")
    if sys.platform == "linux":
        assert calls == ["file", "rename", "folder"]
    assert calls.index("rename") == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("missing/a", "no such file or folder"),
        ("file/a", "is a file, not a folder"),
        ("folder", "it is a folder"),
        ("x" * 300, "too long"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, place, words):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=words) as caught:
        files.atomic_write(tmp_path / place, b"x")
    assert str(tmp_path) in caught.value.message and caught.value.hint
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "permission denied"), (errno.EROFS, "read-only"), (errno.EIO, "cannot read x: ")],
)
def test_other_reasons_have_words(number, words):
    with pytest.raises(StorageError, match=words), files.storage("read", "x"):
        failing(number)()


@pytest.mark.skipif(not POSIX or os.geteuid() == 0, reason="root may write everywhere")
def test_a_closed_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission denied"):
        files.atomic_write(tmp_path / "a", b"x")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that nobody writes to")
def test_a_file_system_that_refuses_even_root():
    with pytest.raises(StorageError, match="cannot write /proc/genzoo"):
        files.atomic_write("/proc/genzoo", b"x")


def test_reading_stops_at_the_cap(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert files.read_capped(tmp_path / "a", 5) == b"12345"
    with pytest.raises(StorageError, match="larger than the 4 bytes"):
        files.read_capped(tmp_path / "a", 4)
    with pytest.raises(StorageError, match="no such file"):
        files.read_capped(tmp_path / "b", 4)
    with pytest.raises(StorageError, match="is a folder"):
        files.read_capped(tmp_path, 4)


@pytest.mark.skipif(not POSIX, reason="pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="not a regular file"):
        files.read_capped(tmp_path / "pipe", 4)
    with pytest.raises(StorageError, match="not a regular file"):
        files.sha256_of(tmp_path / "pipe")


def test_sha256_of_bytes_and_files(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256_of(b"abc") == files.sha256_of(tmp_path / "a") == known


def test_a_digest_becomes_a_path_in_its_folder(tmp_path):
    assert files.digest_path(tmp_path, DIGEST, ".part") == tmp_path / f"{DIGEST}.part"


@pytest.mark.parametrize(
    "digest",
    ["../" + DIGEST[3:], DIGEST.upper(), DIGEST + "\n", DIGEST[:-1], "", "/" * 64, "٠" * 64, None, b"a" * 64],
)
def test_nothing_else_becomes_a_path(tmp_path, digest):
    with pytest.raises(HubError, match="not a sha256"):
        files.digest_path(tmp_path, digest)


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setattr(files.sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("GENZOO_CACHE", "")
    assert files.cache_dir() == Path("/home/ada/.cache/genzoo")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert files.cache_dir() == Path("/xdg/genzoo")
    monkeypatch.setenv("GENZOO_CACHE", "~/zoo")
    assert files.cache_dir() == Path("/home/ada/zoo")


def test_no_home_is_no_trouble_until_something_is_written(monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "GENZOO_CACHE", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does for a user without a home
    folder = files.cache_dir()
    assert folder.is_absolute()
    with pytest.raises(StorageError, match=r"there is no home folder.*GENZOO_CACHE"):
        files.make_folder(folder / "weights")


def test_a_lock_keeps_others_out(tmp_path):
    order = []

    def second():
        with files.locked(tmp_path / "l"):
            order.append("second")

    thread = threading.Thread(target=second)
    with files.locked(tmp_path / "l"):
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_a_lock_that_cannot_be_made(tmp_path):
    with pytest.raises(StorageError, match="cannot lock"), files.locked(tmp_path / "missing" / "l"):
        pass


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose code must not run when its files are looked for."""
    folder = tmp_path / "site" / "zoo_plugin_a"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "weights.bin").write_bytes(b"w")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_a_resource_is_found_without_importing(package):
    assert files.find_resource("zoo_plugin_a/weights.bin") == package / "weights.bin"
    assert "zoo_plugin_a" not in sys.modules
    for absent in (
        "zoo_plugin_a/other.bin",
        "zoo_plugin_a",
        "zoo_plugin_none/x",
        "odd-name/x",
        "sys/x",
        "json.decoder/x",
    ):
        assert files.find_resource(absent) is None


@pytest.mark.parametrize("path", ["zoo_plugin_a/../x", "/etc/passwd", "..", "", "a\\b", "a/c:d", "a/x\n"])
def test_a_resource_stays_inside(package, path):
    with pytest.raises(HubError, match="relative path"):
        files.find_resource(path)


def test_a_resource_in_a_zip(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "plugins.zip", "w") as archive:
        archive.writestr("zoo_plugin_z/__init__.py", "raise SystemExit('imported')")
        archive.writestr("zoo_plugin_z/data/weights.bin", b"zipped")
    monkeypatch.syspath_prepend(str(tmp_path / "plugins.zip"))
    assert files.find_resource("zoo_plugin_z/data/weights.bin") == b"zipped"
    assert files.find_resource("zoo_plugin_z/data/other.bin") is None


DYING = """
import os, signal, sys
from genzoo import files
def write(file):
    file.write(b"x" * 5000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
files.atomic_write(sys.argv[1], write)
"""


@pytest.mark.skipif(not POSIX, reason="needs SIGKILL")
def test_what_a_killed_writer_leaves_is_swept(tmp_path):
    for _ in range(2):
        assert (
            subprocess.run([sys.executable, "-c", DYING, str(tmp_path / "a")], check=False).returncode == -9
        )
    assert [files.is_temporary(name) for name in names(tmp_path)] == [True, True]
    assert files.sweep(tmp_path, tmp_path / "missing") == 10_000
    assert names(tmp_path) == []


@pytest.mark.skipif(not POSIX, reason="locks of open files")
def test_what_is_being_written_is_not_swept(tmp_path):
    def write(file):
        file.write(b"new")
        assert files.sweep(tmp_path) == 0
        assert len(names(tmp_path)) == 1

    files.atomic_write(tmp_path / "a", write)
    assert (tmp_path / "a").read_bytes() == b"new" and names(tmp_path) == ["a"]


@pytest.mark.skipif(not POSIX, reason="locks of open files")
def test_a_sweep_between_making_and_locking_costs_nothing(tmp_path, monkeypatch):
    real, calls = files.try_lock, []

    def late(handle):
        calls.append(handle)
        if len(calls) == 1:
            next(tmp_path.iterdir()).unlink()
        return real(handle)

    monkeypatch.setattr(files, "try_lock", late)
    files.atomic_write(tmp_path / "a", b"x")
    assert len(calls) == 2 and names(tmp_path) == ["a"]


def test_other_files_are_not_swept(tmp_path):
    kept = [
        ".genzoo-0123456789abcdef.tmp.png",
        ".genzoo-x.tmp",
        "genzoo-0123456789abcdef.tmp",
        ".0123456789abcdef.tmp",
    ]
    for name in kept:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".genzoo-0123456789abcdef.tmp").mkdir()
    if POSIX:
        (tmp_path / ".genzoo-00000000000000ff.tmp").symlink_to(kept[0])
    before = names(tmp_path)
    assert files.sweep(tmp_path) == 0 and names(tmp_path) == before
