"""Many images read or decoded at once: Pillow and sha256 work outside Python's lock, so that threads use all
the cores.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from PIL import Image

from genzoo.data.cache import Frames, Loaded
from genzoo.data.decode import Skip
from genzoo.data.memory import short_of_memory
from genzoo.data.types import Array, Shape
from genzoo.errors import safe_text
from genzoo.show import Bar

Progress: TypeAlias = "Callable[[int, int], None]"

CHUNK = 64  # images per task: large enough that the queue costs nothing
PATIENCE = 2.0  # seconds before a bar appears


def decode_all(
    count: int, load: Callable[[int], Array], shape: Shape, what: str, progress: Progress | None = None
) -> Loaded:
    """Call `load(i)` for i in 0..count-1 and collect its images (C, H, W) uint8.

    Returns the frames, the rows that gave an image, and how many did not, by the reason of their `Skip`.
    """
    frames = Frames(count, shape, what)
    reasons: list[str] = [""] * count

    def work(row: int) -> None:
        try:
            frames.pixels[row] = load(row)
        except Skip as skip:
            reasons[row] = str(skip)

    with warnings.catch_warnings():
        # decoders warn about foreign files; what is wrong with those is counted instead
        warnings.simplefilter("ignore")
        # A bomb must be skipped, not decoded with a warning.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        in_parallel(count, work, f"decoding {what}", progress)
    return (
        frames,
        [row for row, reason in enumerate(reasons) if not reason],
        dict(Counter(filter(None, reasons))),
    )


def in_parallel(
    count: int, work: Callable[[int], None], title: str, progress: Progress | None = None
) -> None:
    """Call `work(i)` for i in 0..count-1 in threads; `progress` is called, or a bar with `title` is shown if
    it takes long.

    Raises:
        DataError: the system gives no thread.
    """

    def several(start: int) -> int:
        stop = min(start + CHUNK, count)
        for row in range(start, stop):
            work(row)
        return stop - start

    # More than eight threads wait for the disk, and each holds a decoded picture.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        try:
            _report(threads.map(several, range(0, count, CHUNK)), count, title, progress)
        except BaseException as error:
            threads.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for the rest
            # what Python says where memory or the number of threads is limited
            if "can't start new thread" in str(error):
                raise short_of_memory(f"{title}: the system gives no more threads") from error
            raise


def _report(chunks: Iterator[int], count: int, title: str, progress: Progress | None) -> None:
    done = 0
    with _bar(count, title) if progress is None else contextlib.nullcontext(progress) as show:
        for size in chunks:
            done += size
            show(done, count)


@contextlib.contextmanager
def _bar(count: int, title: str) -> Iterator[Progress]:
    """Give a function that moves a bar on stderr, and does nothing where there is no terminal, or none any
    more.
    """
    with Bar(count, desc=safe_text(title, 100), unit=" images", delay=PATIENCE, leave=False) as bar:
        yield lambda done, _: bar.move_to(done)
