"""The cards of the plugin for progressive growing. Nothing here imports torch: cards name their classes as
strings.
"""

from __future__ import annotations

from genzoo import Card, Family, Recipe, hookimpl
from genzoo_progressive.options import Progressive

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
    *(
        Card(
            name=f"progressive-{data}",
            family=Family.IMPLICIT,
            model=MODEL,
            config={"image_shape": (3, 64, 64), "width": 16, "widest": 96},
            # Few channels and batches of 16, since a CPU is to train it. The loss is not the paper's (see the
            # README). The bedrooms are few, so D sees them shifted.
            recipe=Recipe(
                data=data,
                steps=steps,
                batch_size=16,
                lr={"all": 2e-3},
                lr_decay=0.3,
                betas=(0.0, 0.99),
                flip=True,
                ema=0.999,
                save_dtype="float16",
                game=Progressive(
                    stage_rounds=(1_000, 1_500, 2_000, 2_500),
                    objective="non-saturating",
                    penalty_kind="r1",
                    gp_weight=0.3,
                    drift=0.0,
                    augment=augment,
                ),
            ),
            summary=f"{words} that grow from 4×4 to 3×64×64",
            paper=PAPER,
        )
        for data, words, steps, augment in (
            ("bedrooms", "Bedrooms", 23_008, ("translation",)),
            ("faces", "Faces of public figures", 14_000, ()),
        )
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, bedrooms and faces."""
    return list(CARDS)
