"""Single calls of the pixel models' layers, each beside what it replaced: milliseconds of the processor's
time.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_pixel_parts.py [--batch 32]

Maps of 28 × 28, 64 features. Pairs take turns, and the least of a few measurements counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from genzoo_pixel.masks import MaskedConv2d
from measure import machine, report
from torch import Tensor, nn

SIDE, P = 28, 64
Pair = tuple[str, Callable[[], object], Callable[[], object]]


def convolutions(n: int) -> Pair:
    """A vertical convolution, forwards."""
    x, kernel = torch.randn(n, P, SIDE, SIDE), torch.randn(2 * P, P, 3, 3)
    last = torch.channels_last
    padded = torch.randn(n, P, SIDE + 1, SIDE).bfloat16().contiguous(memory_format=last)
    cut = torch.randn(2 * P, P, 2, 3).bfloat16().contiguous(memory_format=last)
    name = "64→128, masked 3 × 3 in float32, NCHW / open 2 × 3 in bf16, features last"
    return (
        name,
        lambda: torch.conv2d(x, kernel, None, 1, 1),
        lambda: torch.conv2d(padded, cut, None, 1, (0, 1)),
    )


def tanh(n: int) -> Pair:
    """tanh of a map in bf16."""
    from genzoo_pixel.fast.layers import _tanh_by_pieces

    x = torch.randn(n * SIDE * SIDE, P).bfloat16()
    return (
        "tanh in bf16 / 2 σ(2x) - 1 in float32, by pieces",
        lambda: x.tanh(),
        lambda: _tanh_by_pieces(x.clone()),
    )


def sums(n: int) -> Pair:
    """A map plus a part of a wider one."""
    x, wide = torch.randn(n * SIDE * SIDE, P).bfloat16(), torch.randn(n * SIDE * SIDE, 4 * P).bfloat16()
    return (
        "sum with a part of a wider map / with a copy of it",
        lambda: x + wide[:, P : 2 * P],
        lambda: wide[:, P : 2 * P].contiguous().add_(x),
    )


def firsts(n: int) -> Pair:
    """A first layer, forwards and backwards."""
    stem, x = MaskedConv2d(1, P, (4, 7), "A", 1), torch.rand(n, 1, SIDE, SIDE)
    grown = torch.randn(n, P, SIDE, SIDE).bfloat16().contiguous(memory_format=torch.channels_last)
    stock = nn.Conv2d(1, P, (4, 7), padding=(3, 3)).to(memory_format=torch.channels_last)

    def step(layer: Callable[[Tensor], Tensor]) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
        y.backward(grown)

    return (
        "first layer, forth and back, stock / patches",
        lambda: step(lambda x: stock(x)[:, :, :SIDE]),
        lambda: step(stem),
    )


def least(calls: tuple[Callable[[], object], ...], rounds: int = 9) -> list[float]:
    """Return the least milliseconds of each call; they take turns."""
    found = [[] for _ in calls]
    for _ in range(rounds):
        for times, call in zip(found, calls, strict=True):
            begun = time.process_time()
            call()
            times.append(1e3 * (time.process_time() - begun))
    return [min(times) for times in found]


def main() -> None:
    """Measure all pairs."""
    from genzoo.training.memory import keep_freed_memory

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    keep_freed_memory()  # as in training
    rows = []
    for make in (convolutions, tanh, sums, firsts):
        name, before, after = make(args.batch)
        rows.append((name, *least((before, after))))
    report("Parts of the pixel models", machine(), ("call", "before, ms", "after, ms"), rows, {"rows": rows})


if __name__ == "__main__":
    main()
