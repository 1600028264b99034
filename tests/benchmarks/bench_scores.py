"""How much memory the scores of many samples take: `score_model`, as `genzoo eval` calls it, with the usual
numbers of the FID by default, 50,000 samples and 2,048 features.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_scores.py --metrics fid two-sample
    OMP_NUM_THREADS=1 python tests/benchmarks/bench_scores.py --metrics kid prdc --pieces 3
    OMP_NUM_THREADS=1 python tests/benchmarks/bench_scores.py --metrics kid prdc --features 256

Each metric is measured in a process of its own. Samples, training images and held-out images are as many
different images of 64x64 in an .npz file, which is mapped; the model is a small DCGAN that learned nothing,
and the features are those of a stand-in for a network that costs little: random weights on smaller images.
What follows is the code of every other measurement.

All pairs of 50,000 images in 2,048 features are 5e12 multiplications, six times for each of "kid" and
"prdc". With `--pieces 3` only the first two blocks of 1,024 rows and the last one are computed, and the
result of the first stands for the others: the memory is that of the whole, the values mean nothing. The
pieces of "two-sample" are the ten probes of each side, which then end after five steps. With `--pieces 1`
and a number of images that is a multiple of 1,024, such as 50,176, one block is computed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine

METRICS = ("fid", "kid", "prdc", "two-sample")
SIDE, STEP = 64, 5000  # pixels; images that are made at a time


def main() -> None:
    """Print processor time and memory of each metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=list(METRICS))
    parser.add_argument("--pieces", type=int, default=0, help="0: all")
    parser.add_argument("--folder", help="where images and cache are; default: that of temporary files")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        measure(asked.worker, asked)
        return
    print(json.dumps(machine()), flush=True)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        write(Path(folder, "images.npz"), asked.images)
        env = {**os.environ, "GENZOO_CACHE": str(Path(folder, "cache"))}
        for metric in asked.metrics:
            words = ["--images", asked.images, "--features", asked.features, "--pieces", asked.pieces]
            command = [sys.executable, __file__, "--worker", metric, "--folder", folder, *map(str, words)]
            subprocess.run(command, env=env, check=True)


def write(path: Path, count: int) -> None:
    """Write `count` training images and as many held-out ones, of noise that is coarse and fine."""
    noise = np.random.default_rng(0)

    def images() -> np.ndarray[Any, np.dtype[np.uint8]]:
        found = np.empty((count, SIDE, SIDE, 3), np.uint8)
        for start in range(0, count, STEP):
            part = found[start : start + STEP]
            coarse = noise.integers(0, 192, (len(part), 8, 8, 3), dtype=np.uint8)
            part[:] = coarse.repeat(SIDE // 8, 1).repeat(SIDE // 8, 2)
            part += noise.integers(0, 64, (SIDE, SIDE, 3), dtype=np.uint8)
        return found

    np.savez(path, x_train=images(), x_test=images())


def measure(metric: str, asked: argparse.Namespace) -> None:
    """Measure one metric, and print what it took."""
    import genzoo
    from genzoo.data import open_data
    from genzoo.evaluation import distances, probe, quality, two_sample
    from genzoo.evaluation.scoring import score_model
    from genzoo.evaluation.spaces import space_of
    from genzoo.request import Request

    space = space_of(stand_in(asked.features), "stand-in@000000000000")
    quality.feature_space = lambda name, images: space
    if asked.pieces:
        distances.each = few(distances.each, asked.pieces)
        two_sample.each = few(two_sample.each, asked.pieces)
        probe._STEPS = 5
    model = genzoo.create("dcgan", seed=0, image_shape=(3, SIDE, SIDE), width=8)
    path = Path(asked.folder, "images.npz")
    train, test = (open_data(path, split=split) for split in ("train", "test"))
    request = Request(n=asked.images, metrics=[metric])
    watch, begun = Watch(), time.process_time()
    records = score_model(model, train, test, request, subject="a model")
    spent, most, own = time.process_time() - begun, gigabytes("VmHWM"), watch.most()
    values = ", ".join(f"{record.metric} of {record.subject} {record.value:.4g}" for record in records)
    print(
        f"{metric}: {most:.2f} GB at most, {own:.2f} GB without mapped images, {spent:.0f} s of processors; "
        f"{values}",
        flush=True,
    )


def stand_in(width: int) -> Any:
    """Return a classifier with `width` features that cost little."""
    import torch
    from torch import nn

    from genzoo.models import ClassifyingModel

    @dataclass(frozen=True, kw_only=True)
    class Config:
        image_shape: tuple[int, int, int] = (3, SIDE, SIDE)

    class Stand(ClassifyingModel):
        """Random features of images of 16x16."""

        def __init__(self) -> None:
            super().__init__()
            self.config = Config()
            self.net = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 16 * 16, width), nn.ReLU())
            self.head = nn.Linear(width, 10)

        @property
        def classes(self) -> int:
            return 10

        def _features(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

        def _logits(self, features: torch.Tensor) -> torch.Tensor:
            return self.head(features)

    Stand.Config = Config
    torch.manual_seed(0)
    return Stand().eval()


def few(each: Callable[..., list[Any]], count: int) -> Callable[..., list[Any]]:
    """Return `each` so that it computes `count` pieces, of which one is the last if there are two or more;
    copies of the first result stand for the others."""

    def some(pieces: Iterable[Any], work: Callable[[Any], Any], done: Any = None) -> list[Any]:
        todo = list(pieces)
        if len(todo) <= count:
            return each(todo, work, done)
        found = each([*todo[: max(count - 1, 1)], *todo[-1:] * (count > 1)], work, done)
        copies = [found[0].clone() for _ in range(len(todo) - count)]
        return [found[0], *copies, *found[1:]]

    return some


class Watch:
    """Looks twenty times a second at the memory of this process that is no mapped file."""

    def __init__(self) -> None:
        self._most, self._ended = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            self._most = max(self._most, gigabytes("RssAnon"))

    def most(self) -> float:
        """Stop, and return the most that was seen, in GB."""
        self._ended.set()
        self._thread.join()
        return self._most


def gigabytes(name: str) -> float:
    """Return a figure of this process's memory as Linux reports it."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) / 1e6


if __name__ == "__main__":
    main()
