"""The importance-weighted bound of K draws: genzoo's way against the usual one, the same net with fresh
weights, in turn.

    python tests/benchmarks/bench_vae_iwae.py [--card vae-mnist] [--k 5000] [--images 32] [--rounds 5] [--of
    10000] [--device cpu]

The usual way takes one image at a time, a hundred draws in each pass of the decoder, with a sigmoid, binary
cross-entropy and torch.distributions. Measured are `--images` random images; the table says what `--of`
images would take, and how much of it is time of a core, which a busy machine does not change.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

from measure import WORKER, machine, median, paired, report, serve, take_turns

DRAWS = 100  # in a pass of the usual way


def ready(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return the model with fresh weights and random black and white images of its shape."""
    import torch

    from genzoo import create

    model = create(args.card).eval().to(args.device)
    noise = torch.Generator().manual_seed(0)
    return model, (torch.rand(args.images, *model.image_shape, generator=noise) < 0.5).float().to(args.device)


def usual(args: argparse.Namespace) -> Callable[[], None]:
    """Return the usual estimate of all images."""
    import torch
    from torch.distributions import Normal
    from torch.nn.functional import binary_cross_entropy

    model, images = ready(args)
    prior = Normal(0.0, 1.0)

    @torch.no_grad()
    def estimate() -> None:
        for x in images:
            mean, log_var = model.encoder(x[None]).chunk(2, dim=1)
            q, weights = Normal(mean, torch.exp(0.5 * log_var)), []
            for first in range(0, args.k, DRAWS):
                z = q.sample((min(DRAWS, args.k - first),))[:, 0]
                decoded = torch.sigmoid(model.decoder(z))
                likelihood = -binary_cross_entropy(decoded, x.expand_as(decoded), reduction="none").sum(
                    (1, 2, 3)
                )
                weights.append(likelihood + prior.log_prob(z).sum(1) - q.log_prob(z).sum(1))
            float(torch.logsumexp(torch.cat(weights), 0) - math.log(args.k))

    return estimate


def genzoo(args: argparse.Namespace) -> Callable[[], None]:
    """Return what `genzoo eval` does: all bounds up to K in one pass, a few images at a time."""
    from genzoo.training.memory import keep_freed_memory

    keep_freed_memory()  # as genzoo.zoo.evaluate does
    model, images = ready(args)
    ks = sorted({k for k in (1, 50, 500) if k < args.k} | {args.k})

    def estimate() -> None:
        for part in images.split(16):
            model.iwae_bounds(part, ks)[-1].bound.tolist()

    return estimate


def timed(estimate: Callable[[], None]) -> Callable[[], dict[str, float]]:
    """Return a measurement of `estimate` in seconds, and in seconds of a core."""

    def measure() -> dict[str, float]:
        begun, spent = time.perf_counter(), time.process_time()
        estimate()
        return {"seconds": time.perf_counter() - begun, "core": time.process_time() - spent}

    return measure


def main() -> None:
    """Measure, or be one of the two workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--card", default="vae-mnist")
    parser.add_argument("--k", type=int, default=5000)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--of", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(WORKER, choices=("usual", "genzoo"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(timed({"usual": usual, "genzoo": genzoo}[args.worker](args)))
        return
    shared = [f"--{key}={getattr(args, key)}" for key in ("card", "k", "images", "device")]
    results = take_turns(("usual", "genzoo"), args.rounds, shared, 1)
    ratio = paired(results["genzoo"], results["usual"], "seconds")
    seconds = {name: median(results[name], "seconds") for name in results}
    core = {name: median(results[name], "core") / args.images * args.of / 60 for name in results}
    rows = [
        (name, args.images * args.k / value, value / args.images * args.of / 60, core[name])
        for name, value in seconds.items()
    ]
    title = f"IWAE-{args.k} of {args.card}: {ratio:.2f} times the usual way"
    columns = ("way", "decodings/s", f"minutes for {args.of:,} images", "core-minutes")
    report(title, machine(args.device), columns, rows, {"ratio": ratio, "rounds": results})


if __name__ == "__main__":
    main()
