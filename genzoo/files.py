"""Files: read with a cap, write so that a crash leaves the old file or the new one, and know where things are kept.

Everything that genzoo writes goes through `atomic_write` or `put_in_place` (rule R9); every digest that becomes a path goes
through `digest_path` (rule R2). Failures of the disk become a `StorageError` that names the path and what to do about it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from genzoo.errors import HubError, StorageError

CHUNK = 1 << 20  # bytes read at a time
NOWHERE = Path(os.devnull) / "genzoo"  # stands for the cache of someone who has no home: even root cannot make a folder there

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PACKAGE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_REMEDIES = {
    errno.EACCES: ("permission denied", "check who owns it"),
    errno.EPERM: ("permission denied", "check who owns it"),
    errno.EROFS: ("the file system is read-only", "choose a folder that you can write to"),
    errno.ENOENT: ("no such file or folder", "check the path, or create its folder first"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "check the path"),
    errno.EEXIST: ("something of that name is in the way", "remove it or choose another path"),
    errno.EISDIR: ("it is a folder, not a file", "name a file inside it"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}


@contextlib.contextmanager
def storage(action: str, path: Path | str) -> Iterator[None]:
    """Turn every OSError of the block into a StorageError that reads `cannot <action> <path>: <why>`."""
    try:
        yield
    except OSError as error:
        if NOWHERE in (Path(path), *Path(path).parents):
            raise StorageError(
                f"cannot {action} the cache: there is no home folder to keep it in", "set GENZOO_CACHE to a folder that you can write to"
            ) from error
        why, remedy = _REMEDIES.get(error.errno or 0, (error.strerror or str(error), "check the disk and the path"))
        if error.errno in _FULL:
            why, remedy = "the disk is full", "free some space and try again; nothing was lost"
        raise StorageError(f"cannot {action} {path}: {why}", remedy) from error


def atomic_write(path: Path | str, data: bytes | Callable[[BinaryIO], object]) -> Path:
    """Write `data` (bytes, or a function that writes into an open file) so that `path` is never seen half-written (rule R9).

    A temporary file in the same folder is filled, flushed to the disk and renamed; its mode is what the umask gives. On failure the
    old file stays and the temporary one is removed. A symbolic link is followed, not replaced. Returns the path.

    Raises:
        StorageError: the folder is missing or cannot be written, or the disk is full.
    """
    target = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    with storage("write", path):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary = target.parent / f".{os.urandom(8).hex()}.tmp"
        try:
            with open(temporary, "xb") as file:
                if callable(data):
                    data(file)
                else:
                    file.write(data)
            put_in_place(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    return Path(path)


def put_in_place(source: Path, target: Path) -> None:
    """Flush `source` to the disk, rename it to `target` in the same folder and flush the folder: after a power cut, all or nothing."""
    with storage("write", target):
        handle = os.open(source, os.O_RDWR)
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
    """Create the folder `path` with its parents if it is missing, and return it; StorageError says why it cannot be."""
    with storage("create", path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def check_writable(folder: Path) -> None:
    """Raise StorageError where no file can be made in `folder`, before hours of work are to be written there."""
    with storage("write in", folder), tempfile.TemporaryFile(dir=folder):
        pass


def read_capped(path: Path | str, cap: int) -> bytes:
    """Return the content of a regular file of at most `cap` bytes, reading no more than `cap` + 1.

    Raises:
        StorageError: the file is missing, unreadable, not a regular file (a pipe would hang), or larger than `cap`.
    """
    with storage("read", path):
        _check_regular(path)
        with open(path, "rb") as file:
            # One byte more than the file says it has: read(n) reserves n bytes, and a file that grows meanwhile is still bounded.
            data = file.read(min(cap, os.fstat(file.fileno()).st_size) + 1)
    if len(data) > cap:
        raise StorageError(f"cannot read {path}: it is larger than the {cap:,} bytes allowed here", "check that it is the right file")
    return data


def _check_regular(path: Path | str) -> None:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def sha256_of(data: bytes | Path) -> str:
    """Return the sha256 of bytes, or of the file at a path, as 64 lower-case hexadecimal digits."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    with storage("read", data):
        _check_regular(data)
        with open(data, "rb") as file:
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
    """Return the folder for what can be fetched again: GENZOO_CACHE, else the system's cache folder with `genzoo` in it.

    Never raises and creates nothing. Without a home folder the path is one that cannot be created, and writing says so.
    """
    if chosen := os.environ.get("GENZOO_CACHE"):
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA") if sys.platform == "win32" else ("XDG_CACHE_HOME",):
        if os.path.isabs(base := os.environ.get(variable, "")):
            return Path(base) / "genzoo"
    home = os.path.expanduser("~")
    return Path(home) / ".cache" / "genzoo" if os.path.isabs(home) else NOWHERE


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting while another process or thread holds it; the system frees it when a holder dies.

    The file itself stays: removing it would let two processes hold two different files of one name.
    """
    with storage("lock", path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while True:
            with storage("lock", path):
                if _try_lock(handle):
                    break
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def relative_parts(text: str, what: str) -> tuple[str, ...]:
    """Return the parts of a relative path written with `/`, or raise HubError if it could lead out of its folder or name a device."""
    parts = PurePosixPath(text).parts
    odd = any(part in ("..", "/") or part.endswith((".", " ")) or re.search(r'[\x00-\x1f\x7f\\:*?"<>|]', part) for part in parts)
    if not parts or odd:
        raise HubError(f"{what} {text!r} must be a relative path with '/' between its parts, without '..', backslash or colon")
    return parts


def find_resource(resource: str) -> Path | bytes | None:
    """Find `package/path/to/file` inside an installed package without importing that package's code.

    Returns the path of a real file; the bytes where the package lives in a zip archive; None where there is no such file.
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
        if path.is_file():
            return path
        read = getattr(spec.loader, "get_data", None) if spec and not os.path.isdir(place) else None
        if read is not None:
            with contextlib.suppress(OSError):
                return bytes(read(str(path)))
    return None
