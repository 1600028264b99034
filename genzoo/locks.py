"""Locks between processes: the system frees them when a holder dies, and who waits says for whom.

The library `filelock` locks the open file (`lock_descriptor`). Its class `FileLock` is not used, because it

- does not call back while it waits, so no message could say who holds the lock;
- opens the path itself: for writing only, which fails on the lock file of another user of a shared cache
  (newer versions refuse such a file outright), and without the checks of links that `safe_open` makes;
- falls back to marker files where the system answers ENOSYS, which outlive a killed process, and fails where
  a file system answers ENOLCK.

So opening, waiting, the note of who holds the lock and file systems without locks are handled here.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from genzoo.errors import ArgumentError, StorageError, safe_text
from genzoo.safe_open import check_own, open_to_lock, storage

# seconds to wait for a lock, if GENZOO_LOCK_TIMEOUT says nothing else: longer than any transfer of ours may
# take
WAIT = 3600.0
PATIENCE = 2.0  # seconds of waiting in silence
# EBADF: NFS locks no file that is open for reading only
_LOCKLESS = {
    getattr(errno, name)
    for name in ("ENOLCK", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EBADF", "EINVAL")
    if hasattr(errno, name)
}
_HOLDER = re.compile(r"([1-9][0-9]{0,9}) ([A-Za-z0-9._-]{1,253})\n", re.ASCII)
# Windows locks the first byte, which no other process can read then
_NOTE_AT = 1 if sys.platform == "win32" else 0
_told_lockless: set[int] = set()  # devices


class LocklessError(Exception):
    """The file system has no locks."""


class HeldError(StorageError):
    """A lock that another process holds; `holder` says who, in a few words."""

    holder: str = "another process"


def tell(text: object) -> None:
    """Say one line on stderr; if the stream is closed, nothing happens."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"genzoo: {safe_text(text, 1000)}\n")
            sys.stderr.flush()


@contextlib.contextmanager
def locked(path: Path, wait: float | None = None) -> Iterator[None]:
    """Hold the lock file `path`, waiting while another process or thread holds it; the system frees it when a
    holder dies.

    The file itself stays. After two seconds of waiting, a line on stderr says who holds it. On a file system
    without locks the block runs unlocked, which is reported once.

    Args:
        path: the lock file, made where it is missing; it may belong to another user.
        wait: seconds to wait at most; 0 does not wait; None: GENZOO_LOCK_TIMEOUT, by default an hour.

    Raises:
        HeldError: it is still held after that time; the message names the holder.
        StorageError: it cannot be opened.
        ArgumentError: GENZOO_LOCK_TIMEOUT is not a number of seconds.
    """
    handle = _acquire(path, _patience() if wait is None else wait)
    try:
        yield
    finally:
        _release(handle)


def _patience() -> float:
    text = os.environ.get("GENZOO_LOCK_TIMEOUT", "")
    if not text:
        return WAIT
    with contextlib.suppress(ValueError):
        if text.isascii() and (seconds := float(text)) >= 0 and not math.isnan(seconds):
            return seconds
    raise ArgumentError(
        f"GENZOO_LOCK_TIMEOUT is {text!r}, not a number of seconds", "set it to a number, such as 600"
    )


def _acquire(path: Path, limit: float) -> int:
    """Return the handle of the locked file."""
    begun = time.monotonic()
    while True:
        with storage("lock", path):
            handle = open_to_lock(path)
        try:
            _wait(handle, path, begun, limit)
            if _is_still_there(handle, path):
                _sign(handle)
                return handle
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(handle)
            raise
        os.close(handle)  # the file was removed while we waited: the next process would lock a new one


def _wait(handle: int, path: Path, begun: float, limit: float) -> None:
    """Lock the open file, and wait until `limit` seconds after `begun` while another process holds it."""
    told = False
    while not _take(handle, path):
        waited = time.monotonic() - begun
        if waited >= limit:
            raise _held(handle, path)
        if waited >= PATIENCE and not told:
            told = True
            tell(f"waiting for {path}, which is locked by {_holder(handle)}")
        time.sleep(min(0.02 if waited < 1 else 0.2, max(limit - waited, 0.001)))


def _held(handle: int, path: Path) -> HeldError:
    holder = _holder(handle)
    error = HeldError(f"{path} is locked by {holder}", _advice(handle))
    error.holder = holder
    return error


def _is_still_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _take(handle: int, path: Path) -> bool:
    try:
        return try_lock(handle)
    except LocklessError:
        device = os.fstat(handle).st_dev
        if device not in _told_lockless:
            _told_lockless.add(device)
            tell(
                f"the file system of {path.parent} has no locks: let no two programs write there at the "
                "same time"
            )
        return True


def lockless(path: Path) -> bool:
    """Return whether `locked` has found that the file system of `path`, which exists, has no locks."""
    return os.stat(path).st_dev in _told_lockless


def try_lock(handle: int) -> bool:
    """Lock an open file and return whether that was possible; the lock ends with the handle.

    Raises:
        LocklessError: the file system has no locks.
        OSError: anything else that went wrong.
    """
    from filelock import lock_descriptor

    try:
        return lock_descriptor(handle, blocking=False)
    except PermissionError:  # what some systems answer where another process holds the lock
        return False
    except OSError as error:
        if error.errno in _LOCKLESS:
            raise LocklessError from error
        raise


def _release(handle: int) -> None:
    """Unlock and close: a child that was forked meanwhile has the handle too, and would hold the lock on."""
    from filelock import unlock_descriptor

    with contextlib.suppress(OSError):
        check_own(os.fstat(handle))
        os.ftruncate(handle, 0)
    with contextlib.suppress(OSError):
        unlock_descriptor(handle)
    os.close(handle)


def _sign(handle: int) -> None:
    """Write into the lock file who holds it, where it is ours; others may read that whatever the umask is."""
    with contextlib.suppress(OSError):
        check_own(os.fstat(handle))
        os.ftruncate(handle, 0)
        os.lseek(handle, _NOTE_AT, os.SEEK_SET)
        os.write(handle, f"{os.getpid()} {_host()}\n".encode("ascii", "replace"))
        if hasattr(os, "fchmod"):
            os.fchmod(handle, os.fstat(handle).st_mode & 0o777 | 0o444)


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _read_holder(handle: int) -> tuple[int, str] | None:
    with contextlib.suppress(OSError):
        os.lseek(handle, _NOTE_AT, os.SEEK_SET)
        found = _HOLDER.fullmatch(os.read(handle, 300).decode("ascii", "replace"))
        return (int(found[1]), found[2]) if found else None
    return None


def _holder(handle: int) -> str:
    """Return words for who holds a lock; what a killed holder left in the file is not believed."""
    found = _read_holder(handle)
    if found is None:
        return "another process"
    number, host = found
    if host != _host():
        return f"process {number} on {host}"
    if number == os.getpid():
        return f"this very process ({number})"
    state = _state(number)
    return (
        "another process"
        if state == "gone"
        else f"process {number} on this machine{' (stopped)' if state == 'stopped' else ''}"
    )


def _advice(handle: int) -> str:
    found = _read_holder(handle)
    if found and found[1] == _host() and _state(found[0]) == "stopped":
        return f"type: kill -CONT {found[0]}, or end it"
    return "wait for it to end; GENZOO_LOCK_TIMEOUT says how many seconds to wait"


def _state(number: int) -> str:
    """Return "gone", "stopped" or "alive" for a process of this machine."""
    if sys.platform == "win32":
        return "alive"
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return "gone"
    except (OSError, OverflowError):
        return "alive"  # of another user
    with contextlib.suppress(OSError), open(f"/proc/{number}/stat", "rb") as file:
        return "stopped" if file.read(4096).rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"]) else "alive"
    return "alive"
