"""Fine-tuning: KID on a kind of picture that a model has not seen, step by step, from its published weights
and from random ones.

    python tests/benchmarks/bench_fine_tuning.py dcgan-bedrooms --data rooms --kind kitchen [-n 200]
        [--steps 2000] [--every 250] [--seeds 3] [--freeze 0] [--only 500] [--rest]

`-n` pictures of one kind are the training set; the held-out pictures of that kind, at most `--only`, are what
samples are compared with. `--rest` holds out the kind's other training pictures instead, for a data set with
few others; the training pictures are then drawn by lot. Both starts see the same pictures in the same order
and have the recipe of the card; only the initial weights differ, and `--freeze`, which random weights do not
have. Each line is KID in the features of gist, mean and standard deviation over the seeds. The features are
standardised by training pictures of all kinds: a few of one kind leave some features almost constant.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, report

STARTS = ("published", "random")


def pictures(args: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Return the training pictures of the kind, the held-out ones, and the training pictures of all kinds, in
    the size of the model."""
    from genzoo import info
    from genzoo.data.opening import open_both

    shape = info(args.name).config["image_shape"]
    train, test = open_both(args.data, image_shape=shape, val_split=0.1, validation=False)
    few = train.of_class(args.kind)
    if len(few) < args.n:
        raise SystemExit(f"{args.data} has {len(few)} training pictures of {args.kind}, fewer than {args.n}")
    order = np.random.default_rng(0).permutation(len(few)) if args.rest else np.arange(len(few))
    held_out = few.subset(order[args.n :]) if args.rest else test.of_class(args.kind)
    return few.subset(order[: args.n]), held_out.subset(range(min(args.only, len(held_out)))), train


def run_of(args: argparse.Namespace, start: str, seed: int, images: Any, folder: Path) -> Any:
    """Return a run at step 0 that starts from published or random weights."""
    from genzoo import info
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run
    from genzoo.training.plan import plan
    from genzoo.training.starting import starting, take
    from genzoo.training.train import build

    origin, card = starting(args.name, folder, info(args.name))
    frozen = {"freeze": args.freeze} if args.freeze and start == "published" else {}
    recipe, config = plan(card, {"seed": seed, **frozen}, steps=args.steps)
    model = build(card, config, recipe)
    if start == "published":
        take(model, card.condition, origin)
    return Run(model, recipe, images, choose(recipe, args.device), folder)


def curve(
    args: argparse.Namespace, start: str, seed: int, few: Any, held_out: Any, every: Any
) -> Iterator[float]:
    """Yield the KID at step 0, `every`, 2·`every`, … of one run."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_of(args, start, seed, few, Path(folder))
        for step in range(args.steps + 1):
            if step % args.every == 0:
                yield kid_of(run.ema.finished(run.model, run.players, run.feed), every, held_out)
            if step < args.steps:
                run.play_round()


def kid_of(model: Any, every: Any, held_out: Any) -> float:
    """Return the KID of samples of `model` against the held-out pictures; `every` standardises the
    features."""
    from genzoo.evaluation.scoring import score_model
    from genzoo.request import Request

    asked = Request(draws=(), metrics=("kid",), features="gist")
    found = score_model(model, every, held_out, asked, subject="samples")
    return next(record.value for record in found if record.subject == "samples")


def main() -> None:
    """Measure every start with every seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", help="a model with published weights, or the folder of a run")
    parser.add_argument("--data", required=True, help="labelled pictures, as for genzoo train")
    parser.add_argument("--kind", required=True, help="the label whose pictures are used")
    parser.add_argument("-n", type=int, default=200, help="training pictures")
    parser.add_argument("--only", type=int, default=500, help="held-out pictures, at most")
    parser.add_argument("--rest", action="store_true", help="hold out other training pictures of the kind")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--freeze", type=int, default=0, help="first blocks of D that keep their weights")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    few, held_out, every = pictures(args)
    found: dict[str, list[list[float]]] = {start: [] for start in STARTS}
    for seed in range(args.seeds):
        for start in STARTS:
            found[start].append(list(curve(args, start, seed, few, held_out, every)))
            print(
                f"seed {seed}, {start}: {' '.join(f'{value:.3f}' for value in found[start][-1])}", flush=True
            )
    rows = []
    for place, values in enumerate(zip(*(zip(*found[start], strict=True) for start in STARTS), strict=True)):
        rows.append((place * args.every, *(words(list(of_one)) for of_one in values)))
    title = f"KID of {args.name} on {args.n} pictures of {args.kind}, against {len(held_out)} held-out ones"
    report(title, machine(), ("step", *STARTS), rows, {"curves": found})


def words(values: list[float]) -> str:
    """Return a mean and the standard deviation over the seeds."""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


if __name__ == "__main__":
    main()
