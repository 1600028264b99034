"""One line, repeated until it is done, of which most processes die by SIGKILL; prints as JSON what came of
it.

Every process is a fork of this one, which itself has never computed a gradient. Used by test_beginning.py:

    python requeued_runs.py FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import toys

from genzoo import zoo
from genzoo.catalogue import Entry
from genzoo.show import write_messages
from genzoo.training import loop
from genzoo.training import train as training
from genzoo.training.report import Report

STEPS = 24
HARD = {
    "turns.discriminator": 2,
    "ema": 0.9,
    "flip": True,
    "augment": "color,translation",
    "replay": 0.5,
    "val_split": 0.0,
}


def line(folder: Path) -> None:
    outcome = zoo.train(
        "toy-gan", "digits", folder, STEPS, resume="auto", settings=HARD, device="cpu", quiet=True
    )
    assert outcome.finished and outcome.step == STEPS and outcome.weights is not None


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_round(step: int) -> None:
    """Die after a round was logged, before it is in a checkpoint."""
    play = Report.round
    Report.round = lambda self, losses: (play(self, losses), self.run.step == step and die())


def after_saving(step: int) -> None:
    """Die after the checkpoint was written, before anything is told of it."""
    Report.checkpoint = lambda self: die() if self.run.step == step else None


def before_publishing() -> None:
    training.publish = lambda *arguments: die()


def child(folder: Path, murder=lambda: None) -> int:
    number = os.fork()
    if number:
        return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    status = 1
    try:
        murder()
        line(folder)
        status = 0
    finally:
        os._exit(status)


def main(root: Path) -> None:
    write_messages()  # as the command line does
    loop.FIRST_SECONDS = loop.CHECKPOINT_SECONDS = 0.0  # after every round
    Report.checkpoint = lambda self: None  # no sample grids: they are not what is tested here
    zoo.find = lambda name: Entry(toys.CARDS[name], None)
    murders = [
        lambda: in_round(1),
        lambda: in_round(5),
        lambda: after_saving(9),
        lambda: after_saving(10),
        lambda: in_round(17),
    ]
    ends = [child(root / "whole")]
    ends += [child(root / "killed", murder) for murder in murders]
    ends += [
        child(root / "killed", before_publishing),
        child(root / "killed"),
        child(root / "killed", before_publishing),
    ]
    steps = [json.loads(text)["step"] for text in (root / "killed" / "log.jsonl").read_text().splitlines()]
    weights = [next((root / name).glob("toy-gan-*.safetensors")).read_bytes() for name in ("whole", "killed")]
    left = sorted(path.name for path in (root / "killed").iterdir() if path.name.endswith(".tmp"))
    print(json.dumps({"ends": ends, "steps": steps, "same": weights[0] == weights[1], "left": left}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
