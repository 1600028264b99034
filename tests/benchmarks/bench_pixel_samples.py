"""Drawing images with a pixel model: genzoo's cached sampler against one pass of the network per pixel, the
same net, in turn.

    python tests/benchmarks/bench_pixel_samples.py gated-pixelcnn [-n 16] [--layers 12] [--width 64] [--passes
    4] [--rounds 3]

The ways:
    genzoo             model.sample(n), in float64, so that its images are those of the naive loop bit for bit
    naive              the reference in genzoo that the laws compare with, in float64
    naive, fp32        the same in float32, which draws the same images nearly always
    usual              the net of plain_pixel.py in float32: square masked kernels, as tutorials draw with it

A naive loop is H · W passes of one and the same work and takes minutes to hours, so `--passes` of them are
timed and scaled up. Weights are fresh; no way looks at them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from bench_pixel_step import NAMES, SHAPE, sizes
from measure import WORKER, machine, median, paired, report, serve, take_turns

WAYS = ("genzoo", "naive", "naive, fp32", "usual")


def make(args: argparse.Namespace) -> Callable[[], dict[str, float]]:
    """Return a measurement of `args.worker`: seconds for n images."""
    import torch

    from genzoo import create

    layers, width = sizes(args)
    if args.worker == "usual":
        from plain_pixel import build

        plain = build(args.name, layers, width).to(args.device).eval()

        def once(x: torch.Tensor) -> torch.Tensor:
            return torch.bernoulli(torch.sigmoid(plain(x)[:, :, 5, 5]))

        return scaled(once, torch.zeros(args.n, *SHAPE, device=args.device), args.passes)
    model = (
        create(args.name, image_shape=SHAPE, head="bernoulli", layers=layers, width=width)
        .to(args.device)
        .eval()
    )
    if args.worker == "genzoo":
        return lambda: timed(lambda: model.sample(args.n, seed=0))
    model = model if "fp32" in args.worker else model.double()
    uniforms = torch.rand(args.n, dtype=torch.float64, device=args.device)

    def drawn(x: torch.Tensor) -> torch.Tensor:
        return model._quantile(model._predict(x)[:, :, 0, 5, 5], uniforms)

    return scaled(drawn, torch.zeros(args.n, *SHAPE, dtype=model._dtype, device=args.device), args.passes)


def timed(draw: Callable[[], object]) -> dict[str, float]:
    """Return the seconds that `draw` takes, by the clock and of the processor."""
    import torch

    begun, worked = time.perf_counter(), time.process_time()
    draw()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - worked}


def scaled(once: Callable[..., object], x: object, passes: int) -> Callable[[], dict[str, float]]:
    """Return a measurement of a whole naive loop by `passes` of its H · W passes."""
    import torch

    def measure() -> dict[str, float]:
        with torch.inference_mode():
            found = timed(lambda: [once(x) for _ in range(passes)])
        whole = {key: value / passes * SHAPE[1] * SHAPE[2] for key, value in found.items()}
        return {**whole, "pass": found["seconds"] / passes}

    return measure


def main() -> None:
    """Measure, or be one of the workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--width", type=int, default=0)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument(WORKER, choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(make(args))
        return
    shared = [
        args.name,
        "-n",
        args.n,
        "--layers",
        args.layers,
        "--width",
        args.width,
        "--passes",
        args.passes,
        "--device",
        args.device,
    ]
    results = take_turns(args.ways, args.rounds, [str(word) for word in shared], args.warm)
    rows, ratios = [], {}
    for way, found in results.items():
        ratios[way] = [paired(results["genzoo"], found, key) for key in ("seconds", "cpu")]
        one = median(found, "pass") if "pass" in found[0] else ""
        rows.append((way, median(found, "seconds"), one, median(found, "cpu"), *ratios[way]))
    layers, width = sizes(args)
    title = (
        f"{args.n} images of {args.name}, {layers} layers, width {width}, 28 × 28; naive loops by "
        f"{args.passes} of 784 passes"
    )
    columns = (
        "way",
        "seconds",
        "seconds a pass",
        "of the processor",
        "times genzoo's",
        "by the processor's time",
    )
    report(title, machine(args.device), columns, rows, {"ratios": ratios, "rounds": results})


if __name__ == "__main__":
    main()
