"""A GAN of two small nets, given a label, as a plugin of genzoo.

Nothing here imports torch: the class is named, not loaded.
"""

from genzoo import Adversarial, Card, Family, Labels, Recipe, hookimpl

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
            recipe=Recipe(
                data="digits",
                steps=3_000,
                batch_size=64,
                lr={"all": 2e-4},
                betas=(0.0, 0.999),
                game=Adversarial(objective="relativistic", penalty_kind="r1-r2", gp_weight=0.1),
            ),
            summary="A GAN of two small nets, given a label",
            paper="Mirza & Osindero 2014, arXiv:1411.1784",
        )
    ]
