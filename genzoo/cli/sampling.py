"""`genzoo sample`: new images from a model, as one picture or as single files."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genzoo.card import Card
from genzoo.cli.options import (
    FRESH_SEEDS,
    collect_garbage,
    command,
    device_option,
    find,
    name_argument,
    seed_option,
)
from genzoo.cli.output import Progress, note
from genzoo.cli.pictures import (
    check_animation,
    check_file,
    check_folder,
    check_grid,
    check_in_order,
    check_samples,
    free_file,
    is_folder,
)
from genzoo.errors import safe_text

if TYPE_CHECKING:
    from torch import Tensor

PREFIX, DIGITS = "sample", 6


@command("sample")
@name_argument
@click.option("-n", "n", type=click.IntRange(min=1), default=16, show_default=True, help="Number of images.")
@seed_option
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    help="A .png for one picture of all, or a folder/ for single images. Default: NAME.png.",
)
@click.option(
    "--animate",
    type=click.Path(),
    metavar="GIF",
    help="Write an animation of the drawing, pixel by pixel (pixel models only); alone or with -o.",
)
@click.option("--columns", type=click.IntRange(min=1), help="Images per row of the picture.")
@device_option
def sample_command(
    name: str,
    n: int,
    seed: int | None,
    out: str | None,
    animate: str | None,
    columns: int | None,
    device: str | None,
) -> None:
    """Generate images with a model.

    Example: genzoo sample dcgan-bedrooms -n 16 -o bedrooms.png
    """
    from genzoo import zoo

    entry = find(name)
    card = entry.card
    check_samples(card)
    # All paths and limits are checked before torch is loaded: an error comes in a tenth of a second.
    film = _film(card, n, animate)
    target = _target(card, n, out) if out is not None or film is None else None
    write = write_single if out is not None and is_folder(out) else write_grid
    # Chosen here and printed, so that the images can be made again.
    start = secrets.randbelow(FRESH_SEEDS) if seed is None else seed
    with Progress(card.name) as progress:
        model = zoo.load(entry, device=device, progress=progress)
    collect_garbage()
    with Progress(card.name, _unit(model)) as progress:
        batches: Iterable[Tensor] = _batches(model, n, start, progress)
        if film is not None:
            # The last frames are the images: they are not generated a second time for the picture.
            batches, written = write_animation(model, n, start, film, columns, progress)
            note(safe_text(f"{written} of {card.name} being drawn, seed {start}", 1000))
        if target is not None:
            note(safe_text(f"{write(model, batches, n, target, columns)} of {card.name}, seed {start}", 1000))


def _film(card: Card, n: int, animate: str | None) -> Path | None:
    """Return the animation's path, None if none is wanted; a wrong one raises before any work is done."""
    if animate is None:
        return None
    hint = f"to see its images change: genzoo interpolate {card.name}"
    check_in_order(card, "generates whole images: there is no drawing to animate", hint)
    check_animation(n)
    return check_file(animate, "GIF")


def _target(card: Card, n: int, out: str | None) -> Path:
    """Return where the images go."""
    if out is not None and is_folder(out):
        return Path(out)
    check_grid(n)
    return check_file(out) if out is not None else free_file(card.name)


def write_animation(
    model: Any, n: int, seed: int, path: Path, columns: int | None, progress: Progress
) -> tuple[Iterable[Tensor], str]:
    """Draw `n` images, write how they were drawn, and return them with what was written."""
    from genzoo.explore.drawing import drawing
    from genzoo.images import quantise, save_animation

    frames = list(drawing(model, n, seed, progress=progress))
    save_animation(frames, path, columns)
    return [quantise(frames[-1]).cpu()], f"{path}: {len(frames)} frames of {_many(n)}"


def write_grid(model: Any, batches: Iterable[Tensor], n: int, path: Path, columns: int | None) -> str:
    """Put the `n` images of `batches` into one picture and return what was written."""
    import torch

    from genzoo.images import save_grid

    save_grid(torch.cat(list(batches)), path, columns)
    return f"{path}: {_many(n)}"


def write_single(model: Any, batches: Iterable[Tensor], n: int, folder: Path, columns: int | None) -> str:
    """Write the `n` images of `batches` to `folder`, a few at a time, and return what was written; `columns`
    has no meaning here.
    """
    from genzoo.images import save_image

    channels, height, width = model.image_shape
    check_folder(str(folder), n, channels * height * width)
    done, digits = 0, max(DIGITS, len(str(n - 1)))
    for images in batches:
        for image in images:
            save_image(image, folder / f"{PREFIX}-{done:0{digits}}.png")
            done += 1
    # Older images are not removed: they may be the only copy.
    others = sum(1 for path in folder.glob(f"{PREFIX}-*.png")) - n
    older = f" ({others:,} older ones were left there)" if others > 0 else ""
    return f"{folder}/: {_many(n)}{older}"


def _many(n: int) -> str:
    return f"{n:,} image{'s' * (n != 1)}"


def _unit(model: Any) -> str:
    """Return what is counted while images are drawn: pixels of models that draw one at a time."""
    from genzoo.models import AutoregressiveModel

    return "pixels" if isinstance(model, AutoregressiveModel) else "images"


def _batches(model: Any, n: int, seed: int, progress: Progress) -> Iterator[Tensor]:
    """Yield the images as uint8, a few at a time, telling `progress`."""
    import torch

    single = 1 if _unit(model) == "pixels" else math.prod(model.image_shape[1:])
    for images in model.sample_batches(
        n, seed, dtype=torch.uint8, progress=lambda *pixels: progress(*(at // single for at in pixels))
    ):
        yield images.cpu()
