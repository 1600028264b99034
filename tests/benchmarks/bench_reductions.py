"""How much faster several processes are than one, and which share of a round is spent on their reductions.

    python tests/benchmarks/bench_reductions.py --rounds 30

Both play rounds of a DCGAN (64 × 64, 3.6 million weights at the default widths), one thread per process, and
the same batch for all processes together. The time between entering and leaving a reduction has three parts:

* copies: gradients into the flat buffer, and the division by the number of processes;
* all-reduce: from the moment when the last process has come;
* waiting: until then. It is no work; `--pin` gives each process a core of its own, which it then shares with
  no other process of the run.

Times are means over the processes. The share of processor time, gloo's threads included, has no waiting in it
and can be measured on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

import genzoo
from genzoo.data import Images
from genzoo.recipe import Recipe
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.memory import keep_freed_memory
from genzoo.training.parallel import World, enter, leave


class Marks:
    """When each reduction of a process was entered, its collective begun and ended, and when it was left."""

    def __init__(self) -> None:
        self.times: list[list[float]] = []
        self.used = 0.0  # seconds of processor time in all of them
        for name in ("average_gradients", "average_buffers"):
            setattr(World, name, self._whole(getattr(World, name)))
        dist.all_reduce = self._inner(dist.all_reduce)

    def clear(self) -> None:
        """Forget what was measured."""
        self.times, self.used = [], 0.0

    def shares(self, seconds: float, used: float) -> dict[str, float]:
        """Return the shares of copies, all-reduce and waiting of `seconds`, means over the processes, and the
        share of the processor time `used`.
        """
        own = torch.tensor(self.times, dtype=torch.float64)  # (N, 4)
        every = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(every, own)
        entered, begun, ended, left = torch.stack(every).unbind(2)  # (processes, N) each
        together = begun.max(0).values
        parts = {
            "copies": begun - entered + left - ended,
            "all-reduce": ended - together,
            "wait": together - begun,
        }
        found = {name: float(part.sum(1).mean()) / seconds for name, part in parts.items()}
        return {**found, "used": self.used / used}

    def _whole(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **options: Any) -> Any:
            before, entered = time.process_time(), time.perf_counter()
            self.times.append([entered] * 4)
            found = work(*arguments, **options)
            self.times[-1][3] = time.perf_counter()
            self.used += time.process_time() - before
            return found

        return done

    def _inner(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **options: Any) -> Any:
            self.times[-1][1] = time.perf_counter()
            found = work(*arguments, **options)
            self.times[-1][2] = time.perf_counter()
            return found

        return done


def worker(given: argparse.Namespace) -> None:
    """Play the rounds as one of the processes; the first prints what it measured."""
    if given.pin:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(os.environ["LOCAL_RANK"]) % len(cores)]})
    torch.set_num_threads(1)
    keep_freed_memory()  # as `genzoo train` does
    world, marks = enter(torch.device("cpu")), Marks()
    pixels = np.random.default_rng(0).integers(0, 256, (256, 3, 64, 64), dtype=np.uint8)
    recipe = Recipe(batch_size=given.batch, precision="fp32", lr={"all": 2e-4}, betas=(0.5, 0.999))
    with tempfile.TemporaryDirectory() as folder:
        model = genzoo.create("dcgan", width=given.width, discriminator_width=given.width)
        data = Images(pixels=pixels, name="noise", split="train")
        run = Run(model, recipe, data, choose(recipe, "cpu"), Path(folder), world)
        for _ in range(3):
            run.play_round()
        marks.clear()
        used, begun = time.process_time(), time.perf_counter()
        for _ in range(given.rounds):
            run.play_round()
        seconds, used = time.perf_counter() - begun, time.process_time() - used
    told = {
        "seconds": seconds / given.rounds,
        "processor": used / given.rounds,
        "weights": sum(p.numel() for p in model.parameters()),
    }
    if world.size > 1:
        told |= marks.shares(seconds, used)
    if world.writes:
        print(json.dumps(told), flush=True)
    leave(0)


def measured(given: argparse.Namespace, processes: int) -> dict[str, float]:
    """Return what the first of `processes` processes measured."""
    own = [__file__, "--worker", "--rounds", given.rounds, "--batch", given.batch, "--width", given.width]
    own += ["--pin"] if given.pin else []
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *map(str, start), *map(str, own)]
    done = subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure one process and two, in turn, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--pin", action="store_true", help="give each process a core of its own")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given)
        return
    for _ in range(given.repeat):
        one, two = measured(given, 1), measured(given, 2)
        copies, reduced, waiting = parts = [two[name] for name in ("copies", "all-reduce", "wait")]
        print(
            f"{one['weights']:,.0f} weights, batch {given.batch}: one process {one['seconds']:.3f} s, two "
            f"{two['seconds']:.3f} s, {one['seconds'] / two['seconds']:.2f} times as fast; of a round of two "
            f"reductions are {sum(parts):.1%} (copies {copies:.1%}, all-reduce {reduced:.1%}, "
            f"waiting {waiting:.1%}); processor time of a round {one['processor']:.3f} s and "
            f"{two['processor']:.3f} s, of which reductions {two['used']:.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
