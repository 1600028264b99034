"""Fetching the few public data sets that genzoo knows: size and sha256 are pinned here, before a byte is
requested (rule R1), and the client is the one of the hub (rule R11).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from genzoo.data.local import under_data
from genzoo.data.notes import note
from genzoo.datasets import File
from genzoo.deadlines import PATIENT
from genzoo.errors import DataError, HubError, StorageError
from genzoo.files import CHUNK, atomic_write, cache_dir, make_folder, read_capped, sha256_of, storage
from genzoo.homes import HOMES


def fetch(file: File, name: str) -> bytes:
    """Return the bytes of `file` of the data set `name`: from the cache, else from the first home that has
    them.

    Raises:
        DataError: no home gave the file whose size and sha256 are pinned, or another file of that name is
            under GENZOO_DATA.
    """
    if at_hand := under_data(f"{name}/{file.name}") or under_data(file.name):
        data = read_capped(at_hand, file.size)
        if wrong := _wrong(file, data):
            raise DataError(f"{name}: {at_hand} has {wrong}", f"get it again from {file.homes[0]}")
        return data
    kept = cache_dir() / "data" / name / file.name
    with contextlib.suppress(StorageError):  # not fetched yet
        # Checked each time: a cache on a shared disk may be damaged, and the digest is pinned anyway.
        data = read_capped(kept, file.size)
        if not _wrong(file, data):
            return data
    reasons = []
    for home in file.homes:
        try:
            data = _download(home, file)
        except HubError as error:
            host = str(urlsplit(home).hostname)
            reasons.append(str(error) if host in error.message else f"{host}: {error}")
            continue
        _keep(kept, data)
        return data
    raise DataError(
        f"{name}: {file.name} could not be fetched ({'; '.join(reasons)})",
        HOMES[name].advice(name) if name in HOMES else f"put it into the folder {name}/ under GENZOO_DATA",
    )


def _download(address: str, file: File) -> bytes:
    """Return the pinned bytes; HubError says why `address` did not give them."""
    from genzoo.http import get

    note(f"fetching {address} ({file.size / 1e6:.1f} MB)")
    parts = []
    # One byte more than pinned is enough to know that it is another file.
    left = file.size + 1
    with get(address, token=None, offset=0, size=file.size, deadlines=PATIENT) as answer:
        if answer.status != 200:
            raise HubError(f"answered with status {answer.status}")
        while left > 0 and (block := answer.read(min(CHUNK, left))):
            parts.append(block)
            left -= len(block)
    data = b"".join(parts)
    if wrong := _wrong(file, data):
        raise HubError(wrong)
    return data


def _wrong(file: File, data: bytes) -> str:
    if len(data) != file.size:
        return (
            f"{len(data):,} bytes and more"
            if len(data) > file.size
            else f"{len(data):,} bytes, not {file.size:,}"
        )
    return "" if sha256_of(data) == file.sha256 else "another sha256 than the pinned one"


def _keep(path: Path, data: bytes) -> None:
    try:
        make_folder(path.parent)
        with storage("write", path):
            if os.path.islink(path):
                path.unlink()  # what it leads to is none of ours
        atomic_write(path, data)
    except StorageError as error:
        note(f"{path.name} is not kept: {error.message}; set GENZOO_CACHE to a folder that can be written")
