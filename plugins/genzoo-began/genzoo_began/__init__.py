"""The cards of the BEGAN plugin. Nothing here imports torch: the class is named, not loaded."""

from __future__ import annotations

from genzoo import Card, Family, Recipe, hookimpl
from genzoo_began.options import Equilibrium

genzoo_api = 2

PAPER = (
    "Berthelot, Schumm & Metz 2017, BEGAN: Boundary Equilibrium Generative Adversarial Networks, "
    "arXiv:1703.10717"
)

CARDS = (
    Card(
        name="began",
        family=Family.IMPLICIT,
        model="genzoo_began.began:BEGAN",
        # Section 4.1: Adam, batches of 16, learning rate 1e-4 at first.
        recipe=Recipe(
            command="genzoo train began --data digits --set image_size=8x8 --set channels=1 --set width=16",
            data="digits",
            steps=4_000,
            batch_size=16,
            lr={"all": 1e-4},
            betas=(0.5, 0.999),
            game=Equilibrium(),
        ),
        summary="Boundary equilibrium GAN: D is an autoencoder",
        paper=PAPER,
    ),
    Card(
        name="began-faces",
        family=Family.IMPLICIT,
        model="genzoo_began.began:BEGAN",
        # A quarter of the paper's channels: D sees every image three times in a round, and a round of the
        # paper's nets takes a CPU core many seconds. k and the nets move faster than the paper's, since the
        # run is short.
        config={"image_shape": (3, 64, 64), "width": 16},
        recipe=Recipe(
            data="faces",
            steps=10_000,
            batch_size=16,
            lr={"all": 2e-4},
            lr_decay=0.4,
            betas=(0.5, 0.999),
            flip=True,
            ema=0.999,
            save_dtype="float16",
            game=Equilibrium(k_rate=5e-3),
        ),
        summary="Faces of public figures, 3×64×64, from an autoencoder's equilibrium",
        paper=PAPER,
    ),
)


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the cards: the architecture, and faces."""
    return list(CARDS)
