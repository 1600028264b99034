"""Many images decoded at once: Pillow works outside Python's lock, so that threads use all the cores."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from genzoo.data.cache import Frames
from genzoo.data.decode import Shape, Skip
from genzoo.errors import safe_text
from genzoo.show import Bar

Array: TypeAlias = "np.ndarray[Any, Any]"
Progress: TypeAlias = "Callable[[int, int], None]"
Loaded: TypeAlias = "tuple[Frames, Sequence[int], dict[str, int]]"

CHUNK = 64  # images per task: large enough that the queue costs nothing
PATIENCE = 2.0  # seconds before a bar appears


def decode_all(count: int, load: Callable[[int], Array], shape: Shape, what: str, progress: Progress | None = None) -> Loaded:
    """Call `load(i)` for i in 0..count-1 and collect its images (C, H, W) uint8.

    Returns the frames, the rows that gave an image, and how many did not, by the reason of their `Skip`.
    """
    frames = Frames(count, shape, what)
    reasons: list[str] = [""] * count

    def work(start: int) -> int:
        stop = min(start + CHUNK, count)
        for row in range(start, stop):
            try:
                frames.pixels[row] = load(row)
            except Skip as skip:
                reasons[row] = str(skip)
        return stop - start

    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        warnings.simplefilter("ignore")  # libraries grumble about strangers' files; we count what is wrong with them
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            _report(threads.map(work, range(0, count, CHUNK)), count, what, progress)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for the rest
            raise
    return frames, [row for row, reason in enumerate(reasons) if not reason], dict(Counter(filter(None, reasons)))


def _report(chunks: Iterator[int], count: int, what: str, progress: Progress | None) -> None:
    if progress is not None:
        done = 0
        for size in chunks:
            done += size
            progress(done, count)
        return
    done = 0
    with Bar(count, desc=safe_text(f"decoding {what}", 100), unit=" images", delay=PATIENCE, leave=False) as bar:
        for size in chunks:
            done += size
            bar.move_to(done)
