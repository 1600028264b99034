"""What every process of a torchrun group does for test_parallel.py; each writes what it found to
FOLDER/rank-N.json.

torchrun --nproc-per-node 2 two_processes.py FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import toys

from genzoo import zoo
from genzoo.catalogue import Entry
from genzoo.cli.samples import Order
from genzoo.cli.singles import write_single
from genzoo.experiments.cells import play_all
from genzoo.experiments.plan import Experiment
from genzoo.losses.minimax import discriminator_loss
from genzoo.training import loop
from genzoo.training import train as training
from genzoo.training.parallel import World, enter, leave, place, separate

FOLDER = Path(sys.argv[1])
HARD = {
    "turns.discriminator": 2,
    "ema": 0.9,
    "flip": True,
    "augment": "color,translation,cutout",
    "val_split": 0.0,
}
CELLS = Experiment(
    title="Two",
    data="digits",
    budget=4,
    n=12,
    metrics=("kid",),
    features="gist",
    model="toy-gan",
    settings={"image_size": "8x8", "channels": 1},
    columns={"one": {}, "two": {"objective": "minimax"}, "three": {"width": 5}},
)
opened: list[str] = []


def listen(event: str, arguments: tuple[object, ...]) -> None:
    writes = os.O_WRONLY | os.O_RDWR
    if event == "open" and str(arguments[0]).startswith(str(FOLDER)) and int(str(arguments[2])) & writes:
        opened.append(Path(str(arguments[0])).name)


def digest(run: loop.Run) -> str:
    """Return a digest of the weights, the statistics, the averages and the optimisers of this rank."""
    summary = hashlib.sha256()
    parts = [run.model.state_dict(), *(a.state_dict() for a in run.ema.modules.values())]
    parts += [slots for o in run.optimisers.values() for _, slots in sorted(o.state_dict()["state"].items())]
    for part in parts:
        for key in sorted(part):
            summary.update(key.encode() + torch.as_tensor(part[key]).contiguous().numpy().tobytes())
    return summary.hexdigest()


def train(name: str, steps: int, resume: bool = False, **settings: object) -> tuple[str, bool]:
    """Train the toy by the very door that people use; return the digest of what this rank ended with."""
    runs: list[loop.Run] = []
    play = training.play
    training.play = lambda run, *rest: runs.append(run) or play(run, *rest)
    outcome = zoo.train(
        "toy-gan",
        "digits",
        FOLDER / name,
        steps,
        resume=resume,
        settings={**HARD, **settings},
        device="cpu",
        quiet=True,
    )
    training.play = play
    return digest(runs[0]), outcome.weights is not None


def gradients(world: World) -> dict[str, float]:
    """Return how far the averaged gradients of the shares are from those of the whole batch, for a net
    without batch norm."""
    net = toys.gan(norm=False, dropout=0.0)
    noise = torch.Generator().manual_seed(0)
    real, z = torch.rand(16, 1, 8, 8, generator=noise), torch.randn(16, 4, generator=noise)

    def gradient(part: slice) -> list[torch.Tensor]:
        net.zero_grad()
        discriminator_loss(net._discriminate(real[part]), net._discriminate(net._decode(z[part]))).backward()
        if part != slice(None):
            world.average_gradients(net.parameters())
        return [p.grad.clone() for p in net.parameters()]

    alone, shared = gradient(slice(None)), gradient(world.share(16))
    off = max((a - b).abs().max().item() for a, b in zip(alone, shared, strict=True))
    return {"off": off, "size": max(a.abs().max().item() for a in alone)}


def main() -> None:
    training.Report.checkpoint = lambda self: None  # no sample grids: they are not what is tested here
    zoo.find = lambda name: Entry(toys.CARDS[name], None)
    sys.addaudithook(listen)
    world = enter(torch.device("cpu"))
    told = {"rank": world.rank, "world": world.size, "gradients": gradients(world)}
    told["agree"] = world.agree(False, world.rank == 1, True)
    told["mean"] = buffers(world)
    told["alike"] = [world.alike("one"), world.alike(f"rank {world.rank}")]
    told["whole"], told["published"] = train("whole", 6)
    told["half"], _ = train("halves", 3)
    told["halves"], _ = train("halves", 6, resume=True)
    told["spectral"], _ = train("spectral", 3, spectral=True)
    told["opened"] = sorted(set(opened))
    share_work(told)
    (FOLDER / f"rank-{world.rank}.json").write_text(json.dumps(told))
    leave(0)


def share_work(told: dict[str, object]) -> None:
    """Sample into one folder, each process its share, and do the cells of an experiment, each by itself."""
    world, model = separate(), toys.gan()
    told["apart"] = [place().size, world.size]

    def draw(row: int, first: int, n: int) -> Iterator[torch.Tensor]:
        return model.sample_batches(n, 0, first=first, dtype=torch.uint8)

    (FOLDER / "drawn").mkdir(exist_ok=True)
    order = Order("toy-gan", 40, 0)
    told["drawn"] = write_single(
        order, FOLDER / "drawn", "png", lambda n: draw, (model, world.rank, world.size)
    )
    said: list[str] = []
    results = list(play_all(CELLS, toys.CARDS, FOLDER / "cells", "cpu", said.append))[-1]
    told["cells"], told["said"] = [result.as_dict() for result in results], said


def buffers(world: World) -> list[float]:
    norm = torch.nn.BatchNorm1d(2)
    norm.running_mean.fill_(float(world.rank))
    world.average_buffers(norm)
    return norm.running_mean.tolist()


if __name__ == "__main__":
    main()
