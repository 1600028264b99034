"""The cards of the translation plugin. Nothing here imports torch: the class is named, not loaded."""

from __future__ import annotations

from genzoo import Card, Family, Picture, Recipe, hookimpl
from genzoo_translate.options import Cycle, Paired

genzoo_api = 2

CARDS = (
    Card(
        name="pix2pix-facades",
        family=Family.IMPLICIT,
        model="genzoo_translate.pix2pix:Pix2Pix",
        condition=Picture(shape=(3, 128, 128), domains=("map", "photo")),
        config={"image_shape": (3, 128, 128)},
        # Section 3.3 of the paper: Adam, learning rate 2e-4, β₁ = 0.5, λ = 100. Its images are enlarged by 30
        # of 256 pixels and cropped, which moves them by ±15: ±8 of 128. The shift here is half of that.
        recipe=Recipe(
            data="facades",
            steps=8_000,
            batch_size=2,
            lr={"all": 2e-4},
            lr_decay=0.5,
            betas=(0.5, 0.999),
            flip=True,
            shift=4,
            save_dtype="float16",
            game=Paired(),
        ),
        summary="Facades, 3×128×128, from maps of their parts",
        paper=(
            "Isola, Zhu, Zhou & Efros 2017, Image-to-Image Translation with Conditional Adversarial "
            "Networks, arXiv:1611.07004"
        ),
    ),
    Card(
        name="cyclegan-horse2zebra",
        family=Family.IMPLICIT,
        model="genzoo_translate.cyclegan:CycleGAN",
        condition=Picture(shape=(3, 96, 96), domains=("horse", "zebra"), both_ways=True, noisy=False),
        config={"image_shape": (3, 96, 96), "upsample": "balanced"},
        # Section 4: Adam, batches of 1, learning rate 2e-4 that falls to 0 over the second half of the run.
        # Its images are enlarged by 30 of 256 pixels and cropped, as those of pix2pix. The published weights
        # start from those of 20,000 rounds at 64×64 and 8,000 at 96×96.
        recipe=Recipe(
            data="horse2zebra",
            command="genzoo train cyclegan-horse2zebra --init-from runs/second --set upsample=balanced",
            steps=10_000,
            batch_size=1,
            lr={"all": 2e-4},
            lr_decay=0.5,
            betas=(0.5, 0.999),
            flip=True,
            shift=4,
            save_dtype="float16",
            game=Cycle(),
        ),
        summary="Horses to zebras and back, 3×96×96, without pairs",
        paper=(
            "Zhu, Park, Isola & Efros 2017, Unpaired Image-to-Image Translation using Cycle-Consistent "
            "Adversarial Networks, arXiv:1703.10593"
        ),
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: facades from maps, horses and zebras."""
    return list(CARDS)
