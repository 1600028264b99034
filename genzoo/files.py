"""Files: read with a cap, write so that a crash leaves the old file or the new one, and know where things are
kept.

Everything that genzoo writes goes through `atomic_write` or `put_in_place` (rule R9); every digest that
becomes a path goes through `digest_path` (rule R2); what is opened, and through which links, `safe_open`
decides. Failures of the disk become a `StorageError` that names the path and what to do about it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib.util
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TextIO

from genzoo.errors import HubError, StorageError
from genzoo.locks import LocklessError, locked, tell, try_lock
from genzoo.safe_open import NOWHERE, check_replaceable, open_to_read, open_to_write, real_path, storage

__all__ = [
    "CHUNK",
    "append_to",
    "atomic_write",
    "cache_dir",
    "digest_path",
    "filling",
    "find_resource",
    "is_dead",
    "is_digest",
    "is_temporary",
    "locked",
    "make_folder",
    "open_to_read",
    "open_to_write",
    "put_in_place",
    "read_capped",
    "relative_parts",
    "remove_dead",
    "sha256_of",
    "storage",
    "sweep",
    "tell",
]

CHUNK = 1 << 20  # bytes read at a time
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PACKAGE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_TEMPORARY = re.compile(r"\.genzoo-[0-9a-f]{16}\.tmp")
_DEAD_AFTER = 86_400.0  # seconds after which a temporary file counts as left behind where no lock can tell


def atomic_write(
    path: Path | str, data: bytes | Callable[[BinaryIO], object], *, durable: bool = True
) -> Path:
    """Write `data` (bytes, or a function that writes into an open file) so that `path` is never seen
    half-written (rule R9).

    A temporary file in the same folder is filled, flushed to the disk and renamed; its mode is what the umask
    gives. On failure the old file stays and the temporary one is removed; one that a killed process leaves is
    removed by `sweep`. A symbolic link of our own, in a folder where nobody else writes, is followed and not
    replaced. Returns the path.

    Without `durable` the file is renamed but not flushed, which a hundred files a second would wait for: a
    killed process still leaves nothing half-written, but after a power cut the file may be empty or cut
    short. That is for files that whoever reads them checks, and can make again.

    Raises:
        StorageError: the folder is missing or cannot be written, the disk is full, the path leads through a
            link that someone else may have created, or something there is not a regular file.
    """
    with storage("write", path):
        target = real_path(path)
        check_replaceable(target)
        name, handle = _new_temporary(lambda name: open_to_write(target.parent / name, new=True))
        temporary = target.parent / name
        try:
            put = put_in_place if durable else os.replace
            _fill(handle, data, functools.partial(put, temporary, target))
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    return Path(path)


def _fill(handle: int, data: bytes | Callable[[BinaryIO], object], rename: Callable[[], object]) -> None:
    """Write `data` and `rename` the file, which is open, and so locked, until it has its name: `sweep` takes
    it for alive.
    """
    with os.fdopen(handle, "wb") as file:
        if callable(data):
            data(file)
        else:
            file.write(data)
        file.flush()
        if sys.platform == "win32":  # which renames no open file
            file.close()
        rename()


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[Callable[[str, bytes], object]]:
    """Yield a function of (name, content) that writes a file into `folder` as `atomic_write` does without
    `durable`, for thousands of small files: in a fraction of the time.

    The folder is resolved and opened once, and what is done in it is done through its handle. A file that has
    the name of one that was there at the beginning is left to `atomic_write`, which looks at what it
    replaces. Threads may call it at the same time.

    Raises:
        StorageError: see `atomic_write`; also of the function.
    """
    if os.open not in os.supports_dir_fd:  # Windows
        yield lambda name, data: atomic_write(folder / name, data, durable=False)
        return
    with storage("write", folder):
        handle = os.open(real_path(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        there = frozenset(os.listdir(handle))

        def put(name: str, data: bytes) -> None:
            if name in there:
                atomic_write(folder / name, data, durable=False)
                return
            with storage("write", f"{folder}/{name}"):
                _put(handle, name, data)

        yield put
    finally:
        os.close(handle)


def _put(folder: int, name: str, data: bytes) -> None:
    """Write the file `name`, whole or not at all, into the folder whose handle is `folder`."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    temporary, handle = _new_temporary(lambda name: os.open(name, flags, 0o666, dir_fd=folder))
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(handle)  # the file was locked until it had its name


def _new_temporary(make: Callable[[str], int]) -> tuple[str, int]:
    """Return name and handle of a temporary file that `make` opens, locked as long as its handle is open."""
    while True:
        name = f".genzoo-{os.urandom(8).hex()}.tmp"
        handle = make(name)
        try:
            if sys.platform == "win32" or (try_lock(handle) and os.fstat(handle).st_nlink):
                return name, handle
        except LocklessError:
            return name, handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # a sweep came between making and locking, and takes it for a dead one


def is_temporary(name: str) -> bool:
    """Whether `name` is that of a temporary file of `atomic_write`."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(*folders: Path) -> int:
    """Remove the temporary files that killed processes left in `folders` (not below them), and return how
    many bytes that freed.

    A process holds its temporary file locked while it writes, so one that can be locked is dead. What belongs
    to others, is in use or cannot be removed stays; nothing is raised.
    """
    return sum(
        remove_dead(Path(folder, name)) for folder in folders for name in _names(folder) if is_temporary(name)
    )


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(folder)
    return []


def is_dead(path: Path) -> bool:
    """Whether no living process writes the temporary file `path`; False where that cannot be known."""
    with _held_if_dead(path) as dead:
        return dead


def remove_dead(path: Path) -> int:
    """Remove the temporary file `path` if no living process writes it, and return how many bytes that
    freed.
    """
    with contextlib.suppress(OSError), _held_if_dead(path) as dead:
        if dead:
            size = path.stat().st_size
            path.unlink()
            return size
    return 0


@contextlib.contextmanager
def _held_if_dead(path: Path) -> Iterator[bool]:
    try:
        handle = open_to_write(path, create=False)
    except OSError:
        yield False
        return
    try:
        yield _is_free(handle)
    finally:
        os.close(handle)


def _is_free(handle: int) -> bool:
    try:
        return try_lock(handle)
    except LocklessError:
        return time.time() - os.fstat(handle).st_mtime > _DEAD_AFTER
    except OSError:
        return False


def put_in_place(source: Path, target: Path) -> None:
    """Flush `source` to the disk, rename it to `target` in the same folder and flush the folder: after a
    power cut, all or nothing.
    """
    with storage("write", target):
        # some network disks give what we make to another user
        handle = open_to_write(source, create=False, own=False)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(source, target)
        _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    if sys.platform == "win32":  # where a folder cannot be opened, and a rename needs no flush
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems flush no folders
            raise
    finally:
        os.close(handle)


def make_folder(path: Path) -> Path:
    """Create the folder `path` with its parents if it is missing, and return it; StorageError says why it
    cannot be.

    A link that someone else may have created is not followed.
    """
    with storage("create", path):
        real_path(path).mkdir(parents=True, exist_ok=True)
    return path


def append_to(path: Path) -> TextIO:
    """Open a text file for appending, line by line, made where it is missing; never through a link, and no
    pipe or device.

    A killed process has written each line that it has finished.

    Raises:
        StorageError: it cannot be opened, or is not such a file.
    """
    with storage("write", path):
        return os.fdopen(open_to_write(path, append=True, own=False), "a", buffering=1, encoding="utf-8")


def read_capped(path: Path | str, cap: int) -> bytes:
    """Return the content of a regular file of at most `cap` bytes, reading no more than `cap` + 1.

    Raises:
        StorageError: the file is missing, unreadable, not a regular file (a pipe would hang), or larger than
            `cap`.
    """
    with storage("read", path):
        with open_to_read(path) as file:
            # One byte more than the file says it has: read(n) reserves n bytes, and a file that grows
            # meanwhile is still bounded.
            data = file.read(min(cap, os.fstat(file.fileno()).st_size) + 1)
    if len(data) > cap:
        raise StorageError(
            f"cannot read {path}: it is larger than the {cap:,} bytes allowed here",
            "check that it is the right file",
        )
    return data


def sha256_of(data: bytes | Path) -> str:
    """Return the sha256 of bytes, or of the file at a path, as 64 lower-case hexadecimal digits."""
    import hashlib  # loads OpenSSL, which `genzoo list` need not wait for

    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    with storage("read", data):
        with open_to_read(data) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def is_digest(text: object) -> bool:
    """Whether `text` is a sha256 as genzoo writes it: 64 lower-case hexadecimal digits and nothing else."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def digest_path(root: Path, digest: str, suffix: str = "") -> Path:
    """Return `root/<digest><suffix>`; the only place where a digest turns into a path (rule R2).

    Raises:
        HubError: `digest` is not 64 lower-case hexadecimal digits.
    """
    if not is_digest(digest):
        raise HubError(f"{digest!r} is not a sha256", "a digest is 64 lower-case hexadecimal digits")
    return root / f"{digest}{suffix}"


def cache_dir() -> Path:
    """Return the folder for what can be fetched again: GENZOO_CACHE, else the system's cache folder with
    `genzoo` in it.

    Never raises and creates nothing. Without a home folder the path is one that cannot be created, and
    writing says so.
    """
    if chosen := os.environ.get("GENZOO_CACHE"):
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA") if sys.platform == "win32" else ("XDG_CACHE_HOME",):
        if os.path.isabs(base := os.environ.get(variable, "")):
            return Path(base) / "genzoo"
    home = os.path.expanduser("~")
    return Path(home) / ".cache" / "genzoo" if os.path.isabs(home) else NOWHERE


def relative_parts(text: str, what: str) -> tuple[str, ...]:
    """Return the parts of a relative path written with `/`, or raise HubError if it could lead out of its
    folder or name a device.
    """
    parts = PurePosixPath(text).parts
    odd = any(
        part in ("..", "/") or part.endswith((".", " ")) or re.search(r'[\x00-\x1f\x7f\\:*?"<>|]', part)
        for part in parts
    )
    if not parts or odd:
        raise HubError(
            f"{what} {text!r} must be a relative path with '/' between its parts, without '..', "
            "backslash or colon"
        )
    return parts


def find_resource(resource: str) -> Path | bytes | None:
    """Find `package/path/to/file` inside an installed package without importing that package's code.

    Returns the path of a real file; the bytes where the package lives in a zip archive; None where there is
    no such file.
    """
    package, *rest = relative_parts(resource, "resource")
    if not rest or not _PACKAGE.fullmatch(package):
        return None
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # a module without a spec, such as one put together by hand
        return None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place, *rest)
        if os.path.isfile(path):  # which is False, and no error, for a name that is too long
            return path
        read = getattr(spec.loader, "get_data", None) if spec and not os.path.isdir(place) else None
        if read is not None:
            with contextlib.suppress(OSError):
                return bytes(read(str(path)))
    return None
