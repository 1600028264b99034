"""The cards of the GAN plugin. Nothing here imports torch: the classes are named, not loaded."""

from __future__ import annotations

from genzoo import Adversarial, Card, Family, Recipe, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for

PAPER = "Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661"

_DIGITS = Recipe(
    command="genzoo train gan --data digits --set image_size=8x8 --set channels=1",
    data="digits",
    steps=2_000,
    batch=128,
    rate={"all": 2e-4},
    betas=(0.5, 0.999),
)

# For a GPU; README.md has a shorter one for a CPU.
_MNIST = Recipe(
    command="genzoo train gan-mnist",
    hardware="NVIDIA H200, shared by ten runs",
    time="5 min",
    score=(
        "FID[features-mnist] 0.23 (training images 0.04), the number of 2014: 232.1 ± 2.2 nats (242.4 ± 2.1)"
    ),
    data="mnist",
    steps=80_000,
    batch=2048,
    rate={"all": 1e-3},
    betas=(0.5, 0.999),
    cooldown=0.5,
    ema=0.9998,
    storage="float16",
    game=Adversarial(instance_noise=0.5),
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
