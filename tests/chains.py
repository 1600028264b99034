"""Chains of trainings: one line, killed by SIGKILL at random moments and repeated with --resume=auto until it
is done.

The weights must be those of the run that was left in peace, to the bit, and nothing half-written may lie
about. Every process is a fork of this one, which has imported what is slow and has never computed a gradient.

Needs Linux, whose /proc tells how far a process is.

    python tests/chains.py COUNT [FAMILY ...]       prints as JSON, by family: chains, kills, and what went
    wrong
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import class_toys
import torch._dynamo  # by the first optimiser otherwise, and that is a matter of seconds
import toys
from torch import nn
from torch.nn.functional import mse_loss

from genzoo.data import open_data
from genzoo.training import Batch, loop
from genzoo.training.players import Player, players
from genzoo.training.report import Report
from genzoo.training.train import train

STEPS, KILLS = 12, 3
NUDGES = {"ema": 0.9, "flip": True}
GAME = {
    "turns.discriminator": 2,
    "augment": "color,translation",
    "replay": 0.5,
    "soft_labels": 0.3,
    "instance_noise": 0.1,
}


class Denoiser(toys.Coder):
    """An autoencoder with a game: images come back from noisy ones, with dropout on the codes."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.drop = nn.Dropout(config.dropout)


@players.register
def denoiser_players(model: Denoiser, recipe: Any) -> Sequence[Player]:
    """Return the one player that learns to take noise away."""

    def loss(batch: Batch, rng: torch.Generator) -> torch.Tensor:
        images = batch.images
        spoilt = images + 0.1 * torch.randn(images.shape, generator=rng)
        return mse_loss(model._decode(model.drop(model._encode(spoilt))), images)

    return [Player(name="coder", module=model, loss=loss)]


@dataclass(frozen=True)
class Family:
    """What is trained, and its settings."""

    card: Any
    settings: dict[str, Any]


FAMILIES = {
    "tractable": Family(toys.CARDS["coin"], NUDGES),
    "approximate": Family(toys.CARDS["coins"].replace(recipe=toys.RECIPE), NUDGES),
    "implicit": Family(toys.CARDS["toy-gan"], NUDGES | GAME),
    "autoencoder": Family(toys.CARDS["coder"].replace(model="chains:Denoiser", recipe=toys.RECIPE), NUDGES),
    "classifier": Family(class_toys.CARD, NUDGES),
}


def line(family: Family, data: Any, folder: Path) -> None:
    """Train, or go on, or find that all is done."""
    settings = {**family.settings, "val_split": 0.0}
    done = train(
        family.card,
        data,
        folder,
        STEPS,
        resume="auto",
        settings=settings,
        device="cpu",
        quiet=True,
        scored=False,
    )
    assert done.finished and done.step == STEPS and done.weights is not None


def child(family: Family, data: Any, folder: Path, patience: float = 0.0) -> tuple[int, float]:
    """Run the line in a fork, killed after `patience` seconds of computing (0: never); return its exit code,
    and how long it computed."""
    number = os.fork()
    if not number:
        status = 1
        try:
            with open(folder.with_suffix(".err"), "a") as told:
                os.dup2(told.fileno(), 2)
            line(family, data, folder)
            status = 0
        except BaseException:  # noqa: BLE001 - told by whoever asks why
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    while patience and os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if computed(number) >= patience:
            os.kill(number, signal.SIGKILL)
            break
        time.sleep(0.0005)
    _, status, used = os.wait4(number, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def computed(number: int) -> float:
    """Return for how many seconds a process has computed: on a busy machine the same moment of its work comes
    later."""
    return int(Path(f"/proc/{number}/schedstat").read_text().split()[0]) / 1e9


def weights_of(folder: Path, family: Family) -> str:
    """Return the digest of what a finished run has published; everything that belongs together must agree."""
    from genzoo.ledger import read_rows

    row = read_rows(folder / "zoo.toml")[family.card.name]
    data = (folder / row.sources[0].removeprefix("folder:")).read_bytes()
    assert hashlib.sha256(data).hexdigest() == row.sha256
    return row.sha256


def left_over(folder: Path) -> list[str]:
    """Return what a finished run must not leave: temporary files, and rehearsals."""
    return sorted(
        path.name
        for path in folder.rglob("*")
        if path.name.endswith((".tmp", ".part")) or "rehearsal" in path.name
    )


def chain(
    family: Family, data: Any, folder: Path, whole: str, seconds: float, dice: random.Random
) -> tuple[int, str]:
    """Return how often one chain was killed, and "" or what is wrong with its end."""
    killed = 0
    for _ in range(KILLS):
        end, _ = child(family, data, folder, dice.uniform(0.05, 0.95) * seconds)
        if end not in (0, -signal.SIGKILL):
            return killed, f"it ended with {end}: {folder.with_suffix('.err').read_text()[-500:]}"
        killed += end != 0
    if end := child(family, data, folder)[0]:
        return killed, f"it cannot go on ({end}): {folder.with_suffix('.err').read_text()[-500:]}"
    if weights_of(folder, family) != whole:
        return killed, "other weights than those of the run that was left in peace"
    steps = [json.loads(text)["step"] for text in (folder / "log.jsonl").read_text().splitlines()]
    if steps != list(range(1, STEPS + 1)):
        return killed, f"its log holds the steps {steps}"
    left = left_over(folder)
    return killed, f"left over: {left}" if left else ""


def chains(name: str, count: int, root: Path, seed: int = 0) -> dict[str, Any]:
    """Return what came of `count` chains of a family."""
    loop.FIRST_SECONDS = loop.CHECKPOINT_SECONDS = 0.0  # after every round
    # no sample grids: they are not what is tested here
    Report.checkpoint = lambda self: None  # type: ignore[method-assign]
    family, data = FAMILIES[name], open_data("digits", val_split=0)
    if name in ("tractable", "approximate"):
        data = data.replace(pixels=(data.pixels > 127).astype("uint8") * 255)
    root.mkdir(parents=True, exist_ok=True)
    for number in range(2):  # the first is the slower one
        end, seconds = child(family, data, root / f"whole-{number}")
        assert end == 0, (root / f"whole-{number}.err").read_text()
    whole, dice, killed, wrong = weights_of(root / "whole-0", family), random.Random(f"{name} {seed}"), 0, []
    for number in range(count):
        folder = root / f"chain-{number}"
        kills, told = chain(family, data, folder, whole, seconds, dice)
        killed += kills
        wrong += [f"{name} chain {number}: {told}"] if told else []
        shutil.rmtree(folder, ignore_errors=True)
    return {"chains": count, "killed": killed, "wrong": wrong}


def main(words: list[str]) -> int:
    """Run the chains and print what came of them; return how many went wrong."""
    count, *names = words
    told = {}
    with tempfile.TemporaryDirectory() as room:
        os.environ["GENZOO_CACHE"] = f"{room}/cache"
        for name in names or FAMILIES:
            told[name] = chains(name, int(count), Path(room) / name)
    print(json.dumps(told))
    return min(100, sum(len(one["wrong"]) for one in told.values()))


if __name__ == "__main__":
    sys.modules["chains"] = sys.modules["__main__"]  # as which the cards name it
    sys.exit(main(sys.argv[1:]))
