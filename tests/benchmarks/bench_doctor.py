"""What the training doctor costs: the time of its looks, over fifty rounds, beside that of the rounds
themselves.

    python tests/benchmarks/bench_doctor.py --name dcgan-bedrooms

In process time, so that what else runs on the machine does not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from genzoo import zoo
from genzoo.training import hardware as machine
from genzoo.training.doctor import EXAMINED, GROWN_UP
from genzoo.training.loop import Run
from genzoo.training.memory import keep_freed_memory
from genzoo.training.plan import open_both, plan
from genzoo.training.train import build


def seconds(work, times: int) -> float:
    """Return the process time of one call of `work`, the mean of several."""
    begun = time.process_time()
    for number in range(times):
        work(number)
    return (time.process_time() - begun) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="dcgan-bedrooms")
    parser.add_argument("--data", help="by default the recipe's")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    card = zoo.info(given.name)
    recipe, config = plan(card, {}, data=given.data)
    train, _ = open_both(recipe.data, config, recipe.replace(val_split=0.0))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(build(card, config, recipe), recipe, train, machine.choose(recipe, "cpu"), Path(folder))
        losses = {name: float(loss) for name, loss in run.play_round().items()}
        step = seconds(lambda number: run.play_round(), given.rounds)
    run.doctor.look(GROWN_UP, losses)
    examination = seconds(lambda number: run.doctor.look(GROWN_UP + EXAMINED * (number + 1), losses), 10)
    look = seconds(lambda number: run.doctor.look(GROWN_UP + 1, losses), 1000)
    share = (examination / EXAMINED + look) / step
    print(
        f"{given.name}: a round {step * 1e3:.0f} ms, an examination {examination * 1e3:.1f} ms, a look "
        f"{look * 1e6:.0f} µs: {share:.2%}"
    )


if __name__ == "__main__":
    main()
