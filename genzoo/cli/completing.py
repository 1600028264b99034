"""`genzoo complete`: held-out images of which a half is kept and the rest drawn by the model, one image in each row of the picture."""

from __future__ import annotations

import secrets
from typing import Any

import click

from genzoo.cli.options import FRESH_SEEDS, command, data_option, device_option, find, name_argument, seed_option, settled
from genzoo.cli.output import Progress, note
from genzoo.cli.pictures import check_file, check_grid, free_file
from genzoo.errors import safe_text

KEEPS = ("top", "bottom", "left", "right")


@command("complete")
@name_argument
@data_option
@click.option("--keep", type=click.Choice(KEEPS), default="top", show_default=True, help="The half that is kept.")
@click.option("-n", "n", type=click.IntRange(min=1), default=6, show_default=True, help="Completions of each image.")
@click.option("--images", "rows", type=click.IntRange(min=1), default=6, show_default=True, help="How many images, one in each row.")
@seed_option
@click.option("-o", "--out", type=click.Path(), help="The .png to write. By default NAME-completion.png.")
@device_option
def complete_command(
    name: str, data: str | None, keep: str, n: int, rows: int, seed: int | None, out: str | None, device: str | None
) -> None:
    """Finish images that the model has never seen.

    In each row: what is kept, the completions, and the image itself.
    """
    from genzoo import zoo

    card, _ = find(name)
    check_grid(rows * (n + 2))
    path = check_file(out) if out is not None else free_file(f"{card.name}-completion")
    start = secrets.randbelow(FRESH_SEEDS) if seed is None else seed
    with Progress(card.name) as progress:
        model: Any = zoo.load(card.name, device=device, progress=progress)
    from genzoo.evaluation.scoring import some_images
    from genzoo.explore.completion import completed, keep_mask
    from genzoo.images import save_grid

    settled()
    mask = keep_mask(keep, *model.image_shape[1:])
    images, where = some_images(model, card, data, rows, start)
    save_grid(completed(model, images, mask, n, start).flatten(0, 1), path, columns=n + 2)
    count = f"{len(images):,} image{'s' * (len(images) != 1)} of {where}"
    note(safe_text(f"{path}: {count}, the {keep} half kept, {n:,} completion{'s' * (n != 1)} each by {card.name}, seed {start}", 1000))
