"""The one door to files: only regular ones, and none through a link that someone else may have created.

In a folder that others can write to (a shared cache, /tmp), any name may turn out to be a link to a file of
ours, a pipe without a writer or a device. So:

- reading follows links, as the cache of `huggingface_hub` needs, but opens regular files only and never waits
  for a pipe;
- writing into a file that is there already takes no link at all, and only a regular file of our own that has
  no second name;
- a folder, or a file that is replaced as a whole, is reached through a link only if we (or root) made the
  link, in a folder that no other user can write to. The kernel's `protected_symlinks` asks the same of links
  in /tmp.

Between the check of a folder and its use, a user who can rename that folder may still replace it: keep
caches in folders of your own where you share the machine with people whom you do not trust.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from genzoo.errors import StorageError

# stands for the cache of someone who has no home: even root cannot make a folder there
NOWHERE = Path(os.devnull) / "genzoo"

_LONGEST_CHAIN = 40  # links that lead to one file, as in Linux
_HARMLESS = (
    getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_REMEDIES = {
    errno.EACCES: ("permission denied", "check who owns it"),
    errno.EPERM: ("permission denied", "check who owns it"),
    errno.EROFS: ("the file system is read-only", "choose a folder that you can write to"),
    errno.ENOENT: ("no such file or folder", "check the path"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "check the path"),
    errno.EEXIST: ("a file or folder with that name already exists", "remove it or choose another path"),
    errno.EISDIR: ("it is a folder, not a file", "name a file inside it"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ELOOP: ("it is a symbolic link", "remove the link, or choose another path"),
}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


class UnfitFileError(OSError):
    """What is at a path must not be opened; `storage` makes a StorageError of it."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(errno.EINVAL, why)
        self.why, self.remedy = why, remedy


@contextlib.contextmanager
def storage(action: str, path: Path | str) -> Iterator[None]:
    """Turn every OSError of the block into a StorageError that reads `cannot <action> <path>: <why>`."""
    try:
        yield
    except OSError as error:
        raise storage_error(action, path, error) from error
    except ValueError as error:
        if "null" not in str(error):  # what Python says of a path with a zero byte, before the system sees it
            raise
        raise StorageError(
            f"cannot {action} {_shown(path)}: the name holds a zero byte", "check the path"
        ) from error


def storage_error(action: str, path: Path | str, error: OSError) -> StorageError:
    """Return `error` as a StorageError that reads `cannot <action> <path>: <why>`."""
    if NOWHERE in (Path(path), *Path(path).parents):
        why = f"cannot {action} the cache: there is no home folder for it"
        return StorageError(why, "set GENZOO_CACHE to a folder that you can write to")
    why, remedy = reason(error)
    if error.errno == errno.ENOENT and action in ("write", "create", "lock"):
        remedy += ", or create its folder first"
    return StorageError(f"cannot {action} {_shown(path)}: {why}", remedy)


def reason(error: OSError) -> tuple[str, str]:
    """Return why the system, or this module, refused, and what to do about it."""
    if isinstance(error, UnfitFileError):
        return error.why, error.remedy
    if error.errno in _FULL:
        return "the disk is full", "free some space and try again; nothing was lost"
    return _REMEDIES.get(error.errno or 0, (error.strerror or str(error), "check the disk and the path"))


def _shown(path: Path | str) -> str:
    """Return `path` so that a message still has room for the reason: the middle of a very long one is left
    out.
    """
    text = str(path)
    return text if len(text) <= 400 else f"{text[:200]}…{text[-150:]}"


def open_to_read(path: Path | str) -> BinaryIO:
    """Open a regular file for reading; links are followed. A folder, pipe, socket or device is an OSError,
    and nothing waits.
    """
    _check_regular(os.stat(path))  # before it is opened: to open a device may already do something
    handle = os.open(path, os.O_RDONLY | _HARMLESS)
    try:
        _check_regular(os.fstat(handle))  # what was opened, whatever took its place in between
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def check_regular(path: Path | str) -> None:
    """Raise OSError unless `path` is a regular file, links followed: for libraries that open files
    themselves.
    """
    _check_regular(os.stat(path))


def open_to_write(
    path: Path | str, *, create: bool = True, new: bool = False, append: bool = False, own: bool = True
) -> int:
    """Open a regular file for reading and writing, never through a link; return its handle.

    Args:
        path: the file; its folder must pass `real_path`.
        create: make the file where it is missing.
        new: fail with FileExistsError where something of that name is there already.
        append: every write goes to the end.
        own: the file must be ours or root's.

    Raises:
        OSError: `path` is a link, not a regular file, a second name of a file, or another user's.
    """
    _refuse_odd(path)
    flags = os.O_RDWR | _NO_LINK | _HARMLESS
    flags |= (os.O_CREAT if create or new else 0) | (os.O_EXCL if new else 0) | (os.O_APPEND if append else 0)
    handle = os.open(real_path(Path(path).parent) / Path(path).name, flags, 0o666)
    try:
        if not new:
            _check_single(status := os.fstat(handle))
            if own:
                check_own(status)
    except BaseException:
        os.close(handle)
        raise
    return handle


def open_to_lock(path: Path) -> int:
    """Open the lock file `path`, made where it is missing, never through a link; return its handle.

    A lock file of another user serves as well: it is opened for reading only, which is all that a lock needs.
    """
    _refuse_odd(path)
    place = real_path(path.parent) / path.name
    try:
        handle = os.open(place, os.O_RDWR | os.O_CREAT | _NO_LINK | _HARMLESS, 0o666)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not os.path.lexists(place):
            raise
        handle = os.open(place, os.O_RDONLY | _NO_LINK | _HARMLESS)
    try:
        _check_regular(os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _refuse_odd(path: Path | str) -> None:
    """Refuse what is there and no regular file before it is opened: to open a device may already do
    something.
    """
    with contextlib.suppress(FileNotFoundError):
        _check_regular(os.lstat(path))


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise UnfitFileError(f"it is {kind}, not a regular file", "remove it, or choose another path")


def check_replaceable(path: Path) -> None:
    """Raise OSError where something other than a regular file would be replaced: a folder, a pipe, a device
    such as /dev/null.
    """
    _refuse_odd(path)


def check_own(status: os.stat_result) -> None:
    """Raise OSError unless `status` is that of a regular file of ours (or of root) with one name only."""
    _check_single(status)
    if not is_ours(status):
        raise UnfitFileError(
            f"it belongs to another user (number {status.st_uid})",
            "remove it, or choose a folder of your own",
        )


def _check_single(status: os.stat_result) -> None:
    _check_regular(status)
    if status.st_nlink > 1:
        raise UnfitFileError(
            "it is a second name (a hard link) of another file", "remove it, or choose another path"
        )


def real_path(path: Path | str) -> Path:
    """Return `path` with every link in it resolved, each of which must be trusted; what is missing at its end
    may be made.

    Raises:
        OSError: a link that someone else may have created, or more than 40 links in a row.
    """
    whole = Path(path).absolute()
    done, todo, links = Path(whole.anchor), list(reversed(whole.parts[1:])), 0
    while todo:
        part = todo.pop()
        step = done.parent if part == ".." else done / part
        try:
            status = os.lstat(step)
        except FileNotFoundError:
            done = step
            continue
        if not stat.S_ISLNK(status.st_mode):
            done = step
            continue
        links += 1
        if links > _LONGEST_CHAIN:
            raise OSError(errno.EINVAL, "its links lead in a circle")
        _check_link(step, status, is_folder=bool(todo))
        target = Path(os.readlink(step))
        done = Path(target.anchor) if target.is_absolute() else done
        todo.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
    return done


def _check_link(link: Path, status: os.stat_result, *, is_folder: bool) -> None:
    if not hasattr(os, "geteuid"):  # Windows, where only administrators make links
        return
    # as /projects/lab/data -> /lustre/…: no other user can forge it
    made_by_admin = is_folder and status.st_uid == 0 != os.geteuid()
    if made_by_admin or (is_ours(status) and not _is_shared(os.stat(link.parent))):
        return
    raise UnfitFileError(
        f"{_shown(link)} is a symbolic link that someone else may have created",
        "remove the link, or choose a folder of your own",
    )


def is_ours(status: os.stat_result) -> bool:
    """Whether a file belongs to us or to root."""
    return not hasattr(os, "geteuid") or status.st_uid in (os.geteuid(), 0)


def _is_shared(folder: os.stat_result) -> bool:
    """Whether a user other than us and root can create files in a folder."""
    if not is_ours(folder) or folder.st_mode & stat.S_IWOTH:
        return True
    return bool(folder.st_mode & stat.S_IWGRP) and not _is_private(folder.st_gid)


def _is_private(group: int) -> bool:
    """Whether a group has one member, us: many systems give each user one, and let it write by default (umask
    002).
    """
    import grp
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
        found = grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_name == name and set(found.gr_mem) <= {name}
