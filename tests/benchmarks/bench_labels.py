"""What a label costs: a conditional model against the same net without labels, in turn.

    python tests/benchmarks/bench_labels.py conditional-pixelcnn-mnist gated-pixelcnn-mnist
    python tests/benchmarks/bench_labels.py cvae-mnist vae-mnist [--rounds 9] [--steps 4] [--images 16]

Each has the net and the recipe of its card, fresh weights and random black and white images with random
labels. A step is one round of the loop of `genzoo train`, loader included; sampling is `sample(n)`, for the
conditional model with a label for each image. On a machine that others use too, the processor's time is the
one to compare; with one thread (OMP_NUM_THREADS=1) it is the work done.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import WORKER, machine, median, paired, report, serve, take_turns

IMAGES = 2048
KEYS = ("step", "sampling", "step, cpu", "sampling, cpu")


def measurement(name: str, args: argparse.Namespace) -> Callable[[], dict[str, float]]:
    """Return a measurement in seconds, by the clock and of the processor: of a step, and of samples."""
    import numpy as np

    from genzoo import create, info
    from genzoo.data import Images
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run
    from genzoo.training.memory import keep_freed_memory

    recipe, model = info(name).recipe, create(name)
    settings = choose(recipe, args.device)
    if settings.device.type == "cpu":
        keep_freed_memory()  # as genzoo.training.train does
    random = np.random.default_rng(0)
    pixels = 255 * (random.random((IMAGES, *model.image_shape)) < 0.13).astype(np.uint8)
    numbers = random.integers(0, 10, IMAGES)
    images = Images(pixels=pixels, labels=numbers, name="random", transform="static-binarised")
    run = Run(model, recipe, images, settings, Path(tempfile.gettempdir()))
    given = {} if model.condition is None else {"condition": numbers[: args.images]}

    def step() -> None:
        for _ in range(args.steps):
            for loss in run.play_round().values():
                float(loss)

    def sampling() -> None:
        model.sample(args.images, seed=0, **given)

    def measure() -> dict[str, float]:
        found = {}
        for what, work, count in (("step", step, args.steps), ("sampling", sampling, 1)):
            begun, worked = time.perf_counter(), time.process_time()
            work()
            found[what] = (time.perf_counter() - begun) / count
            found[f"{what}, cpu"] = (time.process_time() - worked) / count
        return found

    return measure


def main() -> None:
    """Measure, or be one of the two workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs=2, metavar="NAME", help="the conditional card, then the other")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(WORKER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(measurement(args.worker, args))
        return
    shared = [f"--{key}={getattr(args, key)}" for key in ("steps", "images", "device")]
    results = take_turns(args.names, args.rounds, [*args.names, *shared], args.warm)
    ours, theirs = (results[name] for name in args.names)
    cost = {key: 1 / paired(ours, theirs, key) for key in KEYS}
    rows = [(key, median(ours, key), median(theirs, key), cost[key]) for key in KEYS]
    title = f"What a label costs: {args.names[0]} against {args.names[1]}, {args.images} samples"
    columns = ("seconds", *args.names, "ratio")
    report(title, machine(args.device), columns, rows, {"cost": cost, "rounds": results})


if __name__ == "__main__":
    main()
