"""Locks: who waits says for whom, nobody waits for ever, and what cannot be locked is done all the same."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from strangers import as_nobody

from genzoo import files, locks
from genzoo.errors import ArgumentError, StorageError

POSIX = os.name == "posix"
HOLD = """
import sys, time
from pathlib import Path
from genzoo.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Give the lock file `l`, held by another process, and that process."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "l")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def test_a_lock_that_is_not_waited_for_names_its_holder(tmp_path, holder):
    with (
        pytest.raises(StorageError, match=rf"l is locked by process {holder.pid} on this machine — wait"),
        files.locked(tmp_path / "l", 0),
    ):
        pass


@pytest.mark.skipif(not POSIX, reason="needs SIGSTOP")
def test_a_stopped_holder_is_told_and_not_waited_for_for_ever(tmp_path, holder, monkeypatch, capsys):
    holder.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    monkeypatch.setenv("GENZOO_LOCK_TIMEOUT", "0.6")
    begun = time.monotonic()
    words = rf"process {holder.pid} .*\(stopped\) — type: kill -CONT {holder.pid}"
    with pytest.raises(StorageError, match=words), files.locked(tmp_path / "l"):
        pass
    assert 0.5 < time.monotonic() - begun < 5
    told = capsys.readouterr().err
    assert (
        told.count("\n") == 1
        and f"waiting for {tmp_path / 'l'}, which is locked by process {holder.pid}" in told
    )


def test_waiting_is_told_after_two_seconds_and_ends_with_the_holder(tmp_path, holder, capsys):
    timer = threading.Timer(2.6, holder.kill)
    timer.start()
    with files.locked(tmp_path / "l"):
        assert (tmp_path / "l").read_text().split()[0] == str(os.getpid())
    timer.join()
    assert capsys.readouterr().err.count("waiting for") == 1
    assert (tmp_path / "l").read_bytes() == b""


def test_other_programs_that_use_filelock_are_kept_out(tmp_path):
    """As `huggingface_hub` is, which locks its own cache with the class FileLock."""
    path = tmp_path / "l"
    theirs = FileLock(path)
    with files.locked(path), pytest.raises(Timeout):
        theirs.acquire(timeout=0)
    with theirs, pytest.raises(StorageError, match="is locked by"), files.locked(path, 0):
        pass


def test_the_library_is_loaded_when_a_lock_is_taken():
    code = "import sys, genzoo.files; sys.exit('filelock' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_short_wait_is_silent(tmp_path, capsys):
    with files.locked(tmp_path / "l"):
        pass
    assert capsys.readouterr().err == ""


def test_what_a_killed_holder_wrote_is_not_believed(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path = tmp_path / "l"
    path.write_text(f"{child.pid} {locks._host()}\n")
    with path.open("r+b") as file:
        assert locks.try_lock(file.fileno())
        with pytest.raises(StorageError, match="locked by another process"), files.locked(path, 0):
            pass


@pytest.mark.parametrize(
    "text", ["", "x" * 9999, "-1 host\n", "12 a b\n", "0 h\n", "1 \x1b[31mred\n", "999999999999 h\n"]
)
def test_nonsense_in_a_lock_file_is_not_shown(tmp_path, text):
    path = tmp_path / "l"
    path.write_text(text)
    with path.open("r+b") as file:
        assert locks.try_lock(file.fileno())
        with pytest.raises(StorageError, match="locked by another process"), files.locked(path, 0):
            pass


def test_a_holder_on_another_machine_is_named_with_it(tmp_path):
    path = tmp_path / "l"
    path.write_text("17 node-3.cluster\n")
    with path.open("r+b") as file:
        assert locks.try_lock(file.fileno())
        with (
            pytest.raises(StorageError, match=r"locked by process 17 on node-3\.cluster"),
            files.locked(path, 0),
        ):
            pass


@pytest.mark.parametrize("text", ["abc", "-1", "nan", "1 s", "٣"])
def test_a_timeout_that_is_no_number(tmp_path, monkeypatch, text):
    monkeypatch.setenv("GENZOO_LOCK_TIMEOUT", text)
    with pytest.raises(ArgumentError, match="GENZOO_LOCK_TIMEOUT is"), files.locked(tmp_path / "l"):
        pass


@pytest.mark.skipif(not POSIX, reason="flock")
@pytest.mark.parametrize("number", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def test_a_file_system_without_locks_is_told_once(tmp_path, monkeypatch, capsys, number):
    import fcntl

    def fail(*args):
        raise OSError(getattr(errno, number), "no locks")

    monkeypatch.setattr(fcntl, "flock", fail)
    monkeypatch.setattr(locks, "_told_lockless", set())
    done = []
    for name in "ab":
        with files.locked(tmp_path / name, 0):
            done.append(name)
    files.atomic_write(tmp_path / "c", b"x")
    assert done == ["a", "b"] and (tmp_path / "c").read_bytes() == b"x"
    assert capsys.readouterr().err.count("has no locks") == 1
    assert files.sweep(tmp_path) == 0


@pytest.mark.skipif(not POSIX, reason="an open file can be removed")
def test_a_lock_file_that_was_removed_meanwhile_is_made_anew(tmp_path):
    path, order = tmp_path / "l", []

    def second():
        with files.locked(path):
            order.append(path.exists())

    with files.locked(path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        path.unlink()
    thread.join(5)
    assert order == [True]


FORKED = """
import os, signal, sys, time
from pathlib import Path
from genzoo.files import locked
path = Path(sys.argv[1])
with locked(path):
    child = os.fork()
    if not child:
        time.sleep(60)
try:
    with locked(path, 0):
        print("free")
finally:
    os.kill(child, signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_does_not_hold_the_lock_on(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path / "l")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("free\n", "")


@pytest.mark.skipif(not POSIX or os.geteuid() != 0, reason="needs two users")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_second_user_of_a_shared_cache_can_lock(umask):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "l"
        Path(name).chmod(0o1777)
        before = os.umask(umask)
        try:
            with files.locked(path):
                words = as_nobody(lambda: refusal(path))
                assert f"l is locked by process {os.getpid()} on this machine" in words
        finally:
            os.umask(before)
        assert as_nobody(lambda: refusal(path)) == "locked"
        assert path.stat().st_uid == 0 and path.read_bytes() == b""


def refusal(path):
    """Return why the lock could not be had, or that it could."""
    try:
        with files.locked(path, 0):
            return "locked"
    except StorageError as error:
        return str(error)
