"""How much faster an experiment is with several processes on one folder: the same cells, each done once.

    python tests/benchmarks/bench_cells.py --cells 12 --budget 3000 --rounds 3

Each way types the command as people do, in an empty folder: one process, then several at once. Ways take
turns. "busiest" is the processor time of the process that used most: on a machine with a core for each
process it is the time that one waits, however busy the machine of the measurement is. Both include the start
of the program. The cells differ by their seed alone, so that they cost the same; their records must be those
of one process, and no cell may be trained twice.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_eval import PROGRAM
from measure import machine

EXPERIMENT = """
title = "cells that cost the same"
data = "digits"
budget = {budget}
n = 150
metrics = ["swd"]
seeds = {cells}
model = "gan"

[settings]
image_size = "8x8"
channels = 1
width = 128
discriminator_width = 96
pieces = 2
dropout = false
lr = 1e-3
batch_size = 64
watch = false
"""


def main() -> None:
    """Print seconds and the busiest process of each way, and the factors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--budget", type=int, default=3000, help="turns of all players in a cell")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    ways = {"one process": 1, f"{asked.processes} processes": asked.processes}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    print(json.dumps(machine()))
    for _ in range(asked.rounds):
        found = {}
        for name, count in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                clock, busiest, found[name] = play(Path(folder), asked.cells, asked.budget, count)
            spent[name].append((clock, busiest))
            print(f"{name}: {clock:.1f} s by the clock, busiest {busiest:.1f} s", flush=True)
        if len(set(found.values())) > 1:
            raise SystemExit("the records differ")
    for name, rows in spent.items():
        one = spent["one process"]
        factors = [statistics.median(a[i] / b[i] for a, b in zip(one, rows, strict=True)) for i in (0, 1)]
        clock, busiest = (statistics.median(row[i] for row in rows) for i in (0, 1))
        print(
            f"{name:14} {clock:6.1f} s by the clock ({factors[0]:.2f} times as fast), busiest process "
            f"{busiest:6.1f} s ({factors[1]:.2f})"
        )


def play(folder: Path, cells: int, budget: int, processes: int) -> tuple[float, float, str]:
    """Return seconds by the clock, processor time of the busiest process, and the records of all cells."""
    file, script, out, used = folder / "cells.toml", folder / "program.py", folder / "out", folder / "used"
    file.write_text(EXPERIMENT.format(budget=budget, cells=cells))
    script.write_text(PROGRAM)
    used.mkdir()
    env = {**os.environ, "GENZOO_CACHE": str(folder / "cache"), "USED": str(used), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "experiment", str(file), "--out", str(out), "--device", "cpu"]
    begun = time.perf_counter()
    running = []
    for number in range(processes):
        with (folder / f"said-{number}").open("w") as said:
            running.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=said))
    codes = [process.wait() for process in running]
    clock = time.perf_counter() - begun
    said = [(folder / f"said-{number}").read_text() for number in range(processes)]
    if any(codes):
        raise SystemExit("\n".join(said))
    trained = [re.findall(r"cell (\d+) of", text) for text in said]
    if sorted(int(number) for own in trained for number in own) != list(range(1, cells + 1)):
        raise SystemExit(f"not each cell once: {trained}")
    busiest = max(float(path.read_text().split()[0]) for path in used.iterdir())
    return clock, busiest, records(out)


def records(out: Path) -> str:
    """Return what was measured of each cell, as JSON."""
    found: dict[str, Any] = {}
    for path in sorted(out.glob("*/cell.json")):
        found[path.parent.name] = json.loads(path.read_text())["records"]
    return json.dumps(found)


if __name__ == "__main__":
    main()
