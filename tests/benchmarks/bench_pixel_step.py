"""One training step of a pixel model: genzoo's loop against the usual one, the same net and batch, in turn.

    python tests/benchmarks/bench_pixel_step.py gated-pixelcnn [--layers 12] [--width 64] [--batch 32]
    [--rounds 5] [--device cpu] python tests/benchmarks/bench_pixel_step.py pixelrnn-diagonal --share

The usual loop is in plain_pixel.py: float32, NCHW, square masked kernels, recurrences as loops over columns
that autograd follows, Adam as it is by default. genzoo's side is the loop of `genzoo train` with its
defaults; "genzoo, fp32" the same with precision=fp32. Layers and width are those of the published model.
Images are random, black and white, and in memory: no loader is measured. On a machine that others use too,
the processor's time is the one to compare; with one thread (OMP_NUM_THREADS=1) it is the work done.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import WORKER, machine, median, paired, report, serve, take_turns

IMAGES, SHAPE = 1024, (1, 28, 28)
NAMES = ("pixelcnn", "gated-pixelcnn", "pixelrnn-row", "pixelrnn-diagonal")
WAYS = ("usual", "genzoo", "genzoo, fp32")


def sizes(args: argparse.Namespace) -> tuple[int, int]:
    """Return layers and width: as asked for, or as published."""
    from genzoo_pixel import genzoo_cards

    config = {card.name: card for card in genzoo_cards()}[f"{args.name}-mnist"].config
    return args.layers or config["layers"], args.width or config["width"]


def usual(args: argparse.Namespace) -> Callable[[], float]:
    """Return one step of the usual loop."""
    import torch
    from plain_pixel import build
    from torch.nn import functional as F

    device = torch.device(args.device)
    model = build(args.name, *sizes(args)).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = (torch.rand(IMAGES, *SHAPE) < 0.13).float()
    number = 0

    def step() -> float:
        nonlocal number
        first = number * args.batch % (IMAGES - args.batch + 1)
        number += 1
        x = images[first : first + args.batch].to(device)
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x), x)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def genzoo(args: argparse.Namespace, precision: str = "auto") -> Callable[[], float]:
    """Return one round of genzoo's loop: what `genzoo train` does between two lines of progress."""
    import numpy as np

    from genzoo import Recipe, create
    from genzoo.data import Images
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run
    from genzoo.training.memory import keep_freed_memory

    recipe = Recipe(
        data="random", steps=10**9, batch_size=args.batch, lr={"all": 1e-3}, ema=0.9995, precision=precision
    )
    settings = choose(recipe, args.device)
    if settings.device.type == "cpu":
        keep_freed_memory()  # as genzoo.training.train does
    layers, width = sizes(args)
    pixels = 255 * (np.random.default_rng(0).random((IMAGES, *SHAPE)) < 0.13).astype(np.uint8)
    model = create(args.name, image_shape=SHAPE, head="bernoulli", layers=layers, width=width)
    run = Run(model, recipe, Images(pixels=pixels, name="random"), settings, Path(tempfile.gettempdir()))
    return lambda: float(run.play_round()["model"])


def timed(step: Callable[[], float]) -> Callable[[], dict[str, float]]:
    """Return a measurement of `step` in seconds, by the clock and of the processor; reading the loss waits
    for the device."""

    def measure() -> dict[str, float]:
        begun, worked = time.perf_counter(), time.process_time()
        step()
        return {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - worked}

    return measure


def share(step: Callable[[], float]) -> float:
    """Return what part of a step's time passes in the recurrence, forwards and backwards, by
    torch.profiler."""
    from torch.profiler import ProfilerActivity, profile

    step()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step()
    found = seen.key_averages()
    inside = sum(event.cpu_time_total for event in found if event.key in ("Scan", "ScanBackward"))
    return inside / sum(event.self_cpu_time_total for event in found)


def main() -> None:
    """Measure, or be one of the workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--width", type=int, default=0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS[:2])
    parser.add_argument(
        "--share", action="store_true", help="print only what share of a step the recurrence has"
    )
    parser.add_argument(WORKER, choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(
            timed(
                usual(args)
                if args.worker == "usual"
                else genzoo(args, "fp32" if "fp32" in args.worker else "auto")
            )
        )
        return
    if args.share:
        print(f"{args.name}: {share(genzoo(args)):.0%} of a step passes in the recurrence")
        return
    shared = [
        args.name,
        "--layers",
        args.layers,
        "--width",
        args.width,
        "--batch",
        args.batch,
        "--device",
        args.device,
    ]
    results = take_turns(args.ways, args.rounds, [str(word) for word in shared], args.warm)
    first = results[args.ways[0]]
    rows, ratios = [], {}
    for way, found in results.items():
        seconds, cpu, ratios[way] = (
            median(found, "seconds"),
            median(found, "cpu"),
            [paired(found, first, key) for key in ("seconds", "cpu")],
        )
        rows.append((way, args.batch / seconds, seconds, cpu, *ratios[way]))
    layers, width = sizes(args)
    title = f"Training step of {args.name}, {layers} layers, width {width}, 28 × 28, batch {args.batch}"
    columns = (
        "loop",
        "images/s",
        "seconds a step",
        "of the processor",
        f"times {args.ways[0]}",
        "by the processor's time",
    )
    report(title, machine(args.device), columns, rows, {"ratios": ratios, "rounds": results})


if __name__ == "__main__":
    main()
