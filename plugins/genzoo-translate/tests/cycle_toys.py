"""A small CycleGAN with data of two sides, and what its runs leave behind, for test_cycle_*.py."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from genzoo_translate.cyclegan import CycleGAN, CycleGANConfig
from genzoo_translate.options import Cycle

from genzoo import Recipe
from genzoo.data import Images
from genzoo.rng import Rng
from genzoo.training import Batch
from genzoo.training.hardware import choose
from genzoo.training.loop import Run

SHAPE = (3, 8, 8)
RECIPE = Recipe(
    batch_size=2,
    steps=8,
    lr={"all": 2e-3},
    lr_decay=0.5,
    ema=0.9,
    precision="fp32",
    flip=True,
    game=Cycle(pool=4),
)


def tiny(**config):
    chosen = {"width": 2, "blocks": 1, "judge_width": 2, "patch_layers": 1, **config}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CycleGAN(CycleGANConfig(**{"source_shape": SHAPE, "image_shape": SHAPE, **chosen}))


def batch(n=3, first=SHAPE, second=SHAPE):
    return Batch(Rng(0, 0, n).uniform(*first).float(), other=Rng(1, 0, n).uniform(*second).float())


def sides(n=12, m=9):
    noise = np.random.default_rng(0)
    first, second = (noise.integers(0, 256, (k, *SHAPE), dtype=np.uint8) for k in (n, m))
    other = Images(pixels=second, name="sides", split="train")
    return Images(pixels=first, name="sides", split="train", other=other)


def start(folder, recipe=RECIPE, data=None, **config):
    """Return a run from the same weights every time."""
    folder.mkdir(exist_ok=True)
    return Run(tiny(**config).train(), recipe, data or sides(), choose(recipe, "cpu"), folder)


def finish(run, steps=RECIPE.steps):
    """Play on to `steps`, with a checkpoint after each round; return the losses of each."""
    told = []
    while run.step < steps:
        told.append({name: float(value) for name, value in run.play_round().items()})
        run.save()
    return told


def digest(run):
    """Return a digest of the weights, averages, moments and memories of a run."""
    summary = hashlib.sha256()
    states = [module.state_dict() for _, module in sorted(run.parts.items())]
    states += [slots for o in run.optimisers.values() for _, slots in sorted(o.state_dict()["state"].items())]
    for state in states:
        for key in sorted(state):
            summary.update(key.encode() + torch.as_tensor(state[key]).contiguous().numpy().tobytes())
    return summary.hexdigest()
