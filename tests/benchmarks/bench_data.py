"""A set of many small images: what decoding takes in memory and seconds, what a kill loses, what ten added
files and a second start cost.

    python tests/benchmarks/bench_data.py [--count 20000] [--side 64] [--form folder|tar] [--room FOLDER]

The images are a simulation of size: JPEGs of 256 pictures, each with a number of its own in a comment, so
that no two files are equal. Each step is a process of its own. "Memory" is the most that the process had,
with torch and what it had mapped; the system takes mapped pages back when others need them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measure import machine
from PIL import Image

PICTURES, SHARD, FOLDER = 256, 10_000, 1_000  # different pictures; images of a shard, files of a folder


def pictures(side: int) -> list[bytes]:
    """Return smooth pictures with some noise as JPEGs."""
    noise = np.random.default_rng(0)
    found = []
    for _ in range(PICTURES):
        small = Image.fromarray(noise.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)) // 2
        room = io.BytesIO()
        Image.fromarray(smooth + noise.integers(0, 24, (side, side, 1), dtype=np.uint8)).save(
            room, "JPEG", quality=90
        )
        found.append(room.getvalue())
    return found


def files(start: int, stop: int, side: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each image."""
    every = pictures(side)
    for number in range(start, stop):
        text = f"{number:012}".encode()
        comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
        jpeg = every[number % PICTURES]
        yield f"{number // FOLDER:06}/{number:09}.jpg", jpeg[:2] + comment + jpeg[2:]


def write(room: Path, start: int, stop: int, side: int, form: str) -> None:
    """Write images as files or shards."""
    shard, archive = -1, None
    for place, (name, data) in enumerate(files(start, stop, side), start):
        if form == "folder":
            path = room / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            continue
        if place // SHARD != shard:
            if archive is not None:
                archive.close()
            shard = place // SHARD
            archive = tarfile.open(room / f"{start:09}-{shard:06}.tar", "w")  # noqa: SIM115
        about = tarfile.TarInfo(Path(name).name)
        about.size = len(data)
        archive.addfile(about, io.BytesIO(data))
    if archive is not None:
        archive.close()


def work(room: str, side: int, step: str) -> None:
    """Open the set as one step, and print what it took; as a process of its own."""
    from genzoo.data import identity, open_data, pool

    decoded = [0]
    real = pool.decode_rows

    def counted(job, rows, place, show):
        def tell(done: int) -> None:
            show(done)
            print(json.dumps({"done": decoded[0] + done}), flush=True)

        reasons = real(job, rows, place, tell)
        decoded[0] += len(rows)
        return reasons

    from genzoo.data import growing

    growing.decode_rows = counted
    begun = time.perf_counter(), time.process_time()
    images = open_data(room, image_shape=(3, side, side))
    took = time.perf_counter() - begun[0], time.process_time() - begun[1]
    opened = peak()
    begun_identity = time.process_time()
    if step != "read":
        identity(images)
    named = time.process_time() - begun_identity
    rate = 0.0
    if step == "read":
        rows = np.random.default_rng(0).permutation(len(images))[: 64 * 500]
        begun_rows = time.perf_counter()
        for start in range(0, len(rows), 64):
            images.float(rows[start : start + 64])
        rate = len(rows) / (time.perf_counter() - begun_rows)
    answer = {
        "clock": took[0],
        "processors": took[1],
        "memory": opened,
        "decoded": decoded[0],
        "identity": named,
    }
    answer |= {"rate": rate, "memory with identity or reading": peak(), "images": len(images)}
    print(json.dumps(answer), flush=True)


def peak() -> float:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def run(room: Path, side: int, step: str, kill_at: int = 0) -> dict[str, float]:
    """Run a step; with `kill_at` it is killed when it has decoded so many."""
    command = [sys.executable, __file__, "--worker", step, "--side", str(side), "--room", str(room)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    answer: dict[str, float] = {}
    for line in process.stdout:
        answer = json.loads(line)
        if kill_at and answer.get("done", 0) >= kill_at:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    return answer


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--side", type=int, default=64)
    options.add_argument("--form", choices=["folder", "tar"], default="folder")
    options.add_argument(
        "--room", default=None, help="a folder for images and cache, by default a temporary one"
    )
    options.add_argument("--worker", default="")
    given = options.parse_args()
    if given.worker:
        work(given.room, given.side, given.worker)
        return
    with tempfile.TemporaryDirectory(dir=given.room) as room:
        os.environ["GENZOO_CACHE"] = str(Path(room, "cache"))
        data = Path(room, "images")
        data.mkdir()
        write(data, 0, given.count, given.side, given.form)
        time.sleep(3)  # files that have just been written are read twice
        print(machine())
        print(
            f"{given.count:,} JPEGs of {given.side}x{given.side} in a {given.form}, "
            f"{given.count * 3 * given.side**2 / 1e9:.2f} GB decoded"
        )
        half = run(data, given.side, "first", kill_at=given.count // 2)
        rest = run(data, given.side, "first")
        lost = half["done"] + rest["decoded"] - given.count
        say("killed at half", f"{lost:,.0f} of {given.count:,} decoded twice ({lost / given.count:.1%})")
        show("the rest of it", rest)
        show("second start", run(data, given.side, "second"))
        reading = run(data, given.side, "read")
        say("batches of 64 at random", f"{reading['rate']:,.0f} images/s")
        write(data, given.count, given.count + 10, given.side, given.form)
        added = run(data, given.side, "added")
        show("ten files added", added)
        os.environ["GENZOO_CACHE"] = str(Path(room, "other"))
        show("all in one go", run(data, given.side, "whole"))


def show(what: str, answer: dict[str, float]) -> None:
    """Print a line for a step."""
    say(
        what,
        f"{answer['decoded']:9,.0f} decoded, {answer['clock']:7.2f} s by the clock, "
        f"{answer['processors']:7.2f} s of processors, {answer['memory']:5,.0f} MB; "
        f"identity {answer['identity']:.2f} s, then {answer['memory with identity or reading']:,.0f} MB",
    )


def say(what: str, text: str) -> None:
    """Print one figure."""
    print(f"{what:26} {text}", flush=True)


if __name__ == "__main__":
    main()
