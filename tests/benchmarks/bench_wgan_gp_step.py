"""A critic update with its gradient penalty and a generator update of a 64 × 64 WGAN-GP: genzoo's loop
against the usual one, in turn.

    python tests/benchmarks/bench_wgan_gp_step.py [--width 64] [--discriminator-width 64] [--norm layer]
    [--critic 1] [--rounds 8]

The same nets and batch. The usual loop is that of the best-known examples, written here from scratch:
float32, NCHW, a backward pass each for real images, fakes and the penalty, its gradients by autograd.grad
with create_graph, new fakes for the generator, whose backward pass fills the critic's gradients as well, Adam
as it is by default. Images are random and in memory: no loader is measured.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench_dcgan_step import IMAGES, LATENT, SHAPE, timed
from measure import WORKER, machine, median, paired, report, serve, take_turns

PENALTY, RATE, BETAS = 10.0, 1e-4, (0.0, 0.9)


def usual(args: argparse.Namespace) -> Callable[[], None]:
    """Return one iteration of the usual loop."""
    import torch
    from torch import nn

    device = torch.device(args.device)
    norm = {"layer": lambda width: [nn.GroupNorm(1, width)], "none": lambda width: []}[args.norm]
    g, d = args.width, args.discriminator_width
    up = [nn.ConvTranspose2d(LATENT, 8 * g, 4, 1, 0, bias=False), nn.BatchNorm2d(8 * g), nn.ReLU(True)]
    down = [nn.Conv2d(3, d, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for a in (8, 4, 2):
        up += [
            nn.ConvTranspose2d(a * g, a * g // 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(a * g // 2),
            nn.ReLU(True),
        ]
        b = 8 // a
        down += [nn.Conv2d(b * d, 2 * b * d, 4, 2, 1), *norm(2 * b * d), nn.LeakyReLU(0.2, inplace=True)]
    generator = nn.Sequential(*up, nn.ConvTranspose2d(g, 3, 4, 2, 1), nn.Tanh()).to(device)
    critic = nn.Sequential(*down, nn.Conv2d(8 * d, 1, 4, 1, 0)).to(device)
    for net in (generator, critic):
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0.0, 0.02)
    to_critic = torch.optim.Adam(critic.parameters(), lr=RATE, betas=BETAS)
    to_generator = torch.optim.Adam(generator.parameters(), lr=RATE, betas=BETAS)
    images = torch.rand(IMAGES, *SHAPE) * 2 - 1
    number = 0

    def penalty(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        alpha = torch.rand(len(real), 1, 1, 1, device=device)
        points = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        values = critic(points)
        (slope,) = torch.autograd.grad(
            values, points, torch.ones_like(values), create_graph=True, retain_graph=True
        )
        return PENALTY * ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()

    def criticise() -> None:
        nonlocal number
        first = number * args.batch % (IMAGES - args.batch + 1)
        number += 1
        real = images[first : first + args.batch].to(device)
        critic.zero_grad()
        of_real = -critic(real).mean()
        of_real.backward()
        fake = generator(torch.randn(args.batch, LATENT, 1, 1, device=device)).detach()
        of_fake = critic(fake).mean()
        of_fake.backward()
        steepness = penalty(real, fake)
        steepness.backward()
        to_critic.step()
        (of_real + of_fake).item(), steepness.item()

    def step() -> None:
        for _ in range(args.critic):
            criticise()
        generator.zero_grad()
        loss = -critic(generator(torch.randn(args.batch, LATENT, 1, 1, device=device))).mean()
        loss.backward()
        to_generator.step()
        loss.item()

    return step


def genzoo(args: argparse.Namespace) -> Callable[[], None]:
    """Return one round of genzoo's loop with its defaults: what `genzoo train` does between two lines of
    progress."""
    import numpy as np

    from genzoo import Adversarial, Recipe, create
    from genzoo.data import Images
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run
    from genzoo.training.memory import keep_freed_memory

    recipe = Recipe(
        data="random",
        steps=10**9,
        batch_size=args.batch,
        lr={"all": RATE},
        betas=BETAS,
        game=Adversarial(objective="wasserstein", gp_weight=PENALTY),
        turns={"discriminator": args.critic},
    )
    settings = choose(recipe, args.device)
    if settings.device.type == "cpu":
        keep_freed_memory()  # as genzoo.training.train does
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, *SHAPE), np.uint8)
    widths = {"width": args.width, "discriminator_width": args.discriminator_width}
    model = create("wgan-gp", image_shape=SHAPE, discriminator_norm=args.norm, **widths)
    run = Run(model, recipe, Images(pixels=pixels, name="random"), settings, Path(tempfile.gettempdir()))

    def step() -> None:
        {name: float(loss) for name, loss in run.play_round().items()}

    return step


def main() -> None:
    """Measure, or be one of the two workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--discriminator-width", type=int, default=64)
    parser.add_argument("--norm", choices=("layer", "none"), default="layer")
    parser.add_argument("--critic", type=int, default=1, help="critic updates a step")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(WORKER, choices=("usual", "genzoo"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve(timed({"usual": usual, "genzoo": genzoo}[args.worker](args), args.device))
        return
    keys = ("width", "discriminator_width", "norm", "critic", "batch", "device")
    shared = [word for key in keys for word in (f"--{key.replace('_', '-')}", str(getattr(args, key)))]
    results = take_turns(("usual", "genzoo"), args.rounds, shared, args.warm)
    ratio = paired(results["genzoo"], results["usual"], "seconds")
    seconds = {name: median(results[name], "seconds") for name in results}
    rows = [(name, args.batch / value, value) for name, value in seconds.items()]
    nets = (
        f"64 × 64, widths {args.width}/{args.discriminator_width}, {args.norm} norm, batch "
        f"{args.batch}, {args.critic} critic update(s)"
    )
    title = f"WGAN-GP step, {nets}: {ratio:.2f} times the usual loop"
    columns = ("loop", "images/s", "seconds a step")
    report(title, machine(args.device), columns, rows, {"ratio": ratio, "rounds": results})


if __name__ == "__main__":
    main()
