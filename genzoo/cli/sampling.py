"""`genzoo sample`: new images from a model, as one picture or as single files."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genzoo.cli.options import FRESH_SEEDS, command, device_option, find, name_argument, seed_option, settled
from genzoo.cli.output import Progress, note
from genzoo.cli.pictures import check_file, check_folder, check_grid, check_samples, free_file, is_folder
from genzoo.errors import safe_text

if TYPE_CHECKING:
    from torch import Tensor

PREFIX, DIGITS = "sample", 6


@command("sample")
@name_argument
@click.option("-n", "n", type=click.IntRange(min=1), default=16, show_default=True, help="How many images.")
@seed_option
@click.option("-o", "--out", type=click.Path(), help="A .png for one picture of all, or a folder/ for single images. By default NAME.png.")
@click.option("--columns", type=click.IntRange(min=1), help="Images in a row of the picture.")
@device_option
def sample_command(name: str, n: int, seed: int | None, out: str | None, columns: int | None, device: str | None) -> None:
    """New images of a model.

    Try: genzoo sample dcgan-bedrooms -n 16 -o bedrooms.png
    """
    from genzoo import zoo

    card, _ = find(name)
    check_samples(card)
    single = out is not None and is_folder(out)
    if not single:
        check_grid(n)
    target = Path(out) if out is not None and single else check_file(out) if out is not None else free_file(card.name)
    start = secrets.randbelow(FRESH_SEEDS) if seed is None else seed
    with Progress(card.name) as progress:
        model = zoo.load(card.name, device=device, progress=progress)
    settled()
    with Progress(card.name, "images") as progress:
        write = write_single if single else write_grid
        note(safe_text(f"{write(model, n, start, target, columns, progress)} of {card.name}, seed {start}", 1000))


def write_grid(model: Any, n: int, seed: int, path: Path, columns: int | None, progress: Progress) -> str:
    """Draw `n` images into one picture and return what was written."""
    import torch

    from genzoo.images import save_grid

    save_grid(torch.cat(list(_batches(model, n, seed, progress))), path, columns)
    return f"{path}: {n:,} image{'s' * (n != 1)}"


def write_single(model: Any, n: int, seed: int, folder: Path, columns: int | None, progress: Progress) -> str:
    """Write `n` images to `folder`, a few at a time, and return what was written; `columns` has no meaning here."""
    from genzoo.images import save_image

    channels, height, width = model.image_shape
    check_folder(str(folder), n, channels * height * width)
    done, digits = 0, max(DIGITS, len(str(n - 1)))
    for images in _batches(model, n, seed, progress):
        for image in images:
            save_image(image, folder / f"{PREFIX}-{done:0{digits}}.png")
            done += 1
    others = sum(1 for path in folder.glob(f"{PREFIX}-*.png")) - n
    older = f" (beside {others:,} older ones that were left there)" if others > 0 else ""
    return f"{folder}/: {n:,} image{'s' * (n != 1)}{older}"


def _batches(model: Any, n: int, seed: int, progress: Progress) -> Iterator[Tensor]:
    """Yield the images as uint8, a few at a time, telling `progress`."""
    import torch

    done = 0
    for images in model.sample_batches(n, seed, dtype=torch.uint8):
        yield images.cpu()
        done += len(images)
        progress(done, n)
