"""The cards of the plugin for progressive growing. Nothing here imports torch: cards name their classes as
strings.
"""

from __future__ import annotations

from genzoo_progressive.options import Progressive

from genzoo import Card, Family, Recipe, hookimpl

genzoo_api = 2

PAPER = (
    "Karras, Aila, Laine & Lehtinen 2018, Progressive Growing of GANs for Improved Quality, Stability, and "
    "Variation, arXiv:1710.10196"
)
MODEL = "genzoo_progressive.progressive:ProgressiveGAN"

CARDS = (
    Card(
        name="progressive",
        family=Family.IMPLICIT,
        model=MODEL,
        # The paper's optimiser and averages (appendix A.1).
        recipe=Recipe(
            command="genzoo train progressive --data digits --set image_size=8x8 --set channels=1",
            data="digits",
            steps=2_000,
            lr={"all": 1e-3},
            betas=(0.0, 0.99),
            ema=0.999,
            game=Progressive(stage_rounds=(800,)),
        ),
        summary="GAN whose nets grow from 4×4 to full size, any size that can be halved",
        paper=PAPER,
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, bedrooms and faces."""
    return list(CARDS)
