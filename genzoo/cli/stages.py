"""`genzoo sample --stages`: how a model that works in stages makes its images, one row for each z."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from genzoo.card import Card
from genzoo.cli.pictures import MOST_IN_GRID, check_grid, is_folder
from genzoo.errors import ArgumentError


def check_stages(card: Card, out: str | None, animate: str | None, columns: int | None) -> None:
    """Raise if `--stages` does not go with the other options, or the model of `card` has no stages; no
    weights are loaded.

    Raises:
        click.UsageError: an option that does not fit.
        ArgumentError: a model without stages.
    """
    for unfit, words in (
        (animate is not None, "--stages and --animate are two pictures: leave out one of them"),
        (columns is not None, "with --stages a row shows the stages of one image: leave out --columns"),
        (
            out is not None and is_folder(out),
            f"--stages is written as one picture, not to a folder; try -o {card.name}-stages.png",
        ),
    ):
        if unfit:
            raise click.UsageError(words, click.get_current_context())
    from genzoo.explore.stages import unstaged
    from genzoo.models import StagedModel

    if not issubclass(card.load_class(), StagedModel):
        raise ArgumentError(*unstaged(card.name))


def write_stages(model: Any, n: int, seed: int, labels: Sequence[str | None], path: Path) -> str:
    """Write one row for each of `n` latents of `seed` under each of `labels`, with one column for each stage,
    and return what was written.

    Raises:
        ArgumentError: more images, counting every stage, than one picture shows.
    """
    import torch

    from genzoo.explore.stages import stages
    from genzoo.images import save_grid

    first = model.stages(model.sample_latents(1, seed), labels[0])
    sizes = [tuple(images.shape[2:]) for images in first]
    most = MOST_IN_GRID // (len(labels) * len(sizes))
    hint = f"at most {most:,} with --stages: -n {most}" if most else "name fewer labels with --condition"
    check_grid(n * len(labels) * len(sizes), hint)
    z = model.sample_latents(n, seed)
    rows = torch.cat([stages(model, z, condition=label) for label in labels])
    save_grid(rows.flatten(0, 1), path, columns=len(sizes))
    words = ", ".join("×".join(map(str, size)) for size in sizes)
    many = f"{n * len(labels):,} image{'s' * (n * len(labels) != 1)}"
    return f"{path}: {many} at {'the stages' if sizes[1:] else 'the stage'} {words}"
