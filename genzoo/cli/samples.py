"""What `genzoo sample` writes: pictures and animations of the images that are asked for; single files are in
singles.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genzoo.cli.conditions import named
from genzoo.cli.output import Progress
from genzoo.cli.pictures import SINGLE, check_grid
from genzoo.cli.stages import write_stages
from genzoo.condition import Condition
from genzoo.manner import PLAIN, Manner

if TYPE_CHECKING:
    from torch import Tensor

PREFIX, LONGEST = "sample", 50


@dataclass(frozen=True)
class Order:
    """What is drawn of the model `name`, and how: `n` images from number `first` of each of `rows`, the
    labels, or without labels `n` images; `weights` is the sha256 of the model's file.
    """

    name: str
    n: int
    seed: int
    rows: tuple[str, ...] = ()
    of: Condition | None = None  # what the rows are values of
    manner: Manner = PLAIN
    first: int = 0
    weights: str = ""

    @property
    def end(self) -> int:
        """The number after that of the last image."""
        return self.first + self.n

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
            return f"rows: {named(self.rows)}, seed {self.seed}{self._from}{self._apart}"
        given = "".join(f"{self.of.describe(row)}, " for row in self.rows if self.of)
        return f"{given}seed {self.seed}{self._from}{self._apart}"

    @property
    def _from(self) -> str:
        return f", from number {self.first:,}" if self.first else ""

    @property
    def _apart(self) -> str:
        if not self.manner.words:
            return ""
        way = " (--no-mean draws the pixels as well)" if self.manner.mean else ""
        return f"; {self.manner.words}, so these are not samples of p(x){way}"

    @property
    def facts(self) -> dict[str, Any]:
        """What --json says of it."""
        drawn = {"name": self.name, "n": self.n, "seed": self.seed, "first": self.first}
        return drawn | {"rows": list(self.rows), "manner": self.manner.words}

    @property
    def told(self) -> dict[str, str]:
        """What the metadata of its pictures say."""
        facts = {"model": self.name, "seed": str(self.seed), "labels": ", ".join(self.rows)}
        more = {"first": str(self.first or ""), "samples": self.manner.words}
        return {key: value for key, value in (facts | more).items() if value}

    def told_of(self, label: str | None) -> dict[str, str]:
        """What the metadata of a single image say, or of a file of several, of the row of `label`."""
        facts = {"model": self.name, "weights": self.weights, "seed": str(self.seed), "labels": label or ""}
        return {key: value for key, value in (facts | {"samples": self.manner.words}).items() if value}


def write_animation(
    model: Any, order: Order, path: Path, columns: int | None, progress: Progress
) -> tuple[Tensor, str]:
    """Draw the images of `order`, write how they were drawn, and return them as uint8, with what was
    written.
    """
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
    return quantise(frames[-1]).cpu(), f"{path}: {len(frames)} frames of {many(order.total)}"


def write_grid(model: Any, batches: Iterable[Tensor], order: Order, path: Path, columns: int | None) -> str:
    """Put the images of `batches` into one picture and return what was written."""
    import torch

    from genzoo.images import save_grid

    check_grid(order.total, SINGLE)
    save_grid(torch.cat(list(batches)), path, columns, text=order.told)
    return f"{path}: {many(order.total)}"


def write_grown(model: Any, batches: Iterable[Tensor], order: Order, path: Path, columns: int | None) -> str:
    """Put the stages of each image into a row of one picture and return what was written; `batches`, the
    images alone, are not generated, and a row has as many columns as there are stages.
    """
    if order.manner.words:
        raise click.UsageError(
            "--stages shows each z as it is drawn: leave out --truncation", click.get_current_context()
        )
    return write_stages(model, order.n, order.seed, order.labels, path)


def stems(labels: Sequence[str]) -> dict[str, str]:
    """Return for each label what stands for it in the name of a file: the label without signs that a file
    system may refuse, all with their numbers where two would be alike.
    """
    plain = {label: re.sub(r"[^\w.]+", "-", label.casefold())[:LONGEST].strip("-.") for label in labels}
    if len(set(plain.values())) == len(plain) and all(plain.values()):
        return plain
    return {label: f"{number}-{stem}".strip("-") for number, (label, stem) in enumerate(plain.items())}


def many(n: int) -> str:
    """Return "1 image" or "2,000 images"."""
    return f"{n:,} image{'s' * (n != 1)}"


def part_of(progress: Progress, order: Order, row: int) -> Callable[[int, int], None]:
    """Return what tells `progress` how far the whole is, called with how far `row` is."""
    return lambda done, total: progress(row * total + done, len(order.labels) * total)
