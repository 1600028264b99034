"""Where the images of `genzoo sample` go: which options fit together, and which files several processes may
make. Checked before the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genzoo.card import Card
from genzoo.cli.pictures import (
    SINGLE,
    check_animation,
    check_file,
    check_grid,
    check_in_order,
    check_writable,
    free_file,
    is_folder,
    is_pack,
)
from genzoo.cli.samples import Order
from genzoo.cli.stages import check_stages
from genzoo.errors import TrainingError

if TYPE_CHECKING:
    from genzoo.training.parallel import World

OPTIONS = ("out", "animate", "columns", "stages")


@dataclass(frozen=True)
class Files:
    """Where the images go: the animation and the target, if they are wanted, and how they are laid there."""

    film: Path | None
    target: Path | None
    form: str
    columns: int | None
    grown: bool

    @property
    def single(self) -> bool:
        """Whether the target is no picture."""
        return self.target is not None and (self.form != "" or is_pack(self.target))


def files_of(
    card: Card,
    order: Order,
    form: str | None,
    *,
    out: str | None,
    animate: str | None,
    columns: int | None,
    stages: bool,
) -> Files:
    """Return where the images go; a wrong path or options that do not go together raise."""
    context = click.get_current_context()
    folder = out is not None and is_folder(out)
    for unfit, words in (
        (
            order.first and animate is not None,
            "--animate shows the first images of a seed: leave out --first",
        ),
        (order.first and stages, "--stages shows the first images of a seed: leave out --first"),
        (form and not folder, f"--format {form} is that of a folder: -o {card.name}/"),
        (
            len(order.rows) > 1 and is_pack(out),
            f"a {Path(out or '').suffix} file holds images of one condition: try -o {Path(out or '').stem}/",
        ),
    ):
        if unfit:
            raise click.UsageError(words, context)
    film = _film(card, order.total, animate)
    # how many images --stages shows is known once the model is loaded
    target = _target(card, 0 if stages else order.total, out) if out is not None or film is None else None
    if stages:
        check_stages(card, out, animate, columns)
    return Files(film, target, (form or "png") if folder else "", _columns(order, columns), stages)


def world_of(files: Files, seed: int | None) -> World:
    """Return which of the processes that torchrun started this one is.

    Raises:
        click.UsageError: several processes, but a single file, or no seed: each would choose its own.
        TrainingError: see `genzoo.training.parallel.place`.
    """
    from genzoo.training.parallel import World, place

    try:
        world = place()
    except TrainingError:
        if files.form:
            raise
        return World()  # whatever is left of torchrun's variables, one picture is one process's work
    if world.size > 1 and (files.form == "" or files.film is not None):
        words = (
            "several processes make many files, not one: give a folder, -o samples/, or leave torchrun out"
        )
        raise click.UsageError(words, click.get_current_context())
    if world.size > 1 and seed is None:
        words = "each of several processes would choose a seed of its own: give --seed, for example --seed 0"
        raise click.UsageError(words, click.get_current_context())
    return world


def own_device(device: str | None, world: World) -> str | None:
    """Return the device of this process: its own GPU, where the GPU is wanted."""
    return f"cuda:{world.local_rank}" if device == "cuda" and world.size > 1 else device


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
    if is_pack(out):
        return check_writable(Path(out or ""))
    check_grid(n, SINGLE)
    return check_file(out) if out is not None else free_file(card.name)
