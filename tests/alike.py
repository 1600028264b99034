"""Play the games of the cards at a tiny size, in one process or in several, and compare the weights.

torchrun --nproc-per-node N alike.py FOLDER CASE …   writes FOLDER/N.pt: case → its tensors
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import genzoo
from genzoo.condition import Labels, Text
from genzoo.data import Images
from genzoo.testing.whole import small_config
from genzoo.training.hardware import choose
from genzoo.training.loop import Run
from genzoo.training.parallel import World, enter, leave
from genzoo.training.players import players
from genzoo.training.train import build

BATCH, STEPS, COUNT = 8, 3, 40
SIDES = {"image_shape": (3, 16, 16), "source_shape": (3, 16, 16), "patch_layers": 1}
SHORT: dict[str, object] = {"stage_rounds": (1,), "bursts": False}  # of any game that has the option
# case → its card, its config, and keys of its recipe and its game
CASES: dict[str, tuple[str, dict[str, object], dict[str, object]]] = {
    "hard": (
        "dcgan",
        {"discriminator_norm": "none", "minibatch": 4, "dropout": 0.3},
        {
            "replay": 0.5,
            "soft_labels": 0.3,
            "flipped_labels": 0.2,
            "instance_noise": 0.1,
            "augment": ("color", "translation", "cutout"),
            "classes": 3,
            "flip": True,
            "shift": 1,
            "turns": {"discriminator": 2},
            "ema": 0.5,
        },
    ),
    "hinge": ("gan", {}, {"objective": "hinge"}),
    "relativistic": ("gan", {}, {"objective": "relativistic", "gp_weight": 1.0, "penalty_kind": "r1-r2"}),
    "free-bits": ("vae", {"free_bits": 0.02, "likelihood": "gaussian"}, {}),
    "odd-groups": ("progressive", {}, {"batch_size": 12, "augment": ("color",)}),
    "pool": ("cyclegan-horse2zebra", {**SIDES, "blocks": 1}, {"pool": 9, "batch_size": 4}),
    "paired": ("pix2pix-facades", {**SIDES, "depth": 3}, {"flip": True}),
    "pixels": ("gated-pixelcnn", {"layers": 2, "image_shape": (1, 6, 6)}, {}),
    "texts": ("text2image-flowers", {"image_shape": (3, 16, 16)}, {}),  # 8x8 has no batch norm
    "labels": ("cvae-mnist", {"net": "mlp", "k": 4, "warmup": 0, "path_gradient": False}, {}),
}
CASES["again"] = (*CASES["hard"][:2], CASES["hard"][2] | {"recompute": True})  # what waits for others, twice
HALF, APART = "half", "apart"  # the first, left after two of three rounds; and batch norm by itself
CASES |= {HALF: CASES["hard"], APART: ("wgan", {}, {"sync_batch_norm": False})}
# a game of every kind
QUICK = (*(name for name in CASES if name not in (HALF, APART)), "wgan", "wgan-gp", "wgan-gp-resnet", "began")


def case_of(name: str) -> tuple[str, dict[str, object], dict[str, object]]:
    """Return the card, config and recipe of a case: those above by name, any other is a card's own game."""
    return CASES.get(name, (name, {}, {}))


def images_for(model: genzoo.models.Model, recipe: genzoo.Recipe) -> Images:
    """Return random images with all that the model is told."""
    rng = np.random.default_rng(0)

    def drawn(shape: Sequence[int], count: int = COUNT) -> np.ndarray:
        pixels = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        return np.where(pixels > 127, 255, 0).astype(np.uint8) if getattr(model, "levels", 0) == 2 else pixels

    columns: dict[str, object] = {}
    if isinstance(model.condition, Labels):
        names = model.condition.names
        columns |= {"labels": np.arange(COUNT) % len(names), "class_names": names}
    elif any("labels" in player.needs for player in players(model, recipe)):
        columns["labels"] = np.arange(COUNT) % 3
    if isinstance(model.condition, Text):
        words = model.condition.vocabulary
        columns["captions"] = tuple(
            tuple(f"{words[i % 7]} {words[(i + k) % 11]}" for k in (1, 2)) for i in range(COUNT)
        )
    elif model.condition is not None and not isinstance(model.condition, Labels):
        if model.condition.both_ways:
            columns["other"] = Images(pixels=drawn(model.condition.shape, 30), name="others", split="train")
        else:
            columns["source"] = drawn(model.condition.shape)
    return Images(pixels=drawn(model.image_shape), name="random", split="train", **columns)


def card_of(card: genzoo.Card, config: Mapping[str, object]) -> genzoo.Card:
    """Return `card` with a condition of the size that the config says."""
    if "source_shape" not in config:
        return card
    return card.replace(condition=dataclasses.replace(card.condition, shape=config["source_shape"]))


def started(name: str, world: World, folder: Path, **keys: object) -> Run:
    """Return a run of a case, about to begin."""
    card_name, config, changes = case_of(name)
    card = genzoo.info(card_name)
    sides = {"image_shape": (card.config.get("image_shape", (1,))[0], 8, 8)} if card_name == "dcgan" else {}
    config = small_config(card, **config, **sides)
    card = card_of(card, config)
    changes = SHORT | {
        "batch_size": BATCH,
        "steps": STEPS,
        "sync_batch_norm": True,
        "precision": "fp32",
        **changes,
    }
    changes |= keys
    recipe = genzoo.training.players.completed(build(card, config, card.recipe), card.recipe)
    own = {f.name for f in dataclasses.fields(recipe.game)} if recipe.game is not None else set()
    game = {key: value for key, value in changes.items() if key in own}
    if game:
        recipe = recipe.replace(game=dataclasses.replace(recipe.game, **game))
    keys_of_all = {f.name for f in dataclasses.fields(recipe)}
    recipe = recipe.replace(**{key: value for key, value in changes.items() if key in keys_of_all})
    model = build(card, config, recipe)
    return Run(model, recipe, images_for(model, recipe), choose(recipe, "cpu"), folder, world)


def tensors_of(run: Run) -> dict[str, Tensor]:
    """Return the weights, the statistics, the averages and the memories of a run."""
    return {
        f"{part}.{key}": value.detach().clone()
        for part, module in run.parts.items()
        for key, value in module.state_dict().items()
    }


def played(name: str, world: World, folder: Path, **keys: object) -> dict[str, Tensor]:
    """Return what a case ends with."""
    folder.mkdir(exist_ok=True)
    run = started(name, world, folder, **keys)
    while run.step < run.recipe.steps - (name == HALF):
        run.play_round()
    if name == HALF:
        run.save()
    return tensors_of(run)


def distance(ones: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> float:
    """Return ‖w - w'‖ / ‖w‖, the largest of model, averages and memories."""
    assert ones.keys() == others.keys()
    found = []
    for part in {key.split(".")[0] for key in ones}:
        pairs = [(ones[key].double(), others[key].double()) for key in ones if key.startswith(f"{part}.")]
        off = sum(float((a - b).square().sum()) for a, b in pairs)
        found.append((off / max(sum(float(a.square().sum()) for a, _ in pairs), 1e-30)) ** 0.5)
    return max(found)


def main() -> None:
    """Play the cases in the processes of torchrun."""
    folder, *names = sys.argv[1:]
    world = enter(torch.device("cpu"))
    ends = {name: played(name, world, Path(folder) / name) for name in names}
    torch.save(ends, Path(folder) / f"{world.size}-{world.rank}.pt")
    leave(0)


if __name__ == "__main__":
    main()
