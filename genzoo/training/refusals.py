"""Recipes of the adversarial game that are known to fail, refused when training starts with the reason and
with what to do instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from genzoo.errors import TrainingError
from genzoo.losses.objectives import OBJECTIVES
from genzoo.models import AdversarialModel, MinibatchDiscrimination
from genzoo.recipe import Recipe


def check_recipe(model: AdversarialModel, recipe: Recipe) -> None:
    """Raise where the game of `model` under `recipe` is known to fail.

    Raises:
        TrainingError: the first reason, with what to set instead.
    """
    for reason, instead in _reasons(model, recipe):
        raise TrainingError(reason, instead)


def _reasons(model: AdversarialModel, recipe: Recipe) -> Iterator[tuple[str, str]]:
    clipped, penalised = recipe.clip > 0, recipe.penalty > 0
    if not OBJECTIVES[recipe.objective].bounded and not (clipped or penalised):
        yield (
            (
                f"objective={recipe.objective} needs a critic of bounded slope, and nothing bounds it: its "
                "numbers would grow without end"
            ),
            "set penalty=10, or clip=0.01 with optimizer.discriminator=rmsprop; or another objective",
        )
    if clipped and penalised:
        yield (
            f"clip={recipe.clip:g} and penalty={recipe.penalty:g} contradict each other: a critic of "
            "such small weights cannot be as "
            "steep as the penalty asks",
            "set one of them to 0",
        )
    if clipped and _has_momentum(recipe):
        yield (
            f"clip={recipe.clip:g} does not go with momentum: it carries the weights into the bounds, "
            "where they stay "
            "(Arjovsky et al. 2017, section 4)",
            "set optimizer.discriminator=rmsprop, or betas=0,0.9",
        )
    switched = [key for key in ("soft_labels", "flipped_labels") if getattr(recipe, key)]
    if switched and not OBJECTIVES[recipe.objective].bounded:
        yield (
            f"{switched[0]}={getattr(recipe, switched[0]):g} makes no sense with "
            f"objective={recipe.objective}: its critic has no labels, "
            "and mixing what it pays for real images and for fakes only scales it",
            f"set {switched[0]}=0, or another objective",
        )
    if penalised and any(
        isinstance(module, MinibatchDiscrimination) for module in model.discriminator.modules()
    ):
        yield (
            (
                f"penalty={recipe.penalty:g} asks for the critic's slope at each image; with minibatch "
                "discrimination it depends on the others"
            ),
            "set minibatch=0, or clip=0.01",
        )
    norms = [
        name
        for name, module in model.discriminator.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    if penalised and norms:
        yield (
            f"penalty={recipe.penalty:g} asks for the critic's slope at each image; with batch norm in "
            "the discriminator "
            f"({', '.join(norms[:3])}{', …' if len(norms) > 3 else ''}) it depends on the other images "
            "(Gulrajani et al. 2017, section 4)",
            (
                "choose a discriminator with layer norm or none (genzoo info says what the model's config "
                "offers), or clip=0.01"
            ),
        )
    if penalised and recipe.compile == "on":
        yield "penalty needs gradients of gradients, which torch.compile cannot make", "set compile=off"


def _has_momentum(recipe: Recipe) -> bool:
    kind = recipe.optimizer_of("discriminator")
    return kind == "muon" or (kind == "adam" and recipe.betas[0] > 0)
