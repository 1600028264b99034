"""A worker of `torchrun --max-restarts 3` that is killed by SIGKILL in each of its first attempts, at another
moment each time: see `MURDERS`. Used by test_restarts.py and bench_restarts.py:

torchrun --max-restarts 3 --nproc-per-node 2 restarted_processes.py NOTES MOMENT,MOMENT,… train dcgan …

MOMENT is RANK:NAME of a murder, or "-" for an attempt that nobody kills from inside. Each process writes its
number to NOTES/pid-ATTEMPT-RANK, and NOTES/playing-ATTEMPT is there once the attempt plays.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from genzoo.cli import main
from genzoo.training import checkpoint, loop
from genzoo.training import train as training
from genzoo.training.loop import Run

NOTES, MOMENTS = Path(sys.argv[1]), sys.argv[2].split(",")
ATTEMPT, RANK = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), os.environ["RANK"]
play = Run.play_round


def die(*arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_round() -> None:
    """Die between the gradients of a turn and their mean, after a checkpoint of three steps."""
    average = training.World.average_gradients
    rounds = [0]

    def averaged(world: training.World, parameters: object) -> None:
        rounds[0] += 1
        die() if rounds[0] == 9 else average(world, parameters)

    training.World.average_gradients = averaged


def in_a_checkpoint() -> None:
    """Die when half of a checkpoint is written."""
    write, files = checkpoint.atomic_write, [0]

    def half(path: Path, data: bytes) -> None:
        files[0] += 1
        if files[0] == 2:
            write(path, lambda file: (file.write(data[: len(data) // 2]), file.flush(), die()))
        write(path, data)

    checkpoint.atomic_write = half


def before_publishing() -> None:
    training.publish = die


def in_measuring() -> None:
    training.score_model = die


def at_the_start() -> None:
    training.open_both = die


MURDERS = {
    "start": at_the_start,
    "round": in_a_round,
    "checkpoint": in_a_checkpoint,
    "publishing": before_publishing,
    "measuring": in_measuring,
}


def noted(run: Run, *rest: object) -> object:
    (NOTES / f"playing-{ATTEMPT}").touch()
    return play(run, *rest)


if __name__ == "__main__":
    loop.FIRST_SECONDS = loop.CHECKPOINT_SECONDS = float(os.environ.get("SECONDS", "0"))
    Run.play_round = noted
    (NOTES / f"pid-{ATTEMPT}-{RANK}").write_text(str(os.getpid()))
    rank, _, name = (MOMENTS[ATTEMPT] if len(MOMENTS) > ATTEMPT else "-").partition(":")
    if rank == RANK:
        MURDERS[name]()
    sys.argv = ["genzoo", *sys.argv[3:]]
    main()
