"""The time per stage of a progressive GAN's run: rounds of each stage, faded in and complete.

    python tests/benchmarks/bench_stages.py [progressive-faces] [--rounds 5]

Processor time, with the nets, batch size and augmentation of the card, on random images in memory. The first
round at each size is not counted. The last column is what the stage takes in the run of the recipe.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measure import machine

import genzoo
from genzoo.data import Images
from genzoo.training.hardware import choose
from genzoo.training.loop import Run


def main() -> None:
    """Print a table of the stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="progressive-faces")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    card = genzoo.info(args.name)
    model, recipe = card.build().train(), card.recipe
    noise = np.random.default_rng(0)
    images = noise.integers(0, 256, (4 * recipe.batch_size, *model.image_shape), dtype=np.uint8)
    data = Images(pixels=images, name="noise", split="train")
    options = recipe.game
    print(machine())
    print("| stage | ms per round, fading | ms per round, complete | rounds of the recipe | minutes |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        run = Run(model, recipe, data, choose(recipe, "cpu"), Path(folder))
        for stage, (height, width) in enumerate(model.sizes):
            start, fading = options.start(stage), options.fading(stage)
            until = options.start(stage + 1) if stage < model.last else recipe.steps
            faded = timed(run, start, args.rounds) if fading else 0.0
            whole = timed(run, start + fading, args.rounds)
            minutes = (fading * faded + (until - start - fading) * whole) / 60
            shown = f"{1000 * faded:.0f}" if fading else "–"
            print(
                f"| {height}×{width} | {shown} | {1000 * whole:.0f} | {until - start:,} | {minutes:.1f} |",
                flush=True,
            )


def timed(run: Run, step: int, rounds: int) -> float:
    """Return the median processor time of a round from round `step` on, in seconds."""
    found = []
    run.step = step
    for _ in range(rounds + 1):
        begun = time.process_time()
        run.play_round()
        found.append(time.process_time() - begun)
    return statistics.median(found[1:])


if __name__ == "__main__":
    main()
