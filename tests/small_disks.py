"""Disks of some kilobytes that really fill: a tmpfs of its own, on machines where a test may mount one."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a disk of so many kilobytes at `folder`, made where absent; skip the test where that is not
    possible."""
    folder.mkdir(exist_ok=True)
    if not _mount(f"size={kilobytes}k", folder):
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # mapped files may be in use


def enlarge(folder: Path, kilobytes: int) -> None:
    """Give the disk at `folder` another size."""
    assert _mount(f"remount,size={kilobytes}k", folder)


def ballast(folder: Path) -> Path:
    """Fill the disk at `folder` with a file of somebody else's, and return it."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return path


def _mount(options: str, folder: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        return os.name == "posix" and subprocess.run(command, capture_output=True).returncode == 0
    return False
