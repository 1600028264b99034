"""Sample quality: how long each measure of 10,000 against 10,000 images takes, and the control figures of
Gaussians.

    python tests/benchmarks/bench_quality.py [-n 10000] [--data mnist] [--features gist|NAME]... [--metrics
    fid,kid,...] python tests/benchmarks/bench_quality.py --control [-n 10000] [--dimensions 1000] [--seed 0]

Training images stand in for samples, beside the floor. Core seconds are time of a core, which a busy machine
does not change; the images are decoded before. `--control` prints precision, recall, density and coverage of
two sets of draws of one Gaussian. The authors' package prints 0.477, 0.471, 1.06 and 0.974 for one draw of
10,000 in 1,000 dimensions; density differs by some per cent from draw to draw, for in so many dimensions a
few points are near to all.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from measure import machine, report


def control(n: int, dimensions: int, seed: int) -> None:
    """Print the figures of two sets of draws of one Gaussian."""
    import torch

    from genzoo.evaluation.distances import prdc

    noise = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(n, dimensions, generator=noise, dtype=torch.float64) for _ in range(2))
    begun, spent = time.perf_counter(), time.process_time()
    found = prdc(x, y)._asdict()
    took = {"seconds": time.perf_counter() - begun, "core seconds": time.process_time() - spent}
    title = f"Control: {n:,} against {n:,} draws of a Gaussian in {dimensions:,} dimensions"
    report(title, machine(), ("figure", "value"), list({**found, **took}.items()), {**found, **took})


def timed(args: argparse.Namespace) -> None:
    """Print how long each measure takes in each space."""
    from genzoo.data import open_data
    from genzoo.evaluation import feature_space, sample_quality

    train, test = open_data(args.data, split="train"), open_data(args.data, split="test")
    samples = train[slice(0, args.n)]
    rows: list[tuple[Any, ...]] = []
    for name in args.features or ["gist", None]:
        space = feature_space(name, test)
        for metric in args.metrics.split(","):
            begun, spent = time.perf_counter(), time.process_time()
            found = sample_quality(samples, train, test, metrics=[metric], space=space)[-1]
            took = time.perf_counter() - begun, time.process_time() - spent
            rows.append((found.label, found.n, found.n_reference, *took, found.value))
            print(*rows[-1], flush=True)
    title = f"Sample quality on {args.data}"
    report(
        title,
        machine(),
        ("measure", "n", "against", "seconds", "core seconds", "value of the floor"),
        rows,
        {"rows": rows},
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--features", action="append")
    parser.add_argument("--metrics", default="fid")
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--dimensions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.control:
        control(args.n, args.dimensions, args.seed)
    else:
        timed(args)


if __name__ == "__main__":
    main()
