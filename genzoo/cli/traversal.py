"""`genzoo traverse`: one latent varies along each row of the picture, and the others stay."""

from __future__ import annotations

from collections.abc import Sequence

import click

from genzoo.cli.conditions import check_one, condition_option, in_words
from genzoo.cli.exploring import drawn, loaded, out_option, read_numbers, target
from genzoo.cli.options import command, device_option, find, model_argument, seed_option
from genzoo.cli.output import note
from genzoo.cli.pictures import check_grid, check_samples
from genzoo.errors import safe_text
from genzoo.units import several


@command("traverse")
@model_argument
@click.option(
    "--dimension",
    "dimensions",
    multiple=True,
    callback=read_numbers,
    metavar="J[,J]...",
    help="Latents to vary, counted from 0, one per row. Default: the first ten.",
)
@click.option(
    "--span",
    type=float,
    help="Range on either side of 0. Default: to the 5 % and 95 % quantiles of the prior.",
)
@click.option("-n", "n", type=click.IntRange(min=2), default=9, show_default=True, help="Images per row.")
@click.option(
    "--starts", type=click.IntRange(min=1), default=1, show_default=True, help="Number of starting points."
)
@click.option(
    "--from",
    "image",
    type=click.Path(exists=True, dir_okay=False),
    help="Start from the code of this image (needs an encoder).",
)
@condition_option()
@seed_option
@out_option("traverse")
@device_option
def traverse_command(
    name: str,
    dimensions: list[int],
    span: float | None,
    n: int,
    starts: int,
    image: str | None,
    condition: str | None,
    seed: int | None,
    out: str | None,
    device: str | None,
) -> None:
    """Vary one latent at a time and keep the others fixed."""
    entry = find(name)
    card = entry.card
    check_samples(card)
    if image is not None and (seed is not None or starts != 1):
        raise click.UsageError(
            "--from is the only starting point: leave out --seed and --starts", click.get_current_context()
        )
    check_grid(n * starts * max(1, len(dimensions)))
    path = target(out, card, "traverse")
    condition = check_one(entry, condition)
    start = drawn(seed)
    model = loaded(entry, device)
    import torch

    from genzoo.explore.latents import check_latent_model, codes, read_image
    from genzoo.explore.traversal import check_dimensions, traverse
    from genzoo.images import save_grid

    check_latent_model(model)
    rows = check_dimensions(dimensions or None, model.latent_size)
    if image is None:
        points = model.sample_latents(starts, start)
        origin = f"{several(starts, 'point')} of the prior, seed {start}"
    else:
        points = codes(model, read_image(image, model.image_shape), condition)
        origin = f"the code of {image}"
    # (starts · rows, n, C, H, W)
    images = torch.cat([traverse(model, rows, n, point, span, condition=condition) for point in points])
    save_grid(images.flatten(0, 1), path, columns=n)
    what = f"{_which(rows)} of {card.name}, {_ends(span)} in {n} steps"
    note(safe_text(f"{path}: {what}, starting from {origin}{in_words(model, condition)}", 1000))


def _which(rows: Sequence[int]) -> str:
    return f"latent{'s' * (len(rows) > 1)} {', '.join(map(str, rows))}"


def _ends(span: float | None) -> str:
    return "from the 5 % to the 95 % quantile of the prior" if span is None else f"from {-span:g} to {span:g}"
