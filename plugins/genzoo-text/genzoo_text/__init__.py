"""The card of the plugin for text to image. Nothing here imports torch: the class is named, not loaded."""

from __future__ import annotations

from genzoo import Card, Family, Recipe, hookimpl
from genzoo_text.options import Matching
from genzoo_text.words import flower_text

genzoo_api = 2

PAPER = (
    "Reed, Akata, Yan, Logeswaran, Schiele & Lee 2016, Generative Adversarial Text to Image Synthesis, "
    "arXiv:1605.05396"
)

CARDS = (
    Card(
        name="text2image-flowers",
        family=Family.IMPLICIT,
        model="genzoo_text.textgan:TextGAN",
        condition=flower_text(),
        config={
            "image_shape": (3, 64, 64),
            "width": 40,
            "discriminator_width": 32,
            "text_size": 32,
            "join": "project",
        },
        # Section 5 of the paper: Adam, learning rate 0.0002, beta1 0.5. The augmentation is that of
        # dcgan-bedrooms without "color", which would make a red flower grey and leave it its text.
        recipe=Recipe(
            data="flowers-unseen",
            steps=4_000,
            lr={"generator": 2e-4, "discriminator": 4e-4},
            lr_decay=0.3,
            betas=(0.5, 0.999),
            flip=True,
            ema=0.999,
            save_dtype="float16",
            game=Matching(augment=("translation", "cutout"), seeking=0.2),
        ),
        summary="Flowers of a few words, 3×64×64: say which and in what colour",
        paper=PAPER,
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the card: flowers drawn from a text."""
    return list(CARDS)
