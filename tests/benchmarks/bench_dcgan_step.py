"""One training iteration of a 64 × 64 DCGAN: genzoo's loop against the usual one, the same nets and batch, in
turn.

    python tests/benchmarks/bench_dcgan_step.py [--width 64] [--discriminator-width 64] [--batch 64] [--rounds
    10] [--device cpu]

The usual loop is the recipe of the best-known examples, written here from scratch: float32, NCHW, sigmoid and
binary cross-entropy, real and fake images each with its own backward pass, a generator update whose backward
pass fills D's gradients as well, Adam as it is by default. Images are random and in memory: no loader is
measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import WORKER, machine, median, paired, report, serve, take_turns

IMAGES, SHAPE, LATENT = 1024, (3, 64, 64), 100


def usual(args: argparse.Namespace) -> Callable[[], None]:
    """Return one iteration of the usual loop."""
    import torch
    from torch import nn

    def scaled(module: nn.Module) -> None:
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)

    device = torch.device(args.device)
    g, d = args.width, args.discriminator_width
    up = [nn.ConvTranspose2d(LATENT, 8 * g, 4, 1, 0, bias=False), nn.BatchNorm2d(8 * g), nn.ReLU(True)]
    down = [nn.Conv2d(3, d, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    for a in (8, 4, 2):
        up += [
            nn.ConvTranspose2d(a * g, a * g // 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(a * g // 2),
            nn.ReLU(True),
        ]
        b = 8 // a
        down += [
            nn.Conv2d(b * d, 2 * b * d, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * b * d),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    generator = nn.Sequential(*up, nn.ConvTranspose2d(g, 3, 4, 2, 1, bias=False), nn.Tanh()).to(device)
    discriminator = nn.Sequential(*down, nn.Conv2d(8 * d, 1, 4, 1, 0, bias=False), nn.Sigmoid()).to(device)
    generator.apply(scaled)
    discriminator.apply(scaled)
    criterion = nn.BCELoss()
    to_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    to_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    images = torch.rand(IMAGES, *SHAPE) * 2 - 1
    number = 0

    def step() -> None:
        nonlocal number
        first = number * args.batch % (IMAGES - args.batch + 1)
        number += 1
        discriminator.zero_grad()
        real = images[first : first + args.batch].to(device)
        label = torch.full((args.batch,), 1.0, device=device)
        error_real = criterion(discriminator(real).view(-1), label)
        error_real.backward()
        fake = generator(torch.randn(args.batch, LATENT, 1, 1, device=device))
        label.fill_(0.0)
        error_fake = criterion(discriminator(fake.detach()).view(-1), label)
        error_fake.backward()
        to_d.step()
        generator.zero_grad()
        label.fill_(1.0)
        error_g = criterion(discriminator(fake).view(-1), label)
        error_g.backward()
        to_g.step()
        (error_real + error_fake).item(), error_g.item()

    return step


def genzoo(args: argparse.Namespace) -> Callable[[], None]:
    """Return one round of genzoo's loop with its defaults: what `genzoo train` does between two lines of
    progress."""
    import numpy as np

    from genzoo import Recipe, create
    from genzoo.data import Images
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run
    from genzoo.training.memory import keep_freed_memory

    recipe = Recipe(data="random", steps=10**9, batch_size=args.batch, lr={"all": 2e-4}, betas=(0.5, 0.999))
    settings = choose(recipe, args.device)
    if settings.device.type == "cpu":
        keep_freed_memory()  # as genzoo.training.train does
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, *SHAPE), np.uint8)
    model = create("dcgan", image_shape=SHAPE, width=args.width, discriminator_width=args.discriminator_width)
    run = Run(model, recipe, Images(pixels=pixels, name="random"), settings, Path(tempfile.gettempdir()))

    def step() -> None:
        {name: float(loss) for name, loss in run.play_round().items()}

    return step


def timed(step: Callable[[], None], device: str) -> Callable[[], dict[str, float]]:
    """Return a measurement of `step` in seconds."""
    import torch

    def measure() -> dict[str, float]:
        begun = time.perf_counter()
        step()
        if device != "cpu":
            torch.cuda.synchronize()
        return {"seconds": time.perf_counter() - begun}

    return measure


def main() -> None:
    """Measure, or be one of the two workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--discriminator-width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--warm", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(WORKER, choices=("usual", "genzoo"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(timed({"usual": usual, "genzoo": genzoo}[args.worker](args), args.device))
        return
    shared = [
        "--width",
        args.width,
        "--discriminator-width",
        args.discriminator_width,
        "--batch",
        args.batch,
        "--device",
        args.device,
    ]
    results = take_turns(("usual", "genzoo"), args.rounds, [str(word) for word in shared], args.warm)
    ratio = paired(results["genzoo"], results["usual"], "seconds")
    seconds = {name: median(results[name], "seconds") for name in results}
    rows = [(name, args.batch / value, value) for name, value in seconds.items()]
    nets = f"64 × 64, widths {args.width}/{args.discriminator_width}, batch {args.batch}"
    title = f"DCGAN step, {nets}: {ratio:.2f} times the usual loop"
    columns = ("loop", "images/s", "seconds a step")
    report(title, machine(args.device), columns, rows, {"ratio": ratio, "rounds": results})


if __name__ == "__main__":
    main()
