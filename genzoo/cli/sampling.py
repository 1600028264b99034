"""`genzoo sample`: new images from a model, as one picture or as single files."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genzoo.card import Card
from genzoo.cli.conditions import check_rows, condition_option, read_rows
from genzoo.cli.options import (
    FRESH_SEEDS,
    collect_garbage,
    command,
    device_option,
    find,
    json_option,
    manner_options,
    model_argument,
    seed_option,
)
from genzoo.cli.output import Progress, note, say_json
from genzoo.cli.pictures import (
    check_animation,
    check_file,
    check_grid,
    check_in_order,
    check_samples,
    free_file,
    is_folder,
)
from genzoo.cli.samples import Order, part_of, write_animation, write_grid, write_grown, write_single
from genzoo.cli.stages import check_stages
from genzoo.errors import safe_text
from genzoo.manner import Manner

if TYPE_CHECKING:
    from torch import Tensor


@command("sample")
@model_argument
@click.option(
    "-n",
    "n",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Number of images; of each label, with several.",
)
@condition_option(
    "Label of a conditional model, by name or number: kitchen, or 7. Several with commas, or all: one row "
    "for each, from the same z. Of a model that takes texts, a text; all: its sentences.",
    several=True,
)
@seed_option
@click.option(
    "--mean/--no-mean",
    default=None,
    help="Of VAEs: show the mean of p(x|z) of each z, or draw the pixels as well. Default: the mean.",
)
@manner_options
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
@click.option(
    "--stages",
    is_flag=True,
    help="One row per image: how it grows from coarse to fine (models with stages only).",
)
@json_option
@device_option
def sample_command(
    name: str,
    n: int,
    condition: str | None,
    seed: int | None,
    out: str | None,
    animate: str | None,
    columns: int | None,
    stages: bool,
    as_json: bool,
    device: str | None,
    **asked: Any,
) -> None:
    """Generate images with a model.

    A picture of a VAE shows the mean of p(x|z) of each z, as pictures in papers do; a sample of p(x) has the
    noise of p(x|z) on top. With a mean, a temperature or a truncation the images are not samples of p(x):
    the last line, the metadata of the PNG and --json say so.

    Example: genzoo sample dcgan-bedrooms -n 16 -o bedrooms.png
    """
    from genzoo import zoo

    entry = find(name)
    card = entry.card
    check_samples(card)
    # Chosen here and printed, so that the images can be made again.
    start = secrets.randbelow(FRESH_SEEDS) if seed is None else seed
    # All paths and limits are checked before torch is loaded: an error comes in a tenth of a second.
    order = Order(card.name, n, start, check_rows(entry, condition), card.condition)
    film = _film(card, order.total, animate)
    target = _target(card, order.total, out) if out is not None or film is None else None
    if stages:
        check_stages(card, out, animate, columns)
    with Progress(card.name) as progress:
        model: Any = zoo.load(entry, device=device, progress=progress)
    collect_garbage()
    if condition is not None:  # the labels of its weights are those that count
        order = replace(order, rows=read_rows(model.condition, condition), of=model.condition)
    order = replace(order, manner=_manner(model, **asked))
    _write(model, order, (film, target), _writer(out, stages), _columns(order, columns))
    if as_json:
        files = [str(path) for path in (film, target) if path is not None]
        say_json(order.facts | {"files": files})


def _write(
    model: Any,
    order: Order,
    files: tuple[Path | None, Path | None],
    write: Callable[..., str],
    across: int | None,
) -> None:
    """Draw the images of `order`, write the animation and the pictures that are wanted, and say so."""
    film, target = files
    with Progress(order.name, _unit(model)) as progress:
        batches: Iterable[Tensor] = _batches(model, order, progress)
        if film is not None:
            # The last frames are the images: they are not generated a second time for the picture.
            batches, written = write_animation(model, order, film, across, progress)
            note(safe_text(f"{written} of {order.name} being drawn, {order.words}", 1000))
        if target is not None:
            written = write(model, batches, order, target, across)
            note(safe_text(f"{written} of {order.name}, {order.words}", 1000))


def _manner(model: Any, mean: bool | None, **numbers: Any) -> Manner:
    """Return how the images are drawn: as asked for; without --mean or --no-mean, as pictures are."""
    from genzoo.models.manner import check_manner, pictured

    shown = pictured(model).mean if mean is None else mean
    return check_manner(model, Manner(mean=shown, **numbers))


def _writer(out: str | None, stages: bool) -> Callable[..., str]:
    """Return the function that writes what is asked for."""
    if stages:
        return write_grown
    return write_single if out is not None and is_folder(out) else write_grid


def _columns(order: Order, columns: int | None) -> int | None:
    """Return how many images a row of the picture has, None for as square as possible."""
    if len(order.rows) < 2:
        return columns
    if columns is not None:
        raise click.UsageError(
            "with several conditions each has a row of its own: leave out --columns, "
            f"-n {order.n} is its length",
            click.get_current_context(),
        )
    return order.n


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


def _unit(model: Any) -> str:
    """Return what is counted while images are drawn: pixels of models that draw one at a time."""
    from genzoo.models import AutoregressiveModel

    return "pixels" if isinstance(model, AutoregressiveModel) else "images"


def _batches(model: Any, order: Order, progress: Progress) -> Iterator[Tensor]:
    """Yield the images as uint8, row by row and a few at a time, telling `progress`."""
    import torch

    single = 1 if _unit(model) == "pixels" else math.prod(model.image_shape[1:])
    for row, label in enumerate(order.labels):
        tell = part_of(progress, order, row)
        for images in model.sample_batches(
            order.n,
            order.seed,
            condition=label,
            dtype=torch.uint8,
            progress=lambda *pixels, tell=tell: tell(*(at // single for at in pixels)),
            **asdict(order.manner),
        ):
            yield images.cpu()
