"""Which process is at work on a cell: several may share the folder of an experiment, and each cell is done
once.

The system frees the lock of a process that died, so the next one takes its cell over at once, from its last
checkpoint. On a file system without locks a file next to the lock says that its maker is alive: it is touched
every 15 seconds, and whoever has seen it unchanged for a minute and a half, by a clock of its own, takes the
cell over.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from genzoo.files import locked, make_folder, storage
from genzoo.locks import HeldError, lockless
from genzoo.safe_open import open_to_write

LOCK, ALIVE = "cell.lock", "cell.alive"
BEAT = 15.0  # seconds between two signs of life
DEAD = 6 * BEAT  # seconds without one after which a process counts as dead


class Claims:
    """The cells that this process works on, one after the other, and what it has seen of others."""

    def __init__(self) -> None:
        # each file of a living process: its time, and when it was first seen to have it
        self._seen: dict[Path, tuple[int, float]] = {}

    @contextlib.contextmanager
    def claimed(self, folder: Path) -> Iterator[bool]:
        """Claim the cell in `folder` for the block, or yield False if another process is at work on it.

        Raises:
            StorageError: the folder cannot be created or written.
        """
        make_folder(folder)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(folder / LOCK, wait=0))
                mine = not lockless(folder) or stack.enter_context(self._alive(folder / ALIVE))
            except HeldError:
                mine = False
            yield mine

    @contextlib.contextmanager
    def _alive(self, path: Path) -> Iterator[bool]:
        if not self._take(path):
            yield False
            return
        ended = threading.Event()
        thread = threading.Thread(target=_beat, args=(path, ended), daemon=True)
        thread.start()
        try:
            yield True
        finally:
            ended.set()
            thread.join()
            with contextlib.suppress(OSError):
                path.unlink()

    def _take(self, path: Path) -> bool:
        """Make the file `path`, or replace that of a dead process; False if its maker is alive."""
        with storage("write", path):
            with contextlib.suppress(FileExistsError):
                os.close(open_to_write(path, new=True))
                return True
            return self._is_dead(path) and self._bury(path) and self._take(path)

    def _is_dead(self, path: Path) -> bool:
        now, at = time.monotonic(), _time_of(path)
        known, since = self._seen.setdefault(path, (at, now))
        if at != known:
            self._seen[path] = (at, now)
            return False
        return now - since >= DEAD

    def _bury(self, path: Path) -> bool:
        """Remove the file of a dead process; False if another process was quicker, and is alive."""
        aside = path.with_name(f"{ALIVE}.{os.urandom(4).hex()}")
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return True
        if _time_of(aside) != self._seen.pop(path)[0]:
            os.rename(aside, path)
            return False
        aside.unlink()
        return True


def _time_of(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(path)
