"""Training of a VAE on 28 × 28 black and white images, loader included: genzoo's loop against the usual one,
the same net, in turn.

    python tests/benchmarks/bench_vae_loop.py [--width 400] [--latents 20] [--batch 128] [--steps 100]
    [--rounds 8] [--device cpu]

The usual loop is that of the best-known MNIST example, written here from scratch: a data set that makes a
Pillow picture and then a tensor of each image, a DataLoader that shuffles, sigmoid and binary cross-entropy,
Adam as it is by default, the loss read at every step. Images are random bits, as large a set as MNIST.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import WORKER, machine, median, paired, report, serve, take_turns

IMAGES, SHAPE = 60_000, (1, 28, 28)


def bits() -> Any:
    """Return random black and white images, uint8 (N, 1, 28, 28)."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 2, (IMAGES, *SHAPE), np.uint8) * np.uint8(255)


def usual(args: argparse.Namespace) -> Callable[[], None]:
    """Return one step of the usual loop."""
    import numpy as np
    import torch
    from PIL import Image
    from torch import Tensor, nn
    from torch.nn.functional import binary_cross_entropy
    from torch.utils.data import DataLoader, Dataset

    class Pictures(Dataset[Tensor]):
        def __init__(self) -> None:
            self.pixels = bits()[:, 0]

        def __len__(self) -> int:
            return len(self.pixels)

        def __getitem__(self, index: int) -> Tensor:
            picture = Image.fromarray(self.pixels[index])
            pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True)).view(*picture.size[::-1], 1)
            return pixels.permute(2, 0, 1).contiguous().to(torch.float32).div(255)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.mean, self.log_var = (
                nn.Linear(784, args.width),
                *(nn.Linear(args.width, args.latents) for _ in range(2)),
            )
            self.back, self.out = nn.Linear(args.latents, args.width), nn.Linear(args.width, 784)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            h = torch.relu(self.hidden(x.view(-1, 784)))
            mean, log_var = self.mean(h), self.log_var(h)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            return torch.sigmoid(self.out(torch.relu(self.back(z)))), mean, log_var

    model = Net().to(args.device)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(Pictures(), batch_size=args.batch, shuffle=True)

    def batches() -> Iterator[Tensor]:
        while True:
            yield from loader

    endless = batches()

    def step() -> None:
        x = next(endless).to(args.device)
        adam.zero_grad()
        decoded, mean, log_var = model(x)
        loss = binary_cross_entropy(decoded, x.view(-1, 784), reduction="sum")
        loss = loss - 0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
        loss.backward()
        loss.item()
        adam.step()

    return step


def genzoo(args: argparse.Namespace) -> Callable[[], None]:
    """Return one round of genzoo's loop: what `genzoo train` does between two lines of progress."""
    from genzoo import Recipe, create
    from genzoo.data import Images
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run
    from genzoo.training.memory import keep_freed_memory

    recipe = Recipe(data="random", steps=10**9, batch_size=args.batch, lr={"all": 1e-3}, precision="fp32")
    settings = choose(recipe, args.device)
    if settings.device.type == "cpu":
        keep_freed_memory()  # as genzoo.training.train does
    net = {"latent_size": args.latents, "width": args.width, "depth": 1, "likelihood": "bernoulli"}
    data = Images(pixels=bits(), name="random", transform="static-binarised")
    run = Run(create("vae", image_shape=SHAPE, **net), recipe, data, settings, Path(tempfile.gettempdir()))

    def step() -> None:
        {name: float(loss) for name, loss in run.play_round().items()}

    return step


def timed(step: Callable[[], None], args: argparse.Namespace) -> Callable[[], dict[str, float]]:
    """Return a measurement of `args.steps` steps in seconds a step, and in seconds of a core."""

    def measure() -> dict[str, float]:
        begun, spent = time.perf_counter(), time.process_time()
        for _ in range(args.steps):
            step()
        return {
            "seconds": (time.perf_counter() - begun) / args.steps,
            "core": (time.process_time() - spent) / args.steps,
        }

    return measure


def main() -> None:
    """Measure, or be one of the two workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=400)
    parser.add_argument("--latents", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(WORKER, choices=("usual", "genzoo"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(timed({"usual": usual, "genzoo": genzoo}[args.worker](args), args))
        return
    shared = [f"--{key}={getattr(args, key)}" for key in ("width", "latents", "batch", "steps", "device")]
    results = take_turns(("usual", "genzoo"), args.rounds, shared, 1)
    ratio = paired(results["genzoo"], results["usual"], "seconds")
    seconds = {name: median(results[name], "seconds") for name in results}
    rows = [
        (name, args.batch / value, 1000 * value, 1000 * median(results[name], "core"))
        for name, value in seconds.items()
    ]
    title = (
        f"VAE 784-{args.width}-{args.latents}, batch {args.batch}, loader included: {ratio:.2f} "
        "times the usual loop"
    )
    report(
        title,
        machine(args.device),
        ("loop", "images/s", "ms a step", "ms of a core"),
        rows,
        {"ratio": ratio, "rounds": results},
    )


if __name__ == "__main__":
    main()
