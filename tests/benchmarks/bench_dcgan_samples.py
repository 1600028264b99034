"""10,000 images of a 64 × 64 DCGAN: model.sample against the usual single pass; images/s and peak memory.

    python tests/benchmarks/bench_dcgan_samples.py [--width 64] [-n 10000] [--rounds 1] [--device cpu]

The usual way is `with torch.no_grad(): generator(torch.randn(n, 100, 1, 1))` in float32 and NCHW: all n in
one pass, or in a loop over batches of 256 that keeps every batch. Every measurement is made by a fresh
process, whose peak memory is then that of the way it samples.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from measure import WORKER, machine, median, paired, report

SHAPE, LATENT, WARM = (3, 64, 64), 100, 64
WAYS = ("usual, one pass", "usual, batches of 256", "genzoo, uint8", "genzoo, float32", "genzoo, batches")


def usual_net(width: int, device: str) -> Any:
    """Return a generator as it is usually written, in evaluation mode."""
    import torch
    from torch import nn

    layers: list[Any] = [nn.ConvTranspose2d(LATENT, 8 * width, 4, 1, 0, bias=False)]
    for a in (8, 4, 2):
        layers += [
            nn.BatchNorm2d(a * width),
            nn.ReLU(True),
            nn.ConvTranspose2d(a * width, a * width // 2, 4, 2, 1, bias=False),
        ]
    layers += [
        nn.BatchNorm2d(width),
        nn.ReLU(True),
        nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    ]
    return nn.Sequential(*layers).to(torch.device(device)).eval()


def usual(args: argparse.Namespace, batch: int) -> Callable[[int], int]:
    """Return what draws n images, `batch` at a time, and says how many it has drawn."""
    import torch

    net = usual_net(args.width, args.device)

    def draw(n: int) -> int:
        with torch.no_grad():
            parts = [
                net(torch.randn(min(batch, n - first), LATENT, 1, 1, device=args.device))
                for first in range(0, n, batch)
            ]
        return sum(len(part) for part in parts)

    return draw


def genzoo(args: argparse.Namespace, way: str) -> Callable[[int], int]:
    """Return the same by genzoo: as one tensor of a dtype, or a few at a time."""
    import torch

    from genzoo import create

    model = create("dcgan", image_shape=SHAPE, width=args.width).eval().to(args.device)
    dtype = torch.float32 if way == "genzoo, float32" else torch.uint8

    def draw(n: int) -> int:
        if way == "genzoo, batches":
            return sum(len(images) for images in model.sample_batches(n, seed=0, dtype=dtype))
        return len(model.sample(n, seed=0, dtype=dtype))

    return draw


def work(args: argparse.Namespace) -> None:
    """Measure one way once and print it."""
    import torch

    way = args.worker
    draw = genzoo(args, way) if way.startswith("genzoo") else usual(args, args.n if way == WAYS[0] else 256)
    draw(WARM)
    begun = time.perf_counter()
    drawn = draw(args.n)
    if args.device != "cpu":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / 1024
        * (1 if sys.platform == "linux" else 1 / 1024)
    )
    print(json.dumps({"seconds": seconds, "rate": drawn / seconds, "peak_mib": peak}))


def measured(way: str, n: int, args: argparse.Namespace) -> dict[str, float]:
    """Return the numbers of a fresh process."""
    command = [
        sys.executable,
        sys.argv[0],
        "--width",
        args.width,
        "-n",
        n,
        "--device",
        args.device,
        WORKER,
        way,
    ]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure, or be the worker of one way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(WORKER, choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    results: dict[str, list[dict[str, float]]] = {way: [] for way in args.ways}
    for _ in range(args.rounds):
        for way, measurements in results.items():
            measurements.append(measured(way, args.n, args))
    few = {way: measured(way, 256, args)["peak_mib"] for way in args.ways}
    ratios = {way: paired(results[way], results[args.ways[0]], "seconds") for way in args.ways}
    rows = []
    for way, measurements in results.items():
        peak = median(measurements, "peak_mib")
        rows.append((way, median(measurements, "rate"), ratios[way], peak, few[way], peak / few[way]))
    columns = ("way", "images/s", f"times {args.ways[0]}", "peak MiB", "peak MiB of 256", "ratio")
    title = f"{args.n:,} images, DCGAN 64 × 64, width {args.width}"
    report(
        title,
        machine(args.device),
        columns,
        rows,
        {"ratios": ratios, "rounds": results, "peak_mib_of_256": few},
    )


if __name__ == "__main__":
    main()
