"""A folder of small JPEGs: the first look, a second one, and what it costs to read all files or to ask for
their states.

    python tests/benchmarks/bench_folder.py [--count 5000] [--side 128] [--rounds 5]

The files lie in the system's page cache, as they do between two runs of a training.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import machine
from PIL import Image

from genzoo.data import open_data
from genzoo.data.contents import digest_file


def write(folder: Path, count: int, side: int) -> float:
    """Write `count` smooth pictures with some noise, and return the bytes of one."""
    noise = np.random.default_rng(0)
    for i in range(count):
        small = Image.fromarray(noise.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        grain = noise.integers(0, 24, (side, side, 1), dtype=np.uint8)
        Image.fromarray(np.asarray(small) // 2 + grain).save(folder / f"{i:05}.jpg", quality=90)
    return sum(path.stat().st_size for path in folder.iterdir()) / count


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long `work` takes by the clock, and by the processors, which other programs hardly
    disturb."""
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=5000)
    options.add_argument("--side", type=int, default=128)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as room:
        os.environ["GENZOO_CACHE"] = str(Path(room, "cache"))
        photos = Path(room, "photos")
        photos.mkdir()
        each = write(photos, given.count, given.side)
        paths = sorted(photos.iterdir())
        ways = {
            "decoded, nothing kept": lambda: open_data(photos, cache=False),
            "a second look": lambda: open_data(photos),
            "reading and hashing the files": lambda: [digest_file(path) for path in paths],
            "asking for size and time": lambda: [path.stat() for path in paths],
        }
        open_data(photos)
        print(machine())
        print(
            f"{given.count:,} JPEGs of {given.side}x{given.side}, {each / 1e3:.1f} kB each; medians of "
            f"{given.rounds}"
        )
        times = {way: [] for way in ways}
        for _ in range(given.rounds):
            for way, work in ways.items():
                times[way].append(seconds(work))
        for way, found in times.items():
            clock, processors = (statistics.median(column) for column in zip(*found, strict=True))
            print(f"{way:40} {clock:7.3f} s by the clock, {processors:7.3f} s of processors")


if __name__ == "__main__":
    main()
