"""A round of the official GANs on a GPU, with its turns recorded as CUDA graphs and without.

    python tests/benchmarks/bench_recorded_turns.py [NAME ...] [--rounds 60] [--warm 8] [--turns 0] [--device
    cuda]

Rounds of the recipe on random images in memory, one after the other without waiting for a loss; `--turns`
sets those of the critic.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from measure import machine, report

NAMES = ("dcgan-faces", "dcgan-mnist", "gan-mnist", "wgan-bedrooms", "wgan-gp-bedrooms")


def milliseconds(name: str, graphs: str, args: argparse.Namespace) -> float:
    """Return how long a round of the recipe of `name` takes."""
    import numpy as np
    import torch

    import genzoo
    from genzoo.data import Images
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run
    from genzoo.training.train import build

    card = genzoo.info(name)
    turns = {"turns": {"discriminator": args.turns}} if args.turns else {}
    recipe = card.recipe.replace(cuda_graphs=graphs, **turns)
    pixels = np.random.default_rng(0).integers(0, 256, (2048, *card.config["image_shape"]), np.uint8)
    model = build(card, card.config, recipe)
    run = Run(
        model,
        recipe,
        Images(pixels=pixels, name="random"),
        choose(recipe, args.device),
        Path(tempfile.mkdtemp()),
    )
    # a CPU records nothing: both columns are alike
    wait = torch.cuda.synchronize if args.device != "cpu" else lambda: None
    for _ in range(args.warm):
        run.play_round()
    wait()
    begun = time.perf_counter()
    for _ in range(args.rounds):
        run.play_round()
    wait()
    return 1e3 * (time.perf_counter() - begun) / args.rounds


def main() -> None:
    """Measure each model both ways, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--warm", type=int, default=8)
    parser.add_argument("--turns", type=int, default=0)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    rows = []
    for name in args.names:
        off, recorded = (milliseconds(name, graphs, args) for graphs in ("off", "auto"))
        rows.append((name, off, recorded, off / recorded))
    columns = ("recipe", "ms a round, off", "recorded", "times as fast")
    report("Turns recorded as CUDA graphs", machine(args.device), columns, rows, {"rows": rows})


if __name__ == "__main__":
    main()
