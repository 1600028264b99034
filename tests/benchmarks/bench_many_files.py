"""A set of as many images as LSUN's bedrooms, 3,033,042, without the files: what the first and the second
start cost beside reading and decoding, and the order of an epoch.

    python tests/benchmarks/bench_many_files.py [--count 3033042] [--side 8] [--form folder|flat|tar]

The disk is played: a folder of 4,096 folders whose names are those of LSUN's images in length, one folder
("flat"), or shards of 10,000 images, gives names, sizes and times without having any file. The sha256 of a
file is made up, and decoding makes black images. All that grows with the count is real: lists, index, splits,
order, the file of decoded images with its tags, and its map. So the seconds are those of Python and of the
cache; what the system takes to list so many files, to read and to decode them comes on top. Each step is a
process of its own. "Memory" is the most that the process had, with torch and what it had mapped. `--made`
writes what the first start would leave in the cache, which takes a minute instead of some, so that the second
is measured. `--room` is a folder for that cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from measure import machine

LSUN, DEPTH, SHARD = 3_033_042, 3, 10_000


class Entry:
    """What a file system says of a file or folder that there is not."""

    def __init__(self, name: str, number: int, folder: bool = False) -> None:
        self.name = name
        self._number, self._mode = number, (stat.S_IFDIR if folder else stat.S_IFREG) | 0o644

    def stat(self) -> Any:
        """Return its state."""
        times = {"st_mtime_ns": 10**18, "st_ctime_ns": 10**18}
        return SimpleNamespace(st_mode=self._mode, st_dev=1, st_ino=self._number, st_size=10_000, **times)


class Entries:
    """The entries of a folder, as `os.scandir` gives them."""

    def __init__(self, found: Iterator[Entry]) -> None:
        self._found = found

    def __enter__(self) -> Entries:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Entry]:
        return self._found


def name_of(number: int) -> str:
    """Return a name of 40 digits, as those of LSUN's images."""
    return hashlib.sha1(str(number).encode()).hexdigest()


def play_folder(room: Path, count: int, depth: int) -> None:
    """Let `room` be a folder of `count` images, `depth` folders deep, of which each has 16."""
    from genzoo.data import folder, listing

    each = -(-count // 16**depth)

    def scandir(path: Path) -> Entries:
        parts = Path(path).relative_to(room).parts
        if len(parts) < depth:
            inner = (Entry(f"{digit:x}", 1) for digit in range(16))
            return Entries(Entry(entry.name, 1, folder=True) for entry in inner)
        start = int("".join(parts) or "0", 16) * each
        stop = min(start + each, count)
        return Entries(
            Entry(f"{''.join(parts)}{name_of(number)[depth:]}.webp", number) for number in range(start, stop)
        )

    def seen(path: Path) -> Any:
        return SimpleNamespace(st_dev=1, st_ino=str(path))

    listing.os = SimpleNamespace(scandir=scandir, stat=seen, fsencode=os.fsencode, fsdecode=os.fsdecode)
    folder.digest_file = lambda path: hashlib.sha256(path.name.encode()).digest()
    folder._is_steady = lambda *_: True


def play_shards(count: int) -> None:
    """Let the shards of a folder hold `count` images."""
    from genzoo.data import archives, tar

    def members(self: object, path: Path) -> Iterator[tuple[str, int, int]]:
        start = int(path.stem) * SHARD
        for number in range(start, min(start + SHARD, count)):
            yield f"{name_of(number)}.webp", (number - start) * 10_752 + 512, 10_000

    tar.Tars.members = members
    archives._digest = lambda members, content, number: hashlib.sha256(members.name(number).encode()).digest()


def play_decoding() -> None:
    """Let every image be black."""
    from genzoo.data import growing, reading
    from genzoo.data.survey import Survey

    def decode_rows(job: Any, rows: Any, place: Any, show: Any) -> dict[int, str]:
        place[:] = 0
        return {}

    growing.decode_rows = decode_rows
    reading.survey = lambda count, *_, **__: Survey(plain=np.ones(count, bool))


def leave(room: Path, count: int, side: int) -> None:
    """Leave in the cache what a first start of the folder would, with digests that are random."""
    from genzoo.data import folder, listing, reading
    from genzoo.data.cache import Loaded, kept_frames
    from genzoo.data.index import Index

    source = folder._source(room, listing.list_files(room))
    noise = np.random.default_rng(0)

    def read(index: Index, *_: object) -> None:
        index.digests = noise.integers(1, 256, (count, 32), dtype=np.uint8)
        index.plain[:] = True
        index.save()

    def decode(self: Any, decoded: Any) -> Loaded:
        loaded = kept_frames(np.zeros((count, 3, side, side), np.uint8))
        loaded.rows = noise.permutation(count) * reading.PAGES
        loaded.columns = {
            "places": np.sort(noise.random(count)),
            "ranks": np.full(count, 2, np.uint8),
            "tags": noise.integers(0, 256, (count, 36), dtype=np.uint8),
        }
        loaded.about = {"class_names": (), "why": "", "splits": {}}
        return loaded

    Index.read = read
    reading._Reading.__call__ = decode
    reading.read_source(source, (3, side, side))


def work(room: Path, asked: argparse.Namespace) -> None:
    """Do one step, and print what it took."""
    from genzoo.data import identity, open_data
    from genzoo.data.order import batch_indices

    if asked.form == "tar":
        play_shards(asked.count)
    else:
        play_folder(room, asked.count, 0 if asked.form == "flat" else DEPTH)
    play_decoding()
    if asked.worker == "made":
        leave(room, asked.count, asked.side)
        print("{}")
        return
    empty = peak()
    begun = time.process_time()
    images = open_data(room, image_shape=(3, asked.side, asked.side))
    answer: dict[str, float] = {"opened": time.process_time() - begun, "memory": peak(), "empty": empty}
    begun = time.process_time()
    if asked.worker == "first":
        identity(images)
        answer["identity"] = time.process_time() - begun
    else:
        for name, number in (("first batch", 0), ("second batch", 1), ("epoch", len(images) // 64 + 1)):
            begun = time.process_time()
            images.float(batch_indices(len(images), 64, number, seed=0))
            answer[name] = time.process_time() - begun
    answer |= {"memory at the end": peak(), "images": len(images)}
    print(json.dumps(answer))


def peak() -> float:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--count", type=int, default=LSUN)
    options.add_argument("--side", type=int, default=8)
    options.add_argument("--form", choices=["folder", "flat", "tar"], default="folder")
    options.add_argument("--made", action="store_true")
    options.add_argument("--room", help="a folder for the cache, by default a temporary one")
    options.add_argument("--worker", default="", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.worker:
        work(Path(asked.room), asked)
        return
    print(machine())
    print(f"{asked.count:,} images of {asked.side}x{asked.side} in a {asked.form}", flush=True)
    with tempfile.TemporaryDirectory(dir=asked.room) as home:
        room = Path(home, "images")
        room.mkdir()
        for number in range(-(-asked.count // SHARD) if asked.form == "tar" else 0):
            tarfile.open(room / f"{number:06}.tar", "w").close()
        time.sleep(3 if asked.form == "tar" else 0)  # files that have just been written are read twice
        env = {**os.environ, "GENZOO_CACHE": str(Path(home, "cache"))}
        for step in ("made" if asked.made else "first", "second"):
            words = ["--count", asked.count, "--side", asked.side, "--form", asked.form, "--room", room]
            command = [sys.executable, __file__, "--worker", step, *map(str, words)]
            done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
            answer = json.loads(done.stdout)
            print(f"{step:7}", ", ".join(f"{key} {value:,.2f}" for key, value in answer.items()), flush=True)


if __name__ == "__main__":
    main()
