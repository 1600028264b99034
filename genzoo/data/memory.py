"""How much memory is free, and how much of it the pictures that are being decoded may take together."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

from genzoo.errors import MemoryShortError

P = ParamSpec("P")
R = TypeVar("R")

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
IN_FLIGHT = 512 * 10**6  # bytes of pictures at once, by estimate; a larger one is decoded alone
# bytes; for smaller pictures free memory is not checked, which takes a tenth of a millisecond
SMALL = 8 * 10**6


def available() -> int | None:
    """Return how many bytes this process may still take: of the machine, its control groups and its own
    limit; None if it is unknown.
    """
    known = [_machine(), *_groups(), _own_limit()]
    # The tightest limit counts, whichever it is.
    free = [size for size in known if size is not None]
    return max(0, min(free)) if free else None


def check_memory(size: int, what: str) -> None:
    """Raise DataError if `size` bytes are more than are free: better one line than the system's killer."""
    free = available()
    if free is not None and size > free:
        raise short_of_memory(f"{what} needs {size_words(size)} of memory, and {size_words(free)} are free")


def size_words(size: int) -> str:
    """Return so many bytes in words: "3 MB", "1.5 GB"."""
    return f"{size / 1e9:,.1f} GB" if size >= 10**9 else f"{size / 1e6:,.0f} MB"


def short_of_memory(what: str) -> MemoryShortError:
    """Return the error for images that do not fit into the memory."""
    return MemoryShortError(what, "take fewer or smaller images, or end other programs")


def told(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` with a DataError in the place of any MemoryError."""

    @functools.wraps(function)
    def telling(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except MemoryError as error:
            raise short_of_memory(
                f"there is not enough memory for these images{': ' * bool(str(error))}{error}"
            ) from error

    return telling


class Room:
    """So many bytes, which threads take and give back; a request for more than is left waits its turn."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._door = threading.Lock()
        self._change = threading.Condition()

    @contextlib.contextmanager
    def take(self, size: int, what: str) -> Iterator[None]:
        """Hold `size` bytes for the block; more than the whole room are held by one alone.

        Raises:
            DataError: more than are free, where `size` is not small.
        """
        with self._door:  # who waits here keeps the later and smaller ones behind itself
            with self._change:
                # A picture larger than the whole room would wait forever, so it goes in when the room is
                # empty.
                self._change.wait_for(lambda: not self._taken or self._taken + size <= self._now(size))
                if size > SMALL:
                    check_memory(size, what)
                self._taken += size
        try:
            yield
        finally:
            with self._change:
                self._taken -= size
                self._change.notify_all()

    def _now(self, size: int) -> int:
        free = available() if size > SMALL else None
        # Half of what is free: the estimate of a decoder's memory can be off, and others start meanwhile.
        return self._limit if free is None else min(self._limit, self._taken + free // 2)


PICTURES = Room(IN_FLIGHT)


def _machine() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (PROC / "meminfo").read_text().splitlines():
            # Not MemFree: the page cache is given up when it is needed.
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        # macOS reports the total memory, not what is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None  # Windows: numpy will say it


def _groups() -> Iterator[int]:
    """Yield what is left in each control group (version 1 or 2) that this process is in, from its own up to
    the root.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in (PROC / "self" / "cgroup").read_text().splitlines():
            _, kinds, inside = line.split(":", 2)
            # Version 1 has a line for each controller; version 2 has one, with an empty list.
            if kinds and "memory" not in kinds.split(","):
                continue
            yield from _limits(kinds, inside)


def _limits(kinds: str, inside: str) -> Iterator[int]:
    """Yield what is left in the control group `inside` and in those above it; `kinds` is empty in version
    2.
    """
    root = CGROUPS / "memory" if kinds else CGROUPS
    files = ("limit_in_bytes", "usage_in_bytes") if kinds else ("max", "current")
    path = root / inside.lstrip("/")
    # Limits are inherited: a container often has its limit on a group above the process.
    for folder in (path, *(parent for parent in path.parents if parent.is_relative_to(root))):
        left = _left(folder, *files)
        if left is not None:
            yield left


def _left(folder: Path, most: str, used: str) -> int | None:
    try:
        limit = int((folder / f"memory.{most}").read_text())  # "max" is no number
        usage = int((folder / f"memory.{used}").read_text())
        facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # of files: given up when it is needed
        kept = int(facts.get("inactive_file", 0)) + int(facts.get("active_file", 0))
    except (OSError, ValueError):
        return None
    # Both numbers are read one after the other and may not agree.
    return limit - usage + min(kept, usage)


def _own_limit() -> int | None:
    """Return what `ulimit -v` leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - int((PROC / "self" / "statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError, AttributeError):
        return None
