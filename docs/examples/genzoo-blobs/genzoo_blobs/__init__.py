"""A GAN of two small nets, as a plugin of genzoo.

Nothing here imports torch: the class is named, not loaded.
"""

from genzoo import Card, Family, Recipe, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the models of this package."""
    return [
        Card(
            name="blobs",
            family=Family.IMPLICIT,
            model="genzoo_blobs.blobs:Blobs",
            config={"image_shape": (1, 8, 8)},
            recipe=Recipe(data="digits", steps=4_000, batch_size=64, lr={"all": 2e-4}, betas=(0.5, 0.999)),
            summary="A GAN of two small nets",
            paper="Goodfellow et al. 2014, arXiv:1406.2661",
        )
    ]
