"""Three players, each with a loss of its own, in the loop that plays two."""

import torch

import genzoo
from genzoo import Recipe
from genzoo.rng import generator
from genzoo.training import Batch, players

NAMES = ["discriminator", "encoder", "generator"]


def test_there_are_three_players_and_each_learns_by_itself():
    model = genzoo.create("vaegan")
    images = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for player, name in zip(players(model, Recipe()), NAMES, strict=True):
        assert player.name == name and player.module is getattr(model, name)
        model.zero_grad()
        player.loss(Batch(images), generator(0)).backward(inputs=list(player.module.parameters()))
        moved = [part for part in NAMES if any(p.grad is not None for p in getattr(model, part).parameters())]
        assert moved == [name]


def test_a_run_plays_all_three(tmp_path):
    outcome = genzoo.train(
        "vaegan", out=tmp_path, steps=3, settings={"val_split": 0.0, "lr.encoder": 1e-3}, quiet=True
    )
    log = (tmp_path / "log.jsonl").read_text("utf-8")
    assert outcome.finished and all(f'"{name}"' in log for name in NAMES)
