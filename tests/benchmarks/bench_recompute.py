"""Memory and time of a round with `recompute=true`, against one without.

    python tests/benchmarks/bench_recompute.py [--side 128] [--batch 16] [--rounds 3] [NAME ...]

Each measurement has a process of its own, whose peak of resident memory is read after its rounds, less what
it has before the first. The nets are as wide as their cards say, and every player moves once a round; images
are random.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import alike  # noqa: E402
from measure import machine, report  # noqa: E402

import genzoo  # noqa: E402
from genzoo.training.hardware import choose  # noqa: E402
from genzoo.training.loop import Run  # noqa: E402
from genzoo.training.parallel import World  # noqa: E402
from genzoo.training.train import build  # noqa: E402

NAMES = ("dcgan", "wgan-gp", "wgan-gp-resnet", "pix2pix-facades", "cyclegan-horse2zebra")


def now() -> float:
    """Return the bytes of memory that this process has at present."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def measured(name: str, side: int, batch: int, rounds: int, recompute: bool) -> dict[str, float]:
    """Return the most bytes that rounds of a card's game need, and the seconds of processor time of one."""
    card = genzoo.info(name)
    config = dict(card.config) | {"image_shape": (3, side, side)}
    if card.condition is not None:
        config["source_shape"] = (3, side, side)
    recipe = card.recipe.replace(batch_size=batch, recompute=recompute, turns={}, flip=False)
    card = alike.card_of(card, config)
    model = build(card, config, recipe)
    run = Run(model, recipe, alike.images_for(model, recipe), choose(recipe, "cpu"), Path("."), World())
    before = now()
    run.play_round()
    begun = time.process_time()
    for _ in range(rounds):
        run.play_round()
    spent = (time.process_time() - begun) / rounds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"memory": peak - before, "seconds": spent}


def main() -> None:
    """Measure each card in processes of their own, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=["plain", "again"], help="measure one, and print it as JSON")
    args = parser.parse_args()
    if args.one:
        (name,) = args.names
        print(json.dumps(measured(name, args.side, args.batch, args.rounds, args.one == "again")))
        return
    rows, results = [], {}
    for name in args.names:
        found = {}
        for one in ("plain", "again"):
            words = ["--side", args.side, "--batch", args.batch, "--rounds", args.rounds, "--one", one, name]
            done = subprocess.run(
                [sys.executable, __file__, *map(str, words)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                cwd=tempfile.mkdtemp(),
            )
            found[one] = json.loads(done.stdout.splitlines()[-1])
        plain, again = found["plain"], found["again"]
        results[name] = found
        print(name, found, file=sys.stderr, flush=True)
        rows.append(
            [
                name,
                f"{plain['memory'] / 1e6:,.0f} MB",
                f"{again['memory'] / 1e6:,.0f} MB",
                f"{again['memory'] / plain['memory']:.2f}",
                f"{again['seconds'] / plain['seconds']:.2f}",
            ]
        )
    columns = ["game", "without", "recompute=true", "memory", "time"]
    report(f"Recomputation, {args.side} pixels, batch {args.batch}", machine(), columns, rows, results)


if __name__ == "__main__":
    main()
