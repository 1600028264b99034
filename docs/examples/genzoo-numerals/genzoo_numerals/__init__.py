"""A GAN of two small nets, given a label, as a plugin of genzoo.

Nothing here imports torch: the class is named, not loaded.
"""

from genzoo import Card, Family, Labels, Recipe, hookimpl

genzoo_api = 2  # the plugin interface that this package was made for


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the models of this package."""
    return [
        Card(
            name="numerals",
            family=Family.IMPLICIT,
            model="genzoo_numerals.numerals:Numerals",
            config={"image_shape": (1, 8, 8)},
            condition=Labels(tuple("0123456789")),  # the classes of the data, by name
            recipe=Recipe(data="digits", steps=4_000, batch_size=64, lr={"all": 2e-4}, betas=(0.5, 0.999)),
            summary="A GAN of two small nets, given a label",
            paper="Mirza & Osindero 2014, arXiv:1411.1784",
        )
    ]
