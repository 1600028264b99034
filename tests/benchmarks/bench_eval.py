"""How much faster `genzoo eval` is in several processes, and the second time: the same records, other times.

Each way runs the command as people type it, in an empty cache: alone, with torchrun's two processes, and
alone again with the features that the first one kept. Ways take turns. "busiest" is the processor time of the
process that used most: on a machine with a core for each process it is the time that one waits, however busy
the machine of the measurement is. Both include the start of the program, a few seconds.

    python tests/benchmarks/bench_eval.py dcgan-bedrooms --images 439 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine

# The program, which leaves what it used in a file of its own; genzoo ends by os._exit, so at its doors.
PROGRAM = """
import os, resource, sys
from pathlib import Path
from genzoo.cli import program
before = program.leave
def leave(code):
    used = resource.getrusage(resource.RUSAGE_SELF)
    Path(os.environ["USED"], str(os.getpid())).write_text(f"{used.ru_utime + used.ru_stime} {used.ru_maxrss}")
    before(code)
program.leave = leave
from genzoo.cli import main
main()
"""


def main() -> None:
    """Print seconds, the busiest process and the largest memory of each way, and the factors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--images", type=int, default=439)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    words = ["eval", asked.model, "-n", str(asked.images), "--json"]
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(asked.processes)]
    ways = {"alone": ([], True), f"{asked.processes} processes": (run, True), "alone, again": ([], False)}
    spent: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    print(json.dumps(machine()))
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "program.py")
            script.write_text(PROGRAM)
            records = set()
            for name, (launcher, empty) in ways.items():
                cache = Path(folder, name if empty else "alone")
                clock, busiest, memory, said = measure([*launcher, str(script), *words], cache, Path(folder))
                spent[name].append((clock, busiest, memory))
                records.add(said)
            if len(records) > 1:
                raise SystemExit("the records differ")
    alone = spent["alone"]
    for name, found in spent.items():
        clock, busiest = (
            statistics.median(a[i] / b[i] for a, b in zip(alone, found, strict=True)) for i in (0, 1)
        )
        seconds, used, memory = (statistics.median(row[i] for row in found) for i in range(3))
        print(
            f"{name:14} {seconds:6.1f} s by the clock ({clock:.2f} times as fast), busiest process "
            f"{used:6.1f} s ({busiest:.2f}), {memory / 1e6:.2f} GB"
        )


def measure(command: list[str], cache: Path, folder: Path) -> tuple[float, float, float, str]:
    """Return seconds by the clock, processor time of the busiest process, the largest memory in kB, and
    stdout."""
    used = Path(tempfile.mkdtemp(dir=folder))
    env = {**os.environ, "GENZOO_CACHE": str(cache), "USED": str(used), "OMP_NUM_THREADS": "1"}
    before = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    clock = time.perf_counter() - before
    rows = [tuple(map(float, path.read_text().split())) for path in used.iterdir()]
    return clock, max(row[0] for row in rows), max(row[1] for row in rows), done.stdout


if __name__ == "__main__":
    main()
