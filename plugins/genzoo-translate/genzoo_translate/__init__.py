"""The cards of the translation plugin. Nothing here imports torch: the class is named, not loaded."""

from __future__ import annotations

from genzoo import Card, Family, Picture, Recipe, hookimpl
from genzoo_translate.options import Paired

genzoo_api = 2

CARDS = (
    Card(
        name="pix2pix-facades",
        family=Family.IMPLICIT,
        model="genzoo_translate.pix2pix:Pix2Pix",
        condition=Picture(shape=(3, 64, 64), domains=("map", "photo")),
        # Section 3.3 of the paper: Adam, learning rate 2e-4, β₁ = 0.5, λ = 100. Its images are enlarged by 30
        # of 256 pixels and cropped, which moves them by ±15: ±4 of 64.
        recipe=Recipe(
            data="facades",
            steps=20_000,
            batch_size=2,
            lr={"all": 2e-4},
            lr_decay=0.5,
            betas=(0.5, 0.999),
            flip=True,
            shift=4,
            save_dtype="float16",
            game=Paired(),
        ),
        summary="Facades, 3×64×64, from maps of their parts",
        paper=(
            "Isola, Zhu, Zhou & Efros 2017, Image-to-Image Translation with Conditional Adversarial "
            "Networks, arXiv:1611.07004"
        ),
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: facades from maps."""
    return list(CARDS)
