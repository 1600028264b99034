"""`genzoo manifold`: all that a model with two latents can draw, as one picture."""

from __future__ import annotations

import click

from genzoo.cli.conditions import check_one, condition_option, in_words
from genzoo.cli.exploring import loaded, out_option, target
from genzoo.cli.options import command, device_option, find, model_argument
from genzoo.cli.output import note
from genzoo.cli.pictures import check_grid, check_samples
from genzoo.errors import safe_text


@command("manifold")
@model_argument
@click.option(
    "-n",
    "n",
    type=click.IntRange(min=2),
    default=20,
    show_default=True,
    help="Rows and columns of the picture.",
)
@condition_option()
@out_option("manifold")
@device_option
def manifold_command(name: str, n: int, condition: str | None, out: str | None, device: str | None) -> None:
    """Draw the latent plane of a model with two latents.

    The first latent increases from left to right, the second from bottom to top. All cells are equally likely
    under the prior.
    """
    entry = find(name)
    card = entry.card
    check_samples(card)
    check_grid(n * n)
    condition = check_one(entry, condition)
    path = target(out, card, "manifold")
    model = loaded(entry, device)
    from genzoo.explore.manifold import manifold
    from genzoo.images import save_grid

    save_grid(manifold(model, n, condition=condition).flatten(0, 1), path, columns=n, padding=0)
    note(
        safe_text(
            f"{path}: the two latents of {card.name}, each from the 5 % to the 95 % quantile of the "
            f"prior in {n} steps{in_words(model, condition)}",
            1000,
        )
    )
