"""Fetch and check: from a row of the ledger to verified weights on this machine.

What needs no transfer comes first: a file inside an installed plugin, used in place, then the cache.
Only then the row's sources are tried in order, under a lock, so that of several processes one fetches and the
others find its result.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from genzoo.deadlines import PATIENT, Deadlines
from genzoo.errors import HubError, StorageError, WeightsError, safe_text
from genzoo.files import (
    cache_dir,
    digest_path,
    find_resource,
    locked,
    make_folder,
    read_capped,
    sha256_of,
    tell,
)
from genzoo.hub.repo import endpoint, file_url, in_hub_cache, is_offline, token_for_reading
from genzoo.hub.store import part_of, sweep_parts
from genzoo.hub.transfer import Opener, Progress, Stream, describe, open_folder, open_url, reading, receive
from genzoo.ledger import FolderSource, PackageSource, RepoSource, Row, Source

T = TypeVar("T")
_Take = Callable[[Path, Row], T]  # checks the file and returns what is wanted of it


def pull(
    row: Row, *, progress: Progress | None = None, offline: bool | None = None, deadlines: Deadlines = PATIENT
) -> Path:
    """Return the path of the verified safetensors file of `row`, fetching it if it is not here.

    Args:
        row: what to fetch; its size and sha256 are pinned.
        progress: called with (bytes so far, bytes in all) while something is fetched.
        offline: ask no network; by default what HF_HUB_OFFLINE says.
        deadlines: how long a server may take.

    Raises:
        HubError: every source failed; the message holds each one's reason.
        StorageError: the cache cannot be written.
    """
    return _obtain(row, _checked_path, progress, offline, deadlines)


def pull_bytes(
    row: Row, *, progress: Progress | None = None, offline: bool | None = None, deadlines: Deadlines = PATIENT
) -> bytes:
    """Return the weights of `row` as bytes whose size and sha256 have been checked, these very bytes (rule
    R8).

    The file is read once; whatever happens to it later does not touch what was returned. Arguments and errors
    as `pull`.
    """
    return _obtain(row, _checked_bytes, progress, offline, deadlines)


def find_local(row: Row) -> Path | None:
    """Return the path of the weights of `row` on this machine, unchecked, or None if they would have to be
    fetched.
    """
    for source in row.places():
        if isinstance(source, PackageSource) and isinstance(found := find_resource(source.resource), Path):
            return found
    kept = _kept(row)
    return kept if os.path.isfile(kept) else None


def verify_digest(row: Row) -> Path:
    """Check size and sha256 of the weights that are on this machine, and return their path; nothing is
    fetched.

    Raises:
        HubError: they are not here.
        WeightsError: they are not what the ledger pins.
    """
    found = find_local(row)
    if found is None:
        raise HubError(
            f"the weights of {row.name!r} are not on this machine", f"type: genzoo pull {row.name}"
        )
    return _checked_path(found, row)


def _checked_path(path: Path, row: Row) -> Path:
    with reading(path):
        size = path.stat().st_size
        # A file of another size is wrong already: hashing gigabytes would only delay the error.
        digest = sha256_of(path) if size == row.bytes else ""
    _require(size, digest, path, row)
    return path


def _checked_bytes(path: Path, row: Row) -> bytes:
    with reading(path):
        size = path.stat().st_size
        # The size decides before anything is read into memory, and the cap holds if the file grows meanwhile.
        data = read_capped(path, row.bytes) if size == row.bytes else b""
    _require(size if not data else len(data), sha256_of(data), path, row)
    return data


def _require(size: int, digest: str, path: Path, row: Row) -> None:
    if size == row.bytes and digest == row.sha256:
        return
    fault = (
        f"is {describe(path)} of {size} bytes, not {row.bytes}"
        if size != row.bytes
        else f"has sha256 {digest}, not {row.sha256}"
    )
    raise WeightsError(
        f"{path} {fault} as {row.origin} pins for {row.name!r}", f"type: genzoo pull {row.name}"
    )


def _kept(row: Row, suffix: str = ".safetensors") -> Path:
    return digest_path(cache_dir() / "weights", row.sha256, suffix)


def _obtain(
    row: Row, take: _Take[T], progress: Progress | None, offline: bool | None, deadlines: Deadlines
) -> T:
    reasons: list[HubError] = []
    damage = ""
    for source in row.places():
        if isinstance(source, PackageSource) and isinstance(found := find_resource(source.resource), Path):
            with _collected(reasons, source):
                return take(found, row)
    # Without the lock: weights that are here need neither a writable cache nor other processes to finish.
    if os.path.isfile(kept := _kept(row)):
        try:
            return take(kept, row)
        except HubError as error:  # it is looked at once more under the lock
            damage = _damage(kept, row, error)
    try:
        folder = make_folder(cache_dir() / "weights")
        with locked(_kept(row, ".lock")):
            # Only when something has to be fetched: a pull that finds its weights writes nothing.
            sweep_parts(folder, row.sha256)
            return _fetch(
                row, take, progress, is_offline() if offline is None else offline, deadlines, reasons
            )
    except StorageError as error:
        elsewhere = "" if "GENZOO_CACHE" in error.hint else "; or set GENZOO_CACHE to a folder of your own"
        raise StorageError(
            f"{damage}; {error.message}" if damage else error.message, error.hint + elsewhere
        ) from error


def _fetch(
    row: Row,
    take: _Take[T],
    progress: Progress | None,
    offline: bool,
    deadlines: Deadlines,
    reasons: list[HubError],
) -> T:
    """Fetch under the lock: look once more into the cache, then try the sources in order.

    What is damaged in the cache stays until it is replaced: nothing else may be there to take its place.
    """
    kept, damage = _kept(row), ""
    if os.path.isfile(kept):
        try:
            return take(kept, row)
        except HubError as error:
            damage = _damage(kept, row, error)
            reasons.append(HubError(damage))
    for source in row.places():
        with _collected(reasons, source):
            # Before the offline check in _opener: a file that huggingface_hub has fetched needs no network.
            if (taken := _from_hub_cache(source, row, take)) is not None:
                return taken
            opener = _opener(source, row, offline, deadlines)
            if opener is None:
                continue
            receive(opener, row, part_of(kept), kept, progress)
            if damage:
                tell(f"{damage}; the weights of {row.name!r} were downloaded again")
            return take(kept, row)
    told = "; ".join(safe_text(reason.message, 700) for reason in reasons)
    hint = next((reason.hint for reason in reversed(reasons) if reason.hint), "")
    raise HubError(f"cannot pull {row.name!r}: {told}", hint or "check the sources in zoo.toml")


def _from_hub_cache(source: Source, row: Row, take: _Take[T]) -> T | None:
    """Return the weights from the cache of `huggingface_hub`, None where it has none that are right."""
    found = in_hub_cache(source) if isinstance(source, RepoSource) else None
    with contextlib.suppress(WeightsError):
        return take(found, row) if found else None
    return None


def _damage(kept: Path, row: Row, error: HubError) -> str:
    """Say what is wrong with a cached file.

    Raises:
        WeightsError: nothing is: it has the digest of the row, so the size in the row is wrong, and no source
            can help.
    """
    try:
        if not isinstance(error, WeightsError):
            raise error
        with reading(kept):
            actual, size = sha256_of(kept), kept.stat().st_size
    except HubError as unread:
        return f"the cached file cannot be used: {unread.message}"
    # Downloading again would give the same file, and the same error.
    if actual == row.sha256:
        raise WeightsError(
            f"{row.origin} says {row.bytes} bytes of {row.name!r}, but the weights with its sha256 are "
            f"{size} bytes",
            "fix the row, or ask the maintainer of this ledger",
        )
    return (
        f"the cached file {kept} is damaged: {size} bytes with sha256 {actual}, expected {row.bytes} "
        f"with {row.sha256}"
    )


@contextlib.contextmanager
def _collected(reasons: list[HubError], source: Source) -> Iterator[None]:
    """Keep a HubError of the block among the reasons, with the name of its source; a StorageError of the
    cache goes through.
    """
    try:
        yield
    except HubError as error:
        reasons.append(HubError(f"{_words(source)}: {error.message}", error.hint))


def _words(source: Source) -> str:
    if isinstance(source, RepoSource):
        return f"{source.repo} at {source.revision[:8]}"
    return source.resource if isinstance(source, PackageSource) else f"folder {source.path.parent}"


def _opener(source: Source, row: Row, offline: bool, deadlines: Deadlines) -> Opener | None:
    """Return how to open `source`, or None for a package file, which was tried in place before."""
    if isinstance(source, FolderSource):
        return partial(open_folder, source.path, row)
    if isinstance(source, PackageSource):
        found = find_resource(source.resource)
        if found is None:
            raise HubError(
                "the package is not installed or has no such file",
                f"install {row.plugin}" if row.plugin else "",
            )
        # Inside an archive (a zipped package) there is no path to use in place: the bytes are copied to the
        # cache.
        return None if isinstance(found, Path) else partial(_open_bytes, found)
    if offline:
        raise HubError("not asked, offline mode is on", "unset HF_HUB_OFFLINE to allow the network")
    return partial(_open_repo, source, row, deadlines)


def _open_bytes(data: bytes, offset: int) -> contextlib.AbstractContextManager[Stream]:
    return contextlib.nullcontext(Stream(BytesIO(data[offset:]).read, offset))


def _open_repo(
    source: RepoSource, row: Row, deadlines: Deadlines, offset: int
) -> contextlib.AbstractContextManager[Stream]:
    return open_url(file_url(source, endpoint()), token_for_reading(), row, offset, deadlines)
