"""A VAE and a GAN in one, as a plugin of genzoo. Nothing here imports torch: the class is named, not
loaded."""

from genzoo import Card, Family, Recipe, hookimpl
from genzoo_vaegan.options import VAEGANOptions

genzoo_api = 2  # the plugin interface that this package was made for


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the models of this package."""
    return [
        Card(
            name="vaegan",
            family=Family.IMPLICIT,
            model="genzoo_vaegan.vaegan:VAEGAN",
            config={"image_shape": (1, 8, 8)},
            recipe=Recipe(
                data="digits",
                steps=4_000,
                batch_size=64,
                lr={"all": 3e-4},
                betas=(0.5, 0.999),
                game=VAEGANOptions(),
            ),
            summary="A VAE whose decoder is the generator of a GAN: three players",
            paper="Larsen et al. 2016, arXiv:1512.09300",
        )
    ]
