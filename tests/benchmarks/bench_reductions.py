"""How much faster several processes are than one, and which share of a round is spent on their reductions.

    python tests/benchmarks/bench_reductions.py --rounds 30

Both play rounds of a DCGAN (64 × 64, 3.6 million weights at the default widths), one thread per process, and
the same batch for all processes together. The share includes waiting for the slower process.
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

import genzoo
from genzoo.data import Images
from genzoo.recipe import Recipe
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.parallel import World, enter, leave


def timed(seconds: list[float], work: Callable[..., Any]) -> Callable[..., Any]:
    """Return `work`, which adds the time that it takes to `seconds`."""

    def done(*arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        try:
            return work(*arguments, **options)
        finally:
            seconds[0] += time.perf_counter() - begun

    return done


def worker(given: argparse.Namespace) -> None:
    """Play the rounds as one of the processes; the first prints what it measured."""
    torch.set_num_threads(1)
    world, reducing = enter(torch.device("cpu")), [0.0]
    for name in ("average_gradients", "average_buffers"):
        setattr(World, name, timed(reducing, getattr(World, name)))
    pixels = np.random.default_rng(0).integers(0, 256, (256, 3, 64, 64), dtype=np.uint8)
    recipe = Recipe(batch_size=given.batch, precision="fp32", lr={"all": 2e-4}, betas=(0.5, 0.999))
    with tempfile.TemporaryDirectory() as folder:
        model = genzoo.create("dcgan", width=given.width, discriminator_width=given.width)
        data = Images(pixels=pixels, name="noise", split="train")
        run = Run(model, recipe, data, choose(recipe, "cpu"), Path(folder), world)
        for _ in range(3):
            run.play_round()
        reducing[0], begun = 0.0, time.perf_counter()
        for _ in range(given.rounds):
            run.play_round()
        seconds = time.perf_counter() - begun
    if world.writes:
        weights = sum(p.numel() for p in model.parameters())
        told = {"seconds": seconds / given.rounds, "share": reducing[0] / seconds, "weights": weights}
        print(json.dumps(told), flush=True)
    leave(0)


def measured(given: argparse.Namespace, processes: int) -> dict[str, float]:
    """Return what the first of `processes` processes measured."""
    own = [__file__, "--worker", "--rounds", given.rounds, "--batch", given.batch, "--width", given.width]
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
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given)
        return
    for _ in range(given.repeat):
        one, two = measured(given, 1), measured(given, 2)
        print(
            f"{one['weights']:,.0f} weights, batch {given.batch}: one process {one['seconds']:.3f} s, "
            f"two {two['seconds']:.3f} s, {one['seconds'] / two['seconds']:.2f} times as fast; "
            f"reductions take {two['share']:.1%} of a round of two",
            flush=True,
        )


if __name__ == "__main__":
    main()
