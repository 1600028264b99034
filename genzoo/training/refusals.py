"""Refuse recipes of the adversarial game that are known to fail, when training starts, with the reason and
what to set instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from genzoo.errors import TrainingError
from genzoo.games import Adversarial
from genzoo.layers import MinibatchDiscrimination, SpectralNorm, bounds_slope
from genzoo.models import AdversarialModel
from genzoo.recipe import Recipe
from genzoo.training.freezing import blocks_of
from genzoo.training.own import objective_of

Reason = tuple[str, str]  # what fails and why; what to set instead


def check_recipe(model: AdversarialModel, recipe: Recipe) -> None:
    """Raise if the game of `model` under `recipe` is known to fail.

    Raises:
        TrainingError: the first reason, with what to set instead.
    """
    options = recipe.options(Adversarial)
    for reason, instead in _reasons(model, recipe, options):
        raise TrainingError(reason, instead)


def _reasons(model: AdversarialModel, recipe: Recipe, options: Adversarial) -> Iterator[Reason]:
    yield from _of_bounds(model, options)
    if options.weight_clip and _has_momentum(recipe):
        yield (
            f"weight_clip={options.weight_clip:g} does not work with momentum: it pushes the weights to "
            "the bounds, where they stay (Arjovsky et al. 2017, section 4)",
            "set optimizer.discriminator=rmsprop, or betas=0,0.9",
        )
    yield from _of_targets(options)
    yield from _of_freezing(model, options)
    if options.gp_weight:
        yield from _of_penalty(model, options)
    if options.gp_weight and recipe.compile == "on":
        yield "the penalty needs second derivatives, which torch.compile cannot compute", "set compile=off"


def _of_bounds(model: AdversarialModel, options: Adversarial) -> Iterator[Reason]:
    held = options.weight_clip or options.gp_weight or bounds_slope(model.discriminator)
    if not objective_of(options.objective).bounded and not held:
        yield (
            f"objective={options.objective} needs a critic of bounded slope, and nothing bounds it: its "
            "output would grow without limit",
            (
                "set gp_weight=10, or weight_clip=0.01 with optimizer.discriminator=rmsprop; or another "
                "objective"
            ),
        )
    if options.weight_clip and options.gp_weight:
        yield (
            f"weight_clip={options.weight_clip:g} and gp_weight={options.gp_weight:g} contradict each "
            "other: a critic with such small weights cannot be as steep as the penalty requires",
            "set one of them to 0",
        )
    if options.weight_clip and any(
        isinstance(layer, SpectralNorm) for layer in model.discriminator.modules()
    ):
        yield (
            f"weight_clip={options.weight_clip:g} bounds nothing under spectral normalisation, which divides "
            "each weight by its norm: it would only distort the weights",
            "set weight_clip=0, or a discriminator_norm other than spectral",
        )


def _of_targets(options: Adversarial) -> Iterator[Reason]:
    switched = [key for key in ("soft_labels", "flipped_labels") if getattr(options, key)]
    objective = objective_of(options.objective)
    if switched and objective.relative:
        yield (
            f"{switched[0]}={getattr(options, switched[0]):g} makes no sense with "
            f"objective={options.objective}: it compares pairs, and no image has a target",
            f"set {switched[0]}=0, or another objective",
        )
    if switched and not objective.bounded:
        yield (
            f"{switched[0]}={getattr(options, switched[0]):g} makes no sense with "
            f"objective={options.objective}: its critic has no labels, "
            "and mixing its losses for real images and fakes only scales its loss",
            f"set {switched[0]}=0, or another objective",
        )


def _of_freezing(model: AdversarialModel, options: Adversarial) -> Iterator[Reason]:
    blocks = len(blocks_of(model.discriminator)) if options.freeze else 1
    if options.freeze >= blocks:
        yield (
            f"freeze={options.freeze} leaves nothing of the discriminator to train: it has {blocks} blocks",
            f"set freeze to at most {blocks - 1}",
        )


def _of_penalty(model: AdversarialModel, options: Adversarial) -> Iterator[Reason]:
    asked = f"gp_weight={options.gp_weight:g} constrains the critic's slope at each image; with "
    if any(isinstance(module, MinibatchDiscrimination) for module in model.discriminator.modules()):
        yield (
            f"{asked}minibatch discrimination it depends on the other images",
            "set minibatch=0, or weight_clip=0.01",
        )
    norms = [
        name
        for name, module in model.discriminator.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    if norms:
        yield (
            f"{asked}batch norm in the discriminator "
            f"({', '.join(norms[:3])}{', …' if len(norms) > 3 else ''}) it depends on the other "
            "images (Gulrajani et al. 2017, section 4)",
            "choose a discriminator with layer norm or none (genzoo info says what the model's config "
            "offers), or weight_clip=0.01",
        )


def _has_momentum(recipe: Recipe) -> bool:
    kind = recipe.optimizer_of("discriminator")
    return kind == "muon" or (kind == "adam" and recipe.betas[0] > 0)
