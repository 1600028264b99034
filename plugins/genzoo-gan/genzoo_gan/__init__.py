"""The cards of the GAN plugin. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from genzoo import Adversarial, Card, Family, Labels, Recipe, hookimpl

genzoo_api = 2

PAPER = "Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661"
CONDITIONAL = "Mirza & Osindero 2014, Conditional Generative Adversarial Nets, arXiv:1411.1784"

CARDS = (
    Card(
        name="gan",
        family=Family.IMPLICIT,
        model="genzoo_gan.gan:GAN",
        recipe=Recipe(
            command="genzoo train gan --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            batch_size=128,
            betas=(0.5, 0.999),
        ),
        summary="The GAN of 2014: two perceptrons, maxout and dropout in D, any size",
        paper=PAPER,
    ),
    Card(
        name="gan-mnist",
        family=Family.IMPLICIT,
        model="genzoo_gan.gan:GAN",
        config={"image_shape": (1, 28, 28)},
        # For a GPU; README.md has a shorter recipe for a CPU.
        recipe=Recipe(
            data="mnist",
            steps=80_000,
            batch_size=2_048,
            lr={"all": 1e-3},
            lr_decay=0.5,
            betas=(0.5, 0.999),
            ema=0.9998,
            save_dtype="float16",
            game=Adversarial(instance_noise=0.5),
        ),
        summary="Handwritten digits, 1×28×28, with the paper's nets",
        paper=PAPER,
    ),
    Card(
        name="cgan-mnist",
        family=Family.IMPLICIT,
        model="genzoo_gan.conditional:ConditionalGAN",
        condition=Labels(tuple("0123456789")),
        config={"image_shape": (1, 28, 28)},
        recipe=Recipe(
            data="mnist",
            steps=12_000,
            batch_size=512,
            lr={"all": 5e-4},
            lr_decay=0.5,
            betas=(0.5, 0.999),
            ema=0.9995,
            save_dtype="float16",
            game=Adversarial(instance_noise=0.5),
        ),
        summary="Handwritten digits, 1×28×28: say which",
        paper=CONDITIONAL,
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, and MNIST as in the papers, without labels and with."""
    return list(CARDS)
