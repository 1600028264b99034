"""What is in the cache, and what may be removed: weights, pins, unfinished transfers, fetched data sets,
decoded images, and left-overs.

Only what genzoo has named itself is known here, by its place and form: a cache folder that holds other things
as well loses none of them. The files of a data set are those of the names that the core knows.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from genzoo.errors import StorageError
from genzoo.files import cache_dir, is_dead, locked, remove_dead, sha256_of, storage, sweep
from genzoo.safe_open import is_ours

OLD = 30  # days without use after which something may go
_PART_DAYS = 7  # after which a transfer of other weights is not expected to go on
_DAY = 86_400.0
_FOLDERS = ("weights", "pins", "data", "decoded", "features", "plugins")  # the only ones that are looked into


@dataclass(frozen=True)
class CachedFile:
    """A file of the cache."""

    kind: str  # weights, part, lock, pin, data, images, features, plugins, left-over
    path: Path
    bytes: int
    used: float  # when it was last read or written, if the file system records it; seconds since 1970
    digest: str = ""  # of weights and what belongs to them

    @property
    def age(self) -> float:
        """Days since it was last used."""
        return max(time.time() - self.used, 0.0) / _DAY


@functools.lru_cache(maxsize=1)
def _forms() -> Mapping[str, re.Pattern[str]]:
    """Return for each kind which paths inside the cache it has; the first that fits counts."""
    from genzoo.names import CORE_DATASETS  # imported here: a pull needs none of it

    forms = {
        # The order matters: a temporary file inside a folder of data is a left-over first.
        "left-over": r"(?:[^/]+/){0,3}\.genzoo-[0-9a-f]{16}\.tmp",
        "weights": r"weights/([0-9a-f]{64})\.safetensors",
        "part": r"weights/([0-9a-f]{64})(?:\.[0-9]{1,10})?\.part",
        "lock": r"weights/([0-9a-f]{64})\.lock",
        "pin": r"pins/[0-9a-f]{64}\.toml",
        "data": rf"data/(?:{'|'.join(map(re.escape, CORE_DATASETS))})/[^/]+",
        "images": r"(?:data|decoded)/(?:[^/]+/){0,2}(?:(?:[0-9a-f]{16}|anywhere)-)?(?:[0-9a-f]{16,64}|busy)"
        r"(?:\.[a-z0-9]+)+",
        "features": r"features/.+",
        "plugins": r"plugins(?:/.+|\.[a-z]+)",
    }
    return {kind: re.compile(form, re.ASCII) for kind, form in forms.items()}


def entries() -> list[CachedFile]:
    """Return what is in the cache, by kind and path; nothing is read but names, sizes and times.

    Raises:
        StorageError: a folder of the cache cannot be read.
    """
    root = cache_dir()
    found = (_entry(root, path) for path in _files(root))
    order = list(_forms())
    return sorted(
        (entry for entry in found if entry), key=lambda entry: (order.index(entry.kind), str(entry.path))
    )


def _files(root: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # removed while we look, or never made
            raise error

    with storage("read", root):
        for folder, inside, names in os.walk(root, onerror=fail):
            # GENZOO_CACHE may be a home folder: walking all of it would take minutes.
            if folder == str(root):
                inside[:] = [name for name in inside if name in _FOLDERS]
            yield from (Path(folder, name) for name in names)


def _entry(root: Path, path: Path) -> CachedFile | None:
    inside = path.relative_to(root).as_posix()
    for kind, form in _forms().items():
        if match := form.fullmatch(inside):
            return _looked_at(kind, path, match[1] if match.lastindex else "")
    return None


def _looked_at(kind: str, path: Path, digest: str) -> CachedFile | None:
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode):
            return CachedFile(kind, path, status.st_size, max(status.st_atime, status.st_mtime), digest)
    return None


def prunable(
    found: Iterable[CachedFile], pinned: Collection[str], days: float = OLD, *, everything: bool = False
) -> list[CachedFile]:
    """Return what may go: left-overs, unfinished transfers, and what is old.

    Args:
        found: see `entries`.
        pinned: the digests that some ledger names; other weights go when they are old.
        days: days without use that count as old.
        everything: all that can be fetched or made again goes, used or not.
    """

    def always(entry: CachedFile) -> bool:
        return everything

    every = list(found)
    # A lock file is removed only with its weights: a process may be waiting for it.
    kept = {entry.digest for entry in every if entry.kind in ("weights", "part")}
    may_go: dict[str, Callable[[CachedFile], bool]] = {
        "left-over": lambda entry: is_dead(entry.path),
        "part": _is_idle,
        "lock": lambda entry: (everything or entry.digest not in kept) and _is_idle(entry),
        "weights": lambda entry: everything or (entry.digest not in pinned and entry.age >= days),
        "images": lambda entry: everything or entry.age >= days,
        "pin": lambda entry: False,  # it can be made again, but not of what was there at the first use
    }
    return [entry for entry in every if may_go.get(entry.kind, always)(entry)]


def _is_idle(entry: CachedFile) -> bool:
    lock = _lock_of(entry)
    if not os.path.lexists(lock):
        return True
    try:
        # No waiting: a lock that is held means that a transfer is going on.
        with locked(lock, wait=0):
            return True
    except StorageError:
        return False


def _lock_of(entry: CachedFile) -> Path:
    return entry.path.with_name(f"{entry.digest}.lock")


def remove(entry: CachedFile) -> int:
    """Remove a file of the cache and return how many bytes that freed.

    Raises:
        StorageError: it is in use, or cannot be removed.
    """
    if entry.kind == "left-over":
        return remove_dead(entry.path)
    with (
        # Weights are not removed while another process reads or replaces them.
        locked(_lock_of(entry), wait=0) if entry.digest else contextlib.nullcontext(),
        storage("remove", entry.path),
    ):
        entry.path.unlink(missing_ok=True)
    return entry.bytes


def verify(entry: CachedFile) -> str:
    """Return what is wrong with cached weights, or an empty text; other files have their checks where they
    are read.
    """
    actual = sha256_of(entry.path)
    return "" if actual == entry.digest else f"damaged: its sha256 is {actual}, expected {entry.digest}"


def part_of(kept: Path) -> Path:
    """Return where the bytes of the weights file `kept` are gathered; beside the unfinished transfer of
    another user, one of our own.
    """
    first = kept.with_suffix(".part")
    # In a shared cache the part of another user cannot be written by us, and may never be completed.
    if not hasattr(os, "geteuid") or not _is_foreign(first):
        return first
    second = kept.with_suffix(f".{os.geteuid()}.part")
    if _is_foreign(second):  # on a disk that assigns our files to another user: start again
        with contextlib.suppress(OSError):
            second.unlink()
    return second


def _is_foreign(path: Path) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and not is_ours(status)


def sweep_parts(folder: Path, digest: str) -> int:
    """Remove from the folder of weights what was left behind, and return how many bytes that freed.

    Those are temporary files that no process writes, and transfers of weights other than `digest` that no
    process went on with for a week.
    """
    freed = sweep(folder)
    with contextlib.suppress(OSError):
        for path in list(folder.glob("*.part")):
            entry = _entry(folder.parent, path)
            if entry and entry.digest != digest and entry.age > _PART_DAYS:
                freed += _removed_if_idle(entry)
    return freed


def _removed_if_idle(entry: CachedFile) -> int:
    with contextlib.suppress(StorageError):
        return remove(entry) if _is_idle(entry) else 0
    return 0
