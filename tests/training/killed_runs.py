"""Runs that are killed by SIGKILL, at chosen moments and at any, and resumed; prints their last checkpoints'
digests as JSON.

Every run is a fork of this process, which itself has never computed a gradient. Used by test_checkpoint.py:

    python killed_runs.py FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import toys

from genzoo import files
from genzoo.data import open_data
from genzoo.training import checkpoint, loop
from genzoo.training.hardware import choose
from genzoo.training.loop import Run, play
from genzoo.training.train import build

STEPS = 12
HARD = {
    "turns": {"discriminator": 2},
    "ema": 0.9,
    "flip": True,
    "augment": ("color", "translation", "cutout"),
    "steps": STEPS,
}
HARD |= {"soft_labels": 0.3, "flipped_labels": 0.1, "instance_noise": 0.1, "replay": 0.5, "classes": 10}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def between_turns(run: Run, step: int) -> None:
    turn = run._turn
    run._turn = lambda player, *rest: (
        die() if (run.step, player.name) == (step, "generator") else turn(player, *rest)
    )


def half_written(run: Run, step: int) -> None:
    write = checkpoint.atomic_write

    def half(path, data):
        if run.step == step:
            write(path, lambda file: (file.write(data[: len(data) // 2]), file.flush(), die()))
        return write(path, data)

    checkpoint.atomic_write = half


def before_rename(run: Run, step: int) -> None:
    rename = files.os.replace
    files.os.replace = lambda a, b: die() if run.step == step else rename(a, b)


def after_rename(run: Run, step: int) -> None:
    flush = files._flush_folder
    files._flush_folder = lambda folder: die() if run.step == step else flush(folder)


def train(folder: Path, data, precision: str, resume: bool, murder=None, step: int = 0) -> None:
    recipe = toys.recipe_of(toys.RECIPE, precision=precision, **HARD)
    run = Run(build(toys.CARDS["toy-gan"], {}, recipe), recipe, data, choose(recipe, "cpu"), folder)
    if resume:
        run.resume()
    if murder is not None:
        murder(run, step)
    play(run, lambda losses: None, lambda: None, lambda: False)


def child(*arguments, **options) -> int:
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        train(*arguments, **options)
        status = 0
    finally:
        os._exit(status)


def status_of(number: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def at_any_moment(folder: Path, data, precision: str, dice: random.Random) -> int:
    """Kill a resumed run from outside, a random moment after it began."""
    number = child(folder, data, precision, resume=True)
    time.sleep(dice.uniform(0.0, 0.25))
    os.kill(number, signal.SIGKILL)
    return status_of(number)


def digest(folder: Path) -> tuple[str, int]:
    tensors, facts = checkpoint.read(folder / checkpoint.NAME)
    summary = hashlib.sha256()
    for key in sorted(tensors):
        summary.update(key.encode() + tensors[key].contiguous().numpy().tobytes())
    return summary.hexdigest(), facts.step


def main(root: Path) -> None:
    loop.CHECKPOINT_SECONDS = -1.0  # after every round
    data = open_data("digits", val_split=0)
    told = {}
    for precision in ("fp32", "bf16"):
        whole, killed = root / f"{precision}-whole", root / f"{precision}-killed"
        whole.mkdir()
        killed.mkdir()
        ends = [status_of(child(whole, data, precision, resume=False))]
        murders = [(between_turns, 2), (half_written, 4), (before_rename, 6), (after_rename, 8)]
        reached = []
        for index, (murder, step) in enumerate(murders):
            ends.append(status_of(child(killed, data, precision, resume=index > 0, murder=murder, step=step)))
            reached.append(digest(killed)[1])
        dice = random.Random(precision)
        ends += [at_any_moment(killed, data, precision, dice) for _ in range(2)]
        ends.append(status_of(child(killed, data, precision, resume=True)))
        told[precision] = {"ends": ends, "reached": reached, "whole": digest(whole), "killed": digest(killed)}
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
