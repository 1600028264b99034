"""The two smallest models: a chain of pixels and an autoencoder. Nothing here imports torch."""

from genzoo import Card, Family, Recipe, hookimpl

genzoo_api = 2


@hookimpl
def genzoo_cards() -> list[Card]:
    """Return the models of this package."""
    return [
        Card(
            name="pixel-chain",
            family=Family.TRACTABLE,
            model="genzoo_primers.chain:PixelChain",
            recipe=Recipe(data="digits", steps=500, batch_size=64, lr={"all": 1e-2}),
            summary="Each pixel given the one before it",
        ),
        Card(
            name="linear-codes",
            family=Family.AUTOENCODER,
            model="genzoo_primers.codes:LinearCodes",
            recipe=Recipe(data="digits", steps=2_000, batch_size=64, lr={"all": 1e-3}),
            summary="An autoencoder of two linear layers",
        ),
    ]
