"""How fast many images are written to a folder, against drawing them alone: `genzoo sample -o FOLDER/`.

The share is that of the drawing rate: drawing alone / drawing and writing, by the clock and by the time of
all processors. The variants take turns. "flushed" is the way of before: `save_image` in this thread, which
flushes file and folder each time.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_many_samples.py --images 2048 --folder /disk/new
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from measure import machine

import genzoo
from genzoo.cli.samples import Order
from genzoo.cli.singles import write_single
from genzoo.images import save_image


def main() -> None:
    """Print the rate of each way and its share of the drawing rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="dcgan-bedrooms")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="a folder on the disk to measure; default: that of temporary files")
    parser.add_argument("--flushed", action="store_true", help="also measure the way of before")
    asked = parser.parse_args()
    model, count = genzoo.load(asked.model), asked.images

    def draw(row: int, first: int, n: int) -> Iterator[torch.Tensor]:
        return model.sample_batches(n, 0, first=first, dtype=torch.uint8)

    def alone(folder: Path) -> None:
        for _ in draw(0, 0, count):
            pass

    def flushed(folder: Path) -> None:
        for number, image in enumerate(image for batch in draw(0, 0, count) for image in batch):
            save_image(image, folder / f"sample-{number:06}.png", {"model": asked.model, "seed": "0"})

    def written(form: str) -> Callable[[Path], None]:
        order = Order(asked.model, count, 0)
        return lambda folder: write_single(order, folder, form, lambda total: draw, (model, 0, 1))

    ways = {"drawing alone": alone, **{form: written(form) for form in ("png", "tar", "npz")}}
    ways |= {"png, flushed each": flushed} if asked.flushed else {}
    print(machine())
    report(ways, count, asked.rounds, asked.folder)


def report(ways: dict[str, Callable[[Path], None]], count: int, rounds: int, home: str | None) -> None:
    """Measure the `ways` in turn and print a line for each."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            folder = Path(tempfile.mkdtemp(dir=home))
            clock, processors = time.perf_counter(), time.process_time()
            way(folder)
            spent[name].append((time.perf_counter() - clock, time.process_time() - processors))
            shutil.rmtree(folder)
    for name, found in spent.items():
        shares = [
            statistics.median(
                base[i] / own[i] for base, own in zip(spent["drawing alone"], found, strict=True)
            )
            for i in (0, 1)
        ]
        rate = count / statistics.median(seconds for seconds, _ in found)
        print(
            f"{name:18} {rate:7.0f} images/s  {shares[0]:5.0%} by the clock  "
            f"{shares[1]:5.0%} of processor time"
        )


if __name__ == "__main__":
    main()
