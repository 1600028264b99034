"""What a condition costs: a round of training, or samples, of a model that takes labels and one without, in
turn.

    python tests/benchmarks/bench_conditional.py [--model dcgan-rooms] [--what step] [--batch 64] [--rounds
    15]

`dcgan-rooms` is compared with `dcgan` at the same widths, `cgan-mnist` with `gan-mnist`. In process time, so
that what else runs on the machine counts less; the ratio of the fastest measurements and the median of the
ratios of neighbours. Images are random and in memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import WORKER, machine, median, paired, report, serve, take_turns

IMAGES = 2048
PAIRS = {"dcgan-rooms": "dcgan", "cgan-mnist": "gan-mnist"}
NAMES = ("unconditional", "conditional")


def rounds_of(args: argparse.Namespace) -> Callable[[], None]:
    """Return one round of the loop, with the recipe of the conditional card but its augmentation."""
    import dataclasses

    import numpy as np

    from genzoo import info
    from genzoo.data import Images
    from genzoo.games import Adversarial
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run
    from genzoo.training.memory import keep_freed_memory

    keep_freed_memory()  # as genzoo.training.train does
    model = built(args)
    recipe = dataclasses.replace(
        info(args.model).recipe, batch_size=args.batch, game=Adversarial(), flip=False
    )
    noise = np.random.default_rng(0)
    pixels = noise.integers(0, 256, (IMAGES, *model.image_shape), np.uint8)
    classes = info(args.model).condition.names
    labels = noise.integers(0, len(classes), IMAGES)
    data = Images(pixels=pixels, labels=labels, class_names=classes, name="random")
    run = Run(model, recipe, data, choose(recipe, "cpu"), Path(tempfile.mkdtemp()))

    def step() -> None:
        {name: float(loss) for name, loss in run.play_round().items()}

    return step


def samples_of(args: argparse.Namespace) -> Callable[[], None]:
    """Return a call that draws as many samples as the batch has images."""
    model = built(args).eval()
    condition = {} if model.condition is None else {"condition": [i % 4 for i in range(args.batch)]}

    def draw() -> None:
        model.sample(args.batch, seed=0, **condition)

    return draw


def built(args: argparse.Namespace) -> Any:
    """Return the worker's model with fresh weights."""
    from genzoo import create, info

    if args.worker == "conditional":
        return create(args.model)
    return create(PAIRS[args.model], **info(args.model).config)


def timed(work: Callable[[], None]) -> Callable[[], dict[str, float]]:
    """Return a measurement of `work` in seconds of the process."""

    def measure() -> dict[str, float]:
        begun = time.process_time()
        work()
        return {"seconds": time.process_time() - begun}

    return measure


def main() -> None:
    """Measure, or be one of the two workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="dcgan-rooms", choices=tuple(PAIRS))
    parser.add_argument("--what", default="step", choices=("step", "samples"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(WORKER, choices=NAMES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(timed({"step": rounds_of, "samples": samples_of}[args.what](args)))
        return
    shared = ["--model", args.model, "--what", args.what, "--batch", str(args.batch)]
    results = take_turns(NAMES, args.rounds, shared, warm=4)
    least = {name: min(result["seconds"] for result in results[name]) for name in NAMES}
    ratio = 1 / paired(results["conditional"], results["unconditional"], "seconds")
    of_least = least["conditional"] / least["unconditional"]
    rows = [(name, median(results[name], "seconds"), least[name]) for name in NAMES]
    title = (
        f"{args.what} of {args.model}, {args.batch} images: the condition costs {ratio - 1:+.1%} (pairs), "
        f"{of_least - 1:+.1%} (fastest)"
    )
    report(title, machine("cpu"), ("model", "seconds, median", "seconds, least"), rows, {"rounds": results})


if __name__ == "__main__":
    main()
