"""`genzoo sample`: new images from a model, as one picture or as single files."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genzoo.card import Card
from genzoo.cli.conditions import check_rows, condition_option, named, read_rows
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
    check_folder,
    check_grid,
    check_in_order,
    check_samples,
    free_file,
    is_folder,
)
from genzoo.cli.stages import check_stages, write_stages
from genzoo.condition import Condition, Labels
from genzoo.errors import safe_text
from genzoo.manner import PLAIN, Manner

if TYPE_CHECKING:
    from torch import Tensor

PREFIX, DIGITS, LONGEST = "sample", 6, 50


@dataclass(frozen=True)
class Order:
    """What is drawn of the model `name`, and how: `n` images of each of `rows`, the labels, or without labels
    `n` images.
    """

    name: str
    n: int
    seed: int
    rows: tuple[str, ...] = ()
    of: Condition | None = None  # what the rows are values of
    manner: Manner = PLAIN

    @property
    def labels(self) -> tuple[str | None, ...]:
        """The condition of each row, None for a model without one."""
        return self.rows or (None,)

    @property
    def total(self) -> int:
        """How many images these are."""
        return self.n * len(self.labels)

    @property
    def words(self) -> str:
        """Return the labels, the seed and the manner, for the line that says what was drawn."""
        if len(self.rows) > 1:
            return f"rows: {named(self.rows)}, seed {self.seed}{self._apart}"
        given = "".join(f"{self.of.describe(row)}, " for row in self.rows if self.of)
        return f"{given}seed {self.seed}{self._apart}"

    @property
    def _apart(self) -> str:
        if not self.manner.words:
            return ""
        way = " (--no-mean draws the pixels as well)" if self.manner.mean else ""
        return f"; {self.manner.words}, so these are not samples of p(x){way}"

    @property
    def facts(self) -> dict[str, Any]:
        """What --json says of it."""
        drawn = {"name": self.name, "n": self.n, "seed": self.seed}
        return drawn | {"rows": list(self.rows), "manner": self.manner.words}

    @property
    def told(self) -> dict[str, str]:
        """What the metadata of its pictures say."""
        facts = {"model": self.name, "seed": str(self.seed), "labels": ", ".join(self.rows)}
        return {key: value for key, value in (facts | {"samples": self.manner.words}).items() if value}


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


def write_animation(
    model: Any, order: Order, path: Path, columns: int | None, progress: Progress
) -> tuple[Iterable[Tensor], str]:
    """Draw the images of `order`, write how they were drawn, and return them with what was written."""
    import torch

    from genzoo.explore.drawing import drawing
    from genzoo.images import quantise, save_animation

    rows = [
        drawing(
            model,
            order.n,
            order.seed,
            progress=_part(progress, order, row),
            condition=label,
            temperature=order.manner.temperature,
        )
        for row, label in enumerate(order.labels)
    ]
    frames = [torch.cat(stage) for stage in zip(*rows, strict=True)]
    save_animation(frames, path, columns)
    return [quantise(frames[-1]).cpu()], f"{path}: {len(frames)} frames of {_many(order.total)}"


def write_grid(model: Any, batches: Iterable[Tensor], order: Order, path: Path, columns: int | None) -> str:
    """Put the images of `batches` into one picture and return what was written."""
    import torch

    from genzoo.images import save_grid

    check_grid(order.total)
    save_grid(torch.cat(list(batches)), path, columns, text=order.told)
    return f"{path}: {_many(order.total)}"


def write_grown(model: Any, batches: Iterable[Tensor], order: Order, path: Path, columns: int | None) -> str:
    """Put the stages of each image into a row of one picture and return what was written; `batches`, the
    images alone, are not generated, and a row has as many columns as there are stages.
    """
    if order.manner.words:
        raise click.UsageError(
            "--stages shows each z as it is drawn: leave out --truncation", click.get_current_context()
        )
    return write_stages(model, order.n, order.seed, order.labels, path)


def write_single(
    model: Any, batches: Iterable[Tensor], order: Order, folder: Path, columns: int | None
) -> str:
    """Write the images of `batches` to `folder`, a few at a time, and return what was written; `columns` has
    no meaning here.
    """
    from genzoo.images import save_image

    check_folder(str(folder), order.total, math.prod(model.image_shape))
    names = _names(model, order)
    for images in batches:
        for image in images:
            save_image(image, folder / next(names), order.told)
    # Older images are not removed: they may be the only copy.
    others = sum(1 for path in folder.glob(f"{PREFIX}-*.png")) - order.total
    older = f" ({others:,} older ones were left there)" if others > 0 else ""
    return f"{folder}/: {_many(order.total)}{older}"


def _names(model: Any, order: Order) -> Iterator[str]:
    """Yield the names of the files: sample-000000.png, or sample-kitchen-000000.png."""
    digits = max(DIGITS, len(str(order.n - 1)))
    known = stems(order.rows if not isinstance(order.of, Labels) else order.of.names) if order.rows else {}
    for label in order.labels:
        stem = PREFIX if label is None else f"{PREFIX}-{known[label]}"
        yield from (f"{stem}-{number:0{digits}}.png" for number in range(order.n))


def stems(labels: Sequence[str]) -> dict[str, str]:
    """Return for each label what stands for it in the name of a file: the label without signs that a file
    system may refuse, all with their numbers where two would be alike.
    """
    plain = {label: re.sub(r"[^\w.]+", "-", label.casefold())[:LONGEST].strip("-.") for label in labels}
    if len(set(plain.values())) == len(plain) and all(plain.values()):
        return plain
    return {label: f"{number}-{stem}".strip("-") for number, (label, stem) in enumerate(plain.items())}


def _many(n: int) -> str:
    return f"{n:,} image{'s' * (n != 1)}"


def _unit(model: Any) -> str:
    """Return what is counted while images are drawn: pixels of models that draw one at a time."""
    from genzoo.models import AutoregressiveModel

    return "pixels" if isinstance(model, AutoregressiveModel) else "images"


def _batches(model: Any, order: Order, progress: Progress) -> Iterator[Tensor]:
    """Yield the images as uint8, row by row and a few at a time, telling `progress`."""
    import torch

    single = 1 if _unit(model) == "pixels" else math.prod(model.image_shape[1:])
    for row, label in enumerate(order.labels):
        tell = _part(progress, order, row)
        for images in model.sample_batches(
            order.n,
            order.seed,
            condition=label,
            dtype=torch.uint8,
            progress=lambda *pixels, tell=tell: tell(*(at // single for at in pixels)),
            **asdict(order.manner),
        ):
            yield images.cpu()


def _part(progress: Progress, order: Order, row: int) -> Callable[[int, int], None]:
    """Return what tells `progress` how far the whole is, called with how far `row` is."""
    return lambda done, total: progress(row * total + done, len(order.labels) * total)
