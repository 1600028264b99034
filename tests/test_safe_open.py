"""What is opened: regular files of our own, and nothing through a link that someone else may have created."""

import errno
import os
import socket
import stat
import sys
import threading

import pytest

from genzoo import files, safe_open
from genzoo.errors import StorageError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes and owners of POSIX")


@pytest.fixture
def shared(tmp_path):
    """Give a folder that everybody may write to, and a file elsewhere that must stay as it is."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def victim(tmp_path):
    """Give a file that nothing may touch, and hold that nothing did."""
    folder = tmp_path / "home"
    folder.mkdir()
    path = folder / "precious"
    path.write_bytes(b"precious")
    yield path
    assert path.read_bytes() == b"precious" and os.listdir(folder) == ["precious"]


@pytest.mark.parametrize(("action", "folder"), [("read", False), ("write", True), ("use", False)])
def test_only_who_writes_is_told_to_create_the_folder(tmp_path, action, folder):
    with pytest.raises(StorageError, match="no such file or folder — check the path") as caught:
        with safe_open.storage(action, tmp_path / "none" / "x"):
            os.stat(tmp_path / "none" / "x")
    assert ("create its folder" in caught.value.hint) == folder
    denied = safe_open.storage_error(action, tmp_path, PermissionError(errno.EACCES, "denied"))
    assert denied.hint == "check who owns it"


def write(path):
    os.close(safe_open.open_to_write(path))


def lock(path):
    with files.locked(path, wait=0):
        pass


def append(path):
    files.append_to(path).close()


WRITERS = {
    "replace": lambda path: files.atomic_write(path, b"x"),
    "fill": lambda path: write(path),
    "lock": lock,
    "append": append,
}


@pytest.fixture(params=WRITERS)
def writer(request):
    """Give each way of writing, as a function of a path that raises StorageError."""

    def run(path):
        with files.storage("write", path):
            WRITERS[request.param](path)

    run.name = request.param
    return run


def refused(call, path, words):
    """Call in a thread, so that a hang is a failure, and expect one line."""
    caught = []

    def work():
        try:
            call(path)
        except StorageError as error:
            caught.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive(), "it hangs"
    assert caught, "it was not refused"
    assert words in str(caught[0]) and "\n" not in str(caught[0]) and caught[0].hint


@pytest.mark.parametrize("there", [True, False])
def test_no_link_in_a_shared_folder_is_followed(shared, victim, writer, there):
    (shared / "a").symlink_to(victim if there else victim.parent / "new")
    refused(writer, shared / "a", "symbolic link")


def test_no_link_to_a_folder_in_a_shared_folder_is_followed(shared, victim, writer):
    (shared / "weights").symlink_to(victim.parent)
    refused(writer, shared / "weights" / "new", "someone else may have created")
    refused(files.make_folder, shared / "weights" / "sub", "someone else may have created")


def test_no_chain_of_links_leads_through_a_shared_folder(shared, victim, tmp_path):
    (shared / "hop").symlink_to(victim.parent)
    (tmp_path / "mine").symlink_to(shared / "hop" / "new")
    refused(lambda path: files.atomic_write(path, b"x"), tmp_path / "mine", "someone else may have created")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_link_of_another_user_is_not_followed(tmp_path, victim):
    (tmp_path / "a").symlink_to(victim)
    os.lchown(tmp_path / "a", 4321, 4321)
    refused(lambda path: files.atomic_write(path, b"x"), tmp_path / "a", "someone else may have created")


def test_a_link_of_our_own_is_followed_and_stays(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to("far")
    (tmp_path / "link").symlink_to("near/../far/file")
    files.atomic_write(tmp_path / "link", b"x")
    files.atomic_write(tmp_path / "near" / "other", b"y")
    assert (tmp_path / "link").is_symlink() and sorted(os.listdir(tmp_path / "far")) == ["file", "other"]
    assert files.make_folder(tmp_path / "near" / "sub").is_dir()


def test_links_in_a_circle_are_one_line(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    refused(lambda path: files.atomic_write(path, b"x"), tmp_path / "a", "circle")


@pytest.mark.parametrize("call", ["fill", "lock", "append"])
def test_what_is_filled_in_place_takes_no_link_at_all(tmp_path, victim, call):
    (tmp_path / "a").symlink_to(victim)
    refused(
        lambda path: WRITERS[call](path) if call != "fill" else guarded(path), tmp_path / "a", "symbolic link"
    )


def guarded(path):
    with files.storage("write", path):
        write(path)


@pytest.mark.parametrize("call", ["fill", "append"])
def test_a_second_name_of_a_file_is_not_written_to(tmp_path, victim, call):
    os.link(victim, tmp_path / "a")
    refused(
        lambda path: WRITERS[call](path) if call != "fill" else guarded(path), tmp_path / "a", "hard link"
    )


def test_a_lock_that_is_a_second_name_is_not_written_into(tmp_path, victim):
    os.link(victim, tmp_path / "a")
    lock(tmp_path / "a")
    assert victim.read_bytes() == b"precious"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_filled(tmp_path):
    (tmp_path / "a").write_bytes(b"theirs")
    os.chown(tmp_path / "a", 4321, 4321)
    refused(guarded, tmp_path / "a", "belongs to another user (number 4321)")


def fifo(path):
    os.mkfifo(path)


def listening(path):
    with socket.socket(socket.AF_UNIX) as end:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            end.bind(f"/proc/self/fd/{here}/{path.name}" if sys.platform == "linux" else str(path))
        finally:
            os.close(here)


def device(path):
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no devices may be made here")


ODD = {"pipe": fifo, "socket": listening, "device": device, "folder": os.mkdir}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_one_line_and_no_hang(tmp_path, writer, kind):
    ODD[kind](tmp_path / "a")
    refused(writer, tmp_path / "a", kind)
    assert not stat.S_ISREG(os.lstat(tmp_path / "a").st_mode), "it was replaced"


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("read", [lambda path: files.read_capped(path, 9), files.sha256_of])
def test_what_is_no_file_is_not_read(tmp_path, kind, read):
    ODD[kind](tmp_path / "a")
    refused(read, tmp_path / "a", kind)
    (tmp_path / "link").symlink_to("a")
    refused(read, tmp_path / "link", kind)


def test_reading_follows_links(tmp_path):
    (tmp_path / "blob").write_bytes(b"x")
    (tmp_path / "a").symlink_to("blob")
    assert files.read_capped(tmp_path / "a", 1) == b"x"


def test_the_null_device_is_not_replaced():
    refused(lambda path: files.atomic_write(path, b"x"), os.devnull, "device")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.parametrize("name", ["x" * 256, "ä" * 128, "d/" + "y" * 300])
@pytest.mark.parametrize(
    "call",
    [*WRITERS.values(), lambda path: files.make_folder(path / "b"), lambda path: files.read_capped(path, 1)],
)
def test_names_that_are_too_long_are_one_line(tmp_path, name, call):
    (tmp_path / "d").mkdir()

    def guarded(path):
        with files.storage("write", path):
            call(path)

    refused(guarded, tmp_path / name, "the name is too long")


def test_a_path_longer_than_any_message_still_says_why(tmp_path):
    refused(
        lambda path: files.make_folder(path), tmp_path / "/".join(["z" * 200] * 30), "the name is too long"
    )


def test_a_zero_byte_in_a_name_is_one_line(tmp_path):
    refused(lambda path: files.atomic_write(path, b"x"), tmp_path / "a\0b", "zero byte")


@pytest.mark.parametrize(("mode", "is_open"), [(0o755, False), (0o777, True), (0o1777, True), (0o757, True)])
def test_which_folders_others_can_write_to(tmp_path, mode, is_open):
    tmp_path.chmod(mode)
    assert safe_open._is_shared(tmp_path.stat()) is is_open


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives folders away")
def test_a_group_of_others_counts_and_one_of_our_own_does_not(tmp_path):
    tmp_path.chmod(0o775)
    os.chown(tmp_path, 0, 12345)
    assert safe_open._is_shared(tmp_path.stat())
    os.chown(tmp_path, 0, os.getgid())
    assert not safe_open._is_shared(tmp_path.stat())
    os.chown(tmp_path, 4321, 0)
    assert safe_open._is_shared(tmp_path.stat())


@pytest.mark.parametrize("kind", ["link", "pipe", "hard link"])
@pytest.mark.parametrize("call", ["fill", "append", "read"])
def test_what_is_planted_between_look_and_open(tmp_path, victim, monkeypatch, call, kind):
    """The first look sees a good file; what is opened a moment later is looked at again."""
    path, real = tmp_path / "a", os.open
    path.write_bytes(b"good")

    def late(name, *rest):
        if str(name) == str(path) and path.exists():
            path.unlink()
            {
                "link": path.symlink_to,
                "hard link": lambda to: os.link(to, path),
                "pipe": lambda to: os.mkfifo(path),
            }[kind](victim)
        return real(name, *rest)

    monkeypatch.setattr(os, "open", late)
    if call == "read" and kind != "pipe":
        pytest.skip("reading follows links")
    work = {"fill": guarded, "append": append, "read": lambda path: files.read_capped(path, 9)}[call]
    refused(work, path, "pipe" if kind == "pipe" else kind)
