"""Runs of a small BEGAN in processes of their own, for test_began_runs.py.

python began_runs.py whole FOLDER               prints a digest of where an uninterrupted run ends
python began_runs.py killed FOLDER              is killed by SIGKILL in the middle of a round
python began_runs.py resumed FOLDER             continues it, and prints the same digest
torchrun --nproc-per-node 2 began_runs.py pair FOLDER     writes FOLDER/rank-N.json
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import torch
from genzoo_began.began import BEGAN, BEGANConfig
from genzoo_began.game import Balance
from genzoo_began.options import Equilibrium

from genzoo import Recipe
from genzoo.data import open_data
from genzoo.training import Batch
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.parallel import World, enter, leave

STEPS, KILLED = 8, 5  # rounds in all; in round 5 the run is killed, after D's turn
RECIPE = Recipe(
    batch_size=8,
    steps=STEPS,
    lr={"all": 2e-3},
    ema=0.9,
    precision="fp32",
    flip=True,
    turns={"discriminator": 2},
    game=Equilibrium(k_rate=0.05),
)


def start(folder, world=None, recipe=RECIPE, kind=BEGAN):
    """Return a run on the embedded digits, from the same weights every time."""
    folder.mkdir(exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(BEGANConfig(image_shape=(1, 8, 8), width=4, latent_size=6))
    data = open_data("digits", val_split=0)
    return Run(model.train(), recipe, data, choose(recipe, "cpu"), folder, world or World())


def finish(run, steps=STEPS):
    """Play on, with a checkpoint after each round; return the curves of each."""
    told = []
    while run.step < steps:
        told.append({name: float(value) for name, value in run.play_round().items()})
        run.save()
    return told


def digest(run):
    """Return a digest of the weights, averages, moments and memory of a run."""
    summary = hashlib.sha256()
    states = [module.state_dict() for _, module in sorted(run.parts.items())]
    states += [slots for o in run.optimisers.values() for _, slots in sorted(o.state_dict()["state"].items())]
    for state in states:
        for key in sorted(state):
            summary.update(key.encode() + torch.as_tensor(state[key]).contiguous().numpy().tobytes())
    return summary.hexdigest()


def killed(folder):
    run = start(folder)
    turn = run._turn

    def deadly(player, *rest):
        if (run.step, player.name) == (KILLED, "generator"):
            os.kill(os.getpid(), signal.SIGKILL)
        return turn(player, *rest)

    run._turn = deadly
    finish(run)


def shares(world):
    """Return k after four rounds of losses that differ between the processes, and what one process that has
    all of them makes of it; the first two would clip k on one process alone."""
    losses = torch.tensor([[[0.9, 0.1], [0.1, 0.9]], [[0.2, 0.6], [0.9, 0.1]], [[1.0, 0.2], [0.8, 0.1]]])
    ours, alone = (Balance(Equilibrium(k_rate=0.5)) for _ in range(2))
    found = []
    for per_rank in losses:
        for balance, (real, fake) in ((ours, per_rank[world.rank]), (alone, per_rank.mean(0))):
            balance.real.copy_(real), balance.fake.copy_(fake)
        world.average_buffers(ours)
        found.append([*map(float, (*ours.settle().values(), *alone.settle().values()))])
    return found


def gradient(world):
    """Return the gradient of L_D for given images and fakes, of the whole batch and as the mean of the
    shares."""
    run = start(FOLDER / f"gradient-{world.rank}")
    game = run.players[0].loss.__self__
    noise = torch.Generator().manual_seed(0)
    images, fakes = torch.rand(2, 8, 1, 8, 8, generator=noise)
    game.balance.k.fill_(0.7)
    found = []
    for part, size in ((slice(None), 1), (world.share(8), 2)):
        game._drawn = lambda batch, rng, part=part: fakes[part]
        run._gradients(run.players[0], noise, Batch(images[part]))
        if size > 1:
            world.average_gradients(run.model.discriminator.parameters())
        found.append(torch.cat([p.grad.flatten().clone() for p in run.model.discriminator.parameters()]))
    return [float(found[0].abs().max()), float((found[0] - found[1]).abs().max())]


def pair(folder):
    world = enter(torch.device("cpu"))
    told = {"shares": shares(world), "gradient": gradient(world)}
    run = start(folder / "whole", world)
    told["curves"], told["whole"] = finish(run), digest(run)
    finish(start(folder / "halves", world), KILLED)
    world.largest(0)  # rank 0 has written its checkpoint before any other reads it
    run = start(folder / "halves", world)
    run.resume()
    told["again"], told["halves"] = finish(run), digest(run)
    (folder / f"rank-{world.rank}.json").write_text(json.dumps(told))
    leave(0)


if __name__ == "__main__":
    WHAT, FOLDER = sys.argv[1], Path(sys.argv[2])
    if WHAT == "pair":
        pair(FOLDER)
    elif WHAT == "killed":
        killed(FOLDER)
    else:
        run = start(FOLDER)
        if WHAT == "resumed":
            run.resume()
        print(json.dumps({"from": run.step, "curves": finish(run), "digest": digest(run)}))
