"""One thread that draws, and the requests that wait for it.

A request is work that yields: between two yields the next client has its turn, so a long one (an inversion)
does not stop the sliders of others. Work whose client has left, or that was taken back, ends at its next
yield or `check`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

from genzoo.errors import GenzooError, safe_text

Work = Callable[["Job"], Iterator[None] | None]
Reply = Callable[[dict[str, Any], bytes], object]


class Cancelled(Exception):
    """The client has left, or does not want the answer any more."""


class Job:
    """One request: `tell` answers it, `check` ends it if nobody waits for the answer.

    An answer is sent at the next one, or at the next yield of the work, so that the last one also says that
    the work is done: a page that waits for the end of a request has one message to wait for, not two.
    """

    def __init__(self, client: object, work: Work, reply: Reply) -> None:
        self.client, self._work, self._reply = client, work, reply
        self._steps: Iterator[None] | None = None
        self._told: tuple[dict[str, Any], bytes] | None = None
        self.cancelled = False

    def tell(self, facts: dict[str, Any], values: bytes = b"") -> None:
        """Send `facts`, which JSON can hold, and the bytes of pictures."""
        self.check()
        self.flush()
        self._told = facts, values

    def flush(self) -> None:
        """Send what has been told."""
        if self._told is not None:
            self._reply(*self._told)
            self._told = None

    def check(self) -> None:
        """Raise Cancelled if the answer is not wanted any more."""
        if self.cancelled:
            raise Cancelled

    def step(self) -> bool:
        """Do the work up to its next yield; return whether there is more. Whatever a model raises becomes one
        message.
        """
        try:
            self.check()
            if self._steps is None:
                self._steps = iter(self._work(self) or ())
            next(self._steps)
            self.flush()
            return True
        except StopIteration:
            facts, values = self._told or ({}, b"")
            self._end({**facts, "done": True}, values)
        except Cancelled:
            self._close()
        except Exception as error:  # noqa: BLE001 - a broken model of somebody else must not stop the others
            if not self.cancelled:
                self.flush()
            self._end({"error": words_of(error)}, b"")
        return False

    def _end(self, facts: dict[str, Any], values: bytes) -> None:
        if not self.cancelled:
            self._reply(facts, values)

    def _close(self) -> None:
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()


def words_of(error: BaseException) -> str:
    """Return `error` in one safe line."""
    if isinstance(error, GenzooError):
        return safe_text(error, 1000)
    if isinstance(error, MemoryError):
        return "this needs more memory than there is"
    return safe_text(f"{type(error).__name__}: {error}", 500)


class Worker:
    """The thread, and a queue for each client; they take turns."""

    def __init__(self) -> None:
        self._queues: OrderedDict[object, deque[Job]] = OrderedDict()
        self._change = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="genzoo-explorer", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queue `job`."""
        with self._change:
            self._queues.setdefault(job.client, deque()).append(job)
            self._change.notify()

    def leave(self, client: object) -> None:
        """Cancel everything that `client` asked for; its turn comes once more, so that it can close."""
        with self._change:
            for job in self._queues.get(client, ()):
                job.cancelled = True

    @property
    def waiting(self) -> int:
        """The number of requests that are queued or under way."""
        with self._change:
            return sum(map(len, self._queues.values()))

    def close(self, seconds: float = 10) -> None:
        """End the thread after what it is doing; wait for that at most `seconds`."""
        with self._change:
            self._open = False
            for queue in self._queues.values():
                for job in queue:
                    job.cancelled = True
            self._change.notify()
        self._thread.join(seconds)

    def _next(self) -> Job | None:
        with self._change:
            while self._open and not self._queues:
                self._change.wait()
            if not self._open:
                return None
            client, queue = next(iter(self._queues.items()))
            self._queues.move_to_end(client)
            return queue[0]

    def _run(self) -> None:
        while (job := self._next()) is not None:
            if not job.step():
                self._forget(job)

    def _forget(self, job: Job) -> None:
        with self._change:
            queue = self._queues.get(job.client)
            if queue and queue[0] is job:
                queue.popleft()
            if not queue:
                self._queues.pop(job.client, None)
