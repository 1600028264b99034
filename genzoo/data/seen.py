"""What is known of a kept file of images, in a small file beside it: which file it was that was checked, and
the identities of its parts.

A file of gigabytes is not read to see whether it is whole, nor to say which images it holds: its inode, size
and times tell that nobody wrote to it since. What stands here is believed for that very file alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from genzoo.errors import StorageError
from genzoo.files import atomic_write
from genzoo.safe_open import open_to_read

SUFFIX = ".seen"
LONGEST = 1 << 20  # bytes
MOST = 64  # identities: one for each split and condition
_DIGEST = re.compile(r"[0-9a-f]{64}")


def state_of(status: os.stat_result) -> list[int]:
    """Return what shows that a file is the one that it was."""
    return [
        int(number) & (2**63 - 1)
        for number in (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    ]


def is_seen(path: Path, status: os.stat_result) -> bool:
    """Whether the file at `path`, whose state is `status`, is the one that was checked."""
    return _read(path).get("state") == state_of(status)


def mark_seen(path: Path, status: os.stat_result) -> None:
    """Note that the file at `path` was checked while its state was `status`."""
    _write(path, {"state": state_of(status), "identities": {}})


def identity_of(path: Path, name: str) -> str | None:
    """Return the identity of the images `name` in the file at `path`, or None if it is not known."""
    known = _read(path)
    with contextlib.suppress(OSError):
        if known.get("state") == state_of(path.lstat()):
            found = known["identities"].get(name)
            return found if isinstance(found, str) and _DIGEST.fullmatch(found) else None
    return None


def note_identity(path: Path, name: str, identity: str) -> None:
    """Note the `identity` of the images `name` in the file at `path`; nothing happens where that cannot be
    written.
    """
    known = _read(path)
    with contextlib.suppress(OSError):
        if known.get("state") == state_of(path.lstat()):
            newest = dict([*known["identities"].items()][-MOST:])
            _write(path, {**known, "identities": {**newest, name: identity}})


def _read(path: Path) -> Mapping[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        with open_to_read(path.with_suffix(SUFFIX)) as file:
            status = os.fstat(file.fileno())
            # As the file beside it: nobody else may have written it.
            if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
                return {}
            known = json.loads(file.read(LONGEST))
        if isinstance(known, dict) and isinstance(known.get("identities"), dict):
            return known
    return {}


def _write(path: Path, known: Mapping[str, Any]) -> None:
    with contextlib.suppress(StorageError):
        write_own(path.with_suffix(SUFFIX), json.dumps(known).encode())


def write_own(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file that others can neither read nor write; after a power cut it may be damaged, which whoever
    reads it has to notice.

    Raises:
        StorageError: see `genzoo.files.atomic_write`.
    """

    def write(file: BinaryIO) -> None:
        if hasattr(os, "fchmod"):
            # Before anything is written: it may tell of data that others must not read.
            os.fchmod(file.fileno(), 0o600)
        for part in parts:
            file.write(part)

    atomic_write(path, write, durable=False)
