"""`genzoo context`: which earlier pixels a pixel sees, drawn from the model's gradients."""

from __future__ import annotations

import re
from typing import Any

import click

from genzoo.cli.conditions import check_one, condition_option, in_words
from genzoo.cli.options import collect_garbage, command, device_option, find, model_argument
from genzoo.cli.output import Progress, note
from genzoo.cli.pictures import check_file, check_in_order, free_file
from genzoo.errors import safe_text

_SIDE = 480  # pixels: about the size of the picture


def read_pixel(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    """Return `ROW,COLUMN` as two numbers."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*", text)
    if not found:
        raise click.BadParameter(f"{text!r} must read ROW,COLUMN, for example 14,14", context, parameter)
    return int(found[1]), int(found[2])


@command("context")
@model_argument
@click.option(
    "--pixel", metavar="ROW,COLUMN", callback=read_pixel, help="Pixel to examine. Default: the middle one."
)
@condition_option()
@click.option("-o", "--out", type=click.Path(), help="PNG file to write. Default: NAME-context.png.")
@device_option
def context_command(
    name: str, pixel: tuple[int, int] | None, condition: str | None, out: str | None, device: str | None
) -> None:
    """Show which earlier pixels a pixel depends on.

    The pixel is orange. The pixels it depends on are blue, darker where the dependence is stronger. Earlier
    pixels it does not depend on are pink. Later pixels are grey.
    """
    from genzoo import zoo

    entry = find(name)
    card, row = entry
    check_in_order(card, "generates whole images and has no order of pixels")
    condition = check_one(entry, condition)
    path = check_file(out) if out is not None else free_file(f"{card.name}-context")
    with Progress(card.name) as progress:
        # What can be seen is a matter of the architecture: a model without weights shows it as well.
        model: Any = (
            zoo.load(entry, device=device, progress=progress) if row is not None else zoo.create(entry)
        )
    from genzoo.explore.context import context, count, picture, place
    from genzoo.images import save_grid

    collect_garbage()
    seen = context(model, pixel, condition=condition)
    at = place(pixel, *model.image_shape[1:])
    save_grid(
        picture(seen, at), path, columns=seen.shape[1], padding=1, upscale=max(1, _SIDE // max(seen.shape))
    )
    found, possible = count(seen, at)
    fresh = "" if row is not None else ", with untrained weights"
    blind = f", not on {possible - found:,} (pink)" if found < possible else ""
    words = (
        f"pixel {at[0]},{at[1]} (orange) of {card.name} depends on {found:,} (blue) of {possible:,} "
        f"earlier pixels{blind}{fresh}{in_words(model, condition)}"
    )
    note(safe_text(f"{path}: {words}", 1000))
