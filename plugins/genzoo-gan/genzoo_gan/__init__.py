"""The cards of the GAN plugin. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from genzoo import Card, Family, Recipe, hookimpl

PAPER = "Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661"

_DIGITS = Recipe(
    command="genzoo train gan --data digits --set image_size=8x8 --set channels=1",
    data="digits",
    steps=2_000,
    batch=128,
    rate={"all": 2e-4},
    betas=(0.5, 0.999),
)

_MNIST = Recipe(
    command="genzoo train gan-mnist",
    data="mnist",
    steps=60_000,
    batch=128,
    rate={"all": 2e-4},
    betas=(0.5, 0.999),
    cooldown=0.3,
    ema=0.999,
    storage="float16",
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, and MNIST as in the paper."""
    return [
        Card(
            name="gan",
            family=Family.IMPLICIT,
            model="genzoo_gan.gan:GAN",
            recipe=_DIGITS,
            summary="The GAN of 2014: two perceptrons, maxout and dropout in D, any size",
            paper=PAPER,
        ),
        Card(
            name="gan-mnist",
            family=Family.IMPLICIT,
            model="genzoo_gan.gan:GAN",
            config={"image_shape": (1, 28, 28)},
            recipe=_MNIST,
            summary="Handwritten digits, 1×28×28, with the paper's nets",
            paper=PAPER,
        ),
    ]
