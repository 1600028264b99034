"""Signs of life: how a process that waits without a timeout notices that a machine is cut off.

A process that dies closes its connections, which ends the wait of the others. A machine that loses its
network or its power closes nothing. So each process counts in the store, in a thread of its own, which goes
on while the process decodes or measures for hours; a count that stands still for too long ends the wait.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

BEAT = 10.0  # seconds from one sign of life to the next, at most


class Pulse:
    """The signs of life of a group.

    Args:
        store: where they are left; the thread has a connection of its own, which may hang.
        rank: of this process.
        size: number of processes.
        limit: seconds of silence after which a process counts as lost.
    """

    def __init__(self, store: Any, rank: int, size: int, limit: float) -> None:
        self._store, self._rank, self._limit = store.clone(), rank, limit
        self._every = min(BEAT, limit / 4)
        self._keys = [f"alive/{other}" for other in range(size)]
        self._heard = [time.monotonic()] * size
        self._store.set(self._keys[rank], "")
        threading.Thread(target=self._beat, name="signs of life", daemon=True).start()

    def check(self) -> None:
        """Raise RuntimeError if nothing has been heard of a process for too long."""
        now = time.monotonic()
        silent = now - min(self._heard)
        if silent <= self._limit:
            return
        # One's own thread hears itself at each beat. If it has missed two, it is hanging in the store. The
        # others were heard up to a beat earlier than oneself, so their silence reaches the limit first.
        if now - self._heard[self._rank] > 2 * self._every:
            raise RuntimeError(f"this one could not reach the others for {silent:.0f} seconds")
        lost = self._heard.index(min(self._heard))
        raise RuntimeError(f"nothing was heard of process {lost} for {silent:.0f} seconds")

    def _beat(self) -> None:
        before: list[bytes] = []
        for number in itertools.count():
            try:
                self._store.set(self._keys[self._rank], str(number))
                signs = self._store.multi_get(self._keys)
            except RuntimeError:  # the store has ended: its connections tell those who wait
                return
            now = time.monotonic()
            for rank, sign in enumerate(signs):
                if not before or sign != before[rank]:
                    self._heard[rank] = now
            before = signs
            time.sleep(self._every)
