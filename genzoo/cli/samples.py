"""What `genzoo sample` writes: pictures, single files and animations of the images that are asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genzoo.cli.conditions import named
from genzoo.cli.output import Progress
from genzoo.cli.pictures import check_folder, check_grid
from genzoo.cli.stages import write_stages
from genzoo.condition import Condition, Labels
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
            progress=part_of(progress, order, row),
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


def part_of(progress: Progress, order: Order, row: int) -> Callable[[int, int], None]:
    """Return what tells `progress` how far the whole is, called with how far `row` is."""
    return lambda done, total: progress(row * total + done, len(order.labels) * total)
