"""Many images read or decoded at once: Pillow and sha256 work outside Python's lock, so that threads use all
the cores.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from genzoo.data.decode import Skip
from genzoo.data.frames import Frames, Loaded, Progress, Task
from genzoo.data.memory import short_of_memory
from genzoo.data.types import Array
from genzoo.errors import safe_text
from genzoo.show import Bar, tell

__all__ = ["Progress", "decode_all", "decode_rows", "in_parallel", "showing"]

CHUNK = 64  # images per task: large enough that the queue costs nothing
PATIENCE = 2.0  # seconds before a bar appears
EVERY = 15.0  # seconds between two lines where there is no terminal for a bar


def decode_all(job: Task) -> Loaded:
    """Return the images of `job` in memory."""
    frames = Frames(job.count, job.shape, job.what)
    with showing(job.count, f"decoding {job.what}", job.progress) as show:
        reasons = decode_rows(job, range(job.count), frames.pixels, lambda done: show(done, job.count))
    return Loaded(frames, [row for row in range(job.count) if row not in reasons], counted(reasons))


def counted(reasons: dict[int, str]) -> dict[str, int]:
    """Return how many images have each of the `reasons`, by row, for which they are none."""
    return dict(Counter(reasons[row] for row in sorted(reasons)))


def decode_rows(job: Task, rows: range | Array, room: Array, show: Callable[[int], None]) -> dict[int, str]:
    """Decode the images `rows` of `job` into `room` (n, C, H, W), image rows[i] to place i; `show` is told
    how many are done.

    Returns the reason of each that is none, by its row.
    """
    reasons: dict[int, str] = {}

    def work(place: int) -> None:
        row = int(rows[place])
        try:
            room[place] = job.load(row)
        except Skip as skip:
            room[place] = 0  # no left-over of another image
            reasons[row] = str(skip)

    with warnings.catch_warnings():
        # decoders warn about foreign files; what is wrong with those is counted instead
        warnings.simplefilter("ignore")
        # A bomb must be skipped, not decoded with a warning.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        in_parallel(len(rows), work, f"decoding {job.what}", lambda done, _: show(done))
    return reasons


def in_parallel(
    count: int, work: Callable[[int], None], title: str, progress: Progress | None = None
) -> None:
    """Call `work(i)` for i in 0..count-1 in threads; `progress` is called, or a bar with `title` is shown if
    it takes long.

    Raises:
        DataError: the system gives no thread.
    """
    # More than eight threads wait for the disk, and each holds a decoded picture.
    workers = min(8, os.cpu_count() or 1)
    step = max(1, min(CHUNK, count // (4 * workers)))

    def several(start: int) -> int:
        stop = min(start + step, count)
        for row in range(start, stop):
            work(row)
        return stop - start

    with ThreadPoolExecutor(workers) as threads:
        try:
            _report(threads.map(several, range(0, count, step)), count, title, progress)
        except BaseException as error:
            threads.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for the rest
            # what Python says where memory or the number of threads is limited
            if "can't start new thread" in str(error):
                raise short_of_memory(f"{title}: the system gives no more threads") from error
            raise


def _report(chunks: Iterator[int], count: int, title: str, progress: Progress | None) -> None:
    done = 0
    with showing(count, title, progress) as show:
        for size in chunks:
            done += size
            show(done, count)


@contextlib.contextmanager
def showing(count: int, title: str, progress: Progress | None = None) -> Iterator[Progress]:
    """Give `progress`, or where that is None a function that moves a bar on stderr, and says a line every 15
    seconds where there is no terminal.
    """
    if progress is not None:
        yield progress
        return
    with Bar(count, desc=safe_text(title, 100), unit=" images", delay=PATIENCE, leave=False) as bar:
        lines = None if bar.drawn else _Lines(title)

        def show(done: int, total: int) -> None:
            bar.move_to(done)
            if lines is not None:
                lines(done, total)

        yield show


class _Lines:
    """Says how far work is, at most once in `EVERY` seconds: a log of a cluster shows that it goes on."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = self._said = time.monotonic()
        self._first: int | None = None  # what was done before we came: a run that goes on

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done
        if now - self._said < EVERY or done >= total:
            return
        self._said = now
        rate = (done - self._first) / (now - self._begun)
        rest = f", about {_words((total - done) / rate)} left" if rate > 0 else ""
        tell(f"genzoo: {self._title}: {done:,} of {total:,} images{rest}", level="INFO")


def _words(seconds: float) -> str:
    """Return so many seconds in words: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
