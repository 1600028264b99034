"""`genzoo interpolate`: walks between random latent vectors, one in each row of the picture."""

from __future__ import annotations

import secrets
from typing import Any

import click

from genzoo.cli.options import FRESH_SEEDS, command, device_option, find, name_argument, seed_option, settled
from genzoo.cli.output import Progress, note
from genzoo.cli.pictures import check_file, check_grid, free_file
from genzoo.errors import safe_text


@command("interpolate")
@name_argument
@click.option("-n", "n", type=click.IntRange(min=1), default=8, show_default=True, help="How many walks, one in each row.")
@click.option("--steps", type=click.IntRange(min=2), default=9, show_default=True, help="Images of a walk, both ends among them.")
@seed_option
@click.option("-o", "--out", type=click.Path(), help="The .png to write. By default NAME-interpolation.png.")
@device_option
def interpolate_command(name: str, n: int, steps: int, seed: int | None, out: str | None, device: str | None) -> None:
    """What lies between two images: walks between latent vectors."""
    from genzoo import zoo

    card, _ = find(name)
    check_grid(n * steps)
    path = check_file(out) if out is not None else free_file(f"{card.name}-interpolation")
    start = secrets.randbelow(FRESH_SEEDS) if seed is None else seed
    with Progress(card.name) as progress:
        model: Any = zoo.load(card.name, device=device, progress=progress)
    from genzoo.explore.interpolation import interpolate
    from genzoo.images import save_grid

    settled()
    save_grid(interpolate(model, n, steps, start).flatten(0, 1), path, columns=steps)
    note(safe_text(f"{path}: {n:,} walk{'s' * (n != 1)} of {steps} steps through the latent space of {card.name}, seed {start}", 1000))
