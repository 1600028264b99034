"""`genzoo sample`: new images from a model, as one picture, as single files or as shards."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from genzoo.cli.conditions import check_rows, condition_option, read_rows
from genzoo.cli.destinations import OPTIONS, Files, files_of, own_device, world_of
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
from genzoo.cli.pictures import check_folder, check_samples
from genzoo.cli.samples import Order, write_animation, write_grid, write_grown
from genzoo.cli.singles import FORMATS, Source, write_single
from genzoo.errors import safe_text
from genzoo.manner import Manner
from genzoo.whole import LARGEST

if TYPE_CHECKING:
    from torch import Tensor

    from genzoo.training.parallel import World


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
    "--first",
    type=click.IntRange(0, LARGEST // 2),
    default=0,
    help="Number of the first image among those of the seed. Default: 0.",
)
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
    help="A .png for one picture of all, a folder/ for single images, which are continued if some are there, "
    "or a .npz or .tar for all in one file. Default: NAME.png.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Of a folder: a PNG per image (default), or files of 1,000 images, .tar (PNGs) or .npz (one array).",
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
    first: int,
    as_json: bool,
    device: str | None,
    **asked: Any,
) -> None:
    """Generate images with a model.

    A picture of a VAE shows the mean of p(x|z) of each z, as pictures in papers do; a sample of p(x) has the
    noise of p(x|z) on top. With a mean, a temperature or a truncation the images are not samples of p(x):
    the last line, the metadata of the PNG and --json say so.

    Images in a folder are named by their number, and the same command draws only what is missing there.
    Several processes share the work:
    torchrun --nproc-per-node 2 -m genzoo sample NAME -n 50000 --seed 0 -o out/

    Example: genzoo sample dcgan-bedrooms -n 16 -o bedrooms.png
    """
    from genzoo import zoo

    entry = find(name)
    card = entry.card
    check_samples(card)
    # Chosen here and printed, so that the images can be made again.
    start = secrets.randbelow(FRESH_SEEDS) if seed is None else seed
    # All paths and limits are checked before torch is loaded: an error comes in a tenth of a second.
    order = Order(card.name, n, start, check_rows(entry, condition), card.condition, first=first)
    order = replace(order, weights="" if entry.row is None else entry.row.sha256)
    files = files_of(card, order, asked.pop("form"), **{key: asked.pop(key) for key in OPTIONS})
    world = world_of(files, seed)
    with Progress(card.name) as progress:
        model: Any = zoo.load(entry, device=own_device(device, world), progress=progress)
    collect_garbage()
    if condition is not None:  # the labels of its weights are those that count
        order = replace(order, rows=read_rows(model.condition, condition), of=model.condition)
    order = replace(order, manner=_manner(model, **asked))
    _write(model, order, files, world)
    if as_json and world.writes:
        say_json(order.facts | {"files": [str(path) for path in (files.film, files.target) if path]})


def _write(model: Any, order: Order, files: Files, world: World) -> None:
    """Draw the images of `order`, write the animation and the pictures that are wanted, and say so."""
    with Progress(order.name, _unit(model)) as progress:
        sources = _sources(model, order, progress if world.writes else _silent)
        if files.film is not None:
            # The last frames are the images: they are not generated a second time for the picture.
            last, written = write_animation(model, order, files.film, files.columns, progress)
            note(safe_text(f"{written} of {order.name} being drawn, {order.words}", 1000))
            sources = _drawn(order, last)
        if files.target is None:
            return
        if files.single:
            if files.form:
                check_folder(str(files.target), order.total, math.prod(model.image_shape))
            place = (model, world.rank, world.size)
            written = write_single(order, files.target, files.form, sources, place)
        else:
            write = write_grown if files.grown else write_grid
            written = write(model, _all(order, sources), order, files.target, files.columns)
        if world.writes:
            note(safe_text(f"{written} of {order.name}, {order.words}", 1000))


def _silent(*state: Any) -> None:
    """Show no progress: one process does."""


def _manner(model: Any, mean: bool | None, **numbers: Any) -> Manner:
    """Return how the images are drawn: as asked for; without --mean or --no-mean, as pictures are."""
    from genzoo.models.manner import check_manner, pictured

    shown = pictured(model).mean if mean is None else mean
    return check_manner(model, Manner(mean=shown, **numbers))


def _unit(model: Any) -> str:
    """Return what is counted while images are drawn: pixels of models that draw one at a time."""
    from genzoo.models import AutoregressiveModel

    return "pixels" if isinstance(model, AutoregressiveModel) else "images"


def _sources(model: Any, order: Order, progress: Callable[[int, int], None]) -> Callable[[int], Source]:
    """Return what makes a source of a number of images: it draws them as uint8, a few at a time, and tells
    `progress`.
    """
    import torch

    pixels = math.prod(model.image_shape[1:])
    scale, single = (pixels, 1) if _unit(model) == "pixels" else (1, pixels)

    def of(total: int) -> Source:
        done = 0

        def draw(row: int, first: int, n: int) -> Iterator[Tensor]:
            nonlocal done
            before, done = done, done + n
            for images in model.sample_batches(
                n,
                order.seed,
                first=first,
                condition=order.labels[row],
                dtype=torch.uint8,
                progress=lambda at, _: progress(before * scale + at // single, total * scale),
                **asdict(order.manner),
            ):
                yield images.cpu()

        return draw

    return of


def _drawn(order: Order, images: Tensor) -> Callable[[int], Source]:
    """Return what makes a source of images that are drawn already, all rows one after the other."""
    return lambda total: lambda row, first, n: [images[row * order.n + first - order.first :][:n]]


def _all(order: Order, sources: Callable[[int], Source]) -> Iterator[Tensor]:
    """Yield the images of all rows, a few at a time."""
    draw = sources(order.total)
    for row in range(len(order.labels)):
        yield from draw(row, order.first, order.n)
