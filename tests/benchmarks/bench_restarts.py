"""One torchrun line that is killed: any of its processes, at a random moment, by SIGKILL; torchrun starts it
again. Counts the runs that end with the bits of an uninterrupted one, and times how long they take to play
again.

    python tests/benchmarks/bench_restarts.py --kills 10 --seed 0

The moments are spread evenly over the time from the start of the processes to the end of an uninterrupted
run, which includes decoding, rehearsing, a checkpoint every --pause seconds, publishing and measuring.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PROCESSES = 2
SMALL = "--data digits --device cpu --quiet --set image_size=8x8 --set channels=1 --set width=8"


@dataclass
class Line:
    """One torchrun line, and the folders of what it notes and makes."""

    root: Path
    steps: int
    pause: float

    def start(self) -> subprocess.Popen[str]:
        """Start it, as a person would."""
        (self.root / "notes").mkdir(parents=True)
        options = f"--standalone --nproc-per-node {PROCESSES} --max-restarts 3 --monitor-interval 0.1"
        worker = [HERE / "training" / "restarted_processes.py", self.root / "notes", "-"]
        command = ["train", "dcgan", "--steps", self.steps, "--out", self.root / "run", *SMALL.split()]
        words = [sys.executable, "-m", "torch.distributed.run", *options.split(), *worker, *command]
        paths = os.pathsep.join(map(str, (HERE.parent, HERE, os.environ.get("PYTHONPATH", ""))))
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "SECONDS": str(self.pause)}
        log = open(self.root / "log", "w")  # noqa: SIM115 - the child keeps it
        return subprocess.Popen(list(map(str, words)), env=env, stdout=log, stderr=log, text=True)

    def number(self, rank: int, attempt: int = 0) -> int | None:
        """Return the process number of a rank, once it is known."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.root / "notes" / f"pid-{attempt}-{rank}").read_text())
        return None

    def bits(self) -> bytes:
        """Return the published weights; nothing if there are none."""
        found = sorted((self.root / "run").glob("dcgan-*.safetensors"))
        return found[0].read_bytes() if len(found) == 1 else b""


def until(done: object, process: subprocess.Popen[str]) -> float:
    """Wait until `done()` or the end of the process; return the moment."""
    while not done() and process.poll() is None:  # type: ignore[operator]
        time.sleep(0.02)
    return time.monotonic()


def killed(line: Line, share: float, length: float, rank: int) -> tuple[float, float, str]:
    """Run the line and kill a rank at `share` of its usual `length`; return the seconds from the kill to the
    next round, or to the end, those to the end, and the state that it was killed in.
    """
    process = line.start()
    until(lambda: all(line.number(each) for each in range(PROCESSES)), process)
    time.sleep(share * length)
    state = "playing" if (line.root / "notes" / "playing-0").exists() else "starting"
    state = "ending" if line.bits() else state
    number = line.number(rank)
    with contextlib.suppress(ProcessLookupError):
        os.kill(number or 0, signal.SIGKILL)
    begun = time.monotonic()
    playing = until((line.root / "notes" / "playing-1").exists, process)
    process.wait()
    return playing - begun, time.monotonic() - begun, state


def main() -> None:
    """Measure an uninterrupted run, then kill as many as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two checkpoints")
    given = parser.parse_args()
    dice, same, waits = random.Random(given.seed), 0, []
    with tempfile.TemporaryDirectory() as folder:
        whole = Line(Path(folder) / "whole", given.steps, given.pause)
        process = whole.start()
        begun = until(lambda: all(whole.number(each) for each in range(PROCESSES)), process)
        process.wait()
        length = time.monotonic() - begun
        print(f"uninterrupted: {length:.1f} s from the start of its processes", flush=True)
        for kill in range(given.kills):
            line, rank = Line(Path(folder) / str(kill), given.steps, given.pause), dice.randrange(PROCESSES)
            share = (kill + dice.random()) / given.kills
            wait, rest, state = killed(line, share, length, rank)
            equal = bool(whole.bits()) and line.bits() == whole.bits()
            same += equal
            waits.append(wait)
            print(
                f"kill {kill}: rank {rank} at {share * length:.1f} s, {state}: "
                f"{'the same bits' if equal else 'NOT the same bits'}, plays or ends after {wait:.1f} s, "
                f"ends after {rest:.1f} s",
                flush=True,
            )
    print(
        f"{same} of {given.kills} ended with the bits of the uninterrupted run; recovery "
        f"{statistics.median(waits):.1f} s (median), {max(waits):.1f} s (most)"
    )


if __name__ == "__main__":
    main()
