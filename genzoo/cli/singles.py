"""`genzoo sample -o FOLDER/`: many images as single PNG files, or as shards of a thousand (.tar, .npz).

What a file holds follows from the model, the seed and the number of its images in the seed's stream, so

- a file is named by these numbers: `sample-000123.png` is image 123, whatever -n, --first and the number of
  processes are;
- a file states what it holds, and one that is there already and states the same is not made again: the same
  command continues where a killed one ended;
- each of several processes (torchrun) takes its share of the numbers, without a word to the others.

A file has its name only once it is whole. Single PNGs are not flushed to the disk one by one, which would
take longer than to draw them; a power cut may leave the last ones empty, and they are then made again.
"""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from genzoo.cli.packs import packed, write_npz, write_tar
from genzoo.cli.pictures import is_pack
from genzoo.cli.samples import PREFIX, Order, many, stems
from genzoo.condition import Labels
from genzoo.files import atomic_write, filling, sweep
from genzoo.safe_open import open_to_read

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Pixels: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

A = TypeVar("A")
B = TypeVar("B")
# (row of the order, number of the first image, how many) -> uint8 images (N, C, H, W), a few at a time
Source: TypeAlias = "Callable[[int, int, int], Iterable[Tensor]]"

DIGITS = 6
SHARD = 1_000  # images in a file of a format that takes several
_MOST_THREADS = 8  # that encode: beyond it they wait for each other
_END = b"IEND\xaeB\x60\x82"  # of every PNG
FORMATS = ("png", "tar", "npz")


@dataclass(frozen=True)
class Part:
    """One file: `count` images from number `first` of the row `row` of an order, and what it states."""

    path: Path
    row: int
    first: int
    count: int
    stem: str
    told: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of its images as single files."""
        return [
            f"{self.stem}-{number:0{DIGITS}}.png" for number in range(self.first, self.first + self.count)
        ]


def parts_of(order: Order, out: Path, form: str) -> list[list[Part]]:
    """Return the files of `order`, those of each row in the order of their images.

    Shards start at multiples of their size, so that those of two commands fit together. If `out` is a .tar or
    .npz file, it holds all images.
    """
    known = stems(order.rows if not isinstance(order.of, Labels) else order.of.names) if order.rows else {}
    found = []
    for row, label in enumerate(order.labels):
        stem = PREFIX if label is None else f"{PREFIX}-{known[label]}"
        told = order.told_of(label)
        size = order.end if is_pack(out) and not form else 1 if form == "png" else SHARD
        starts = [order.first, *range(order.first // size * size + size, order.end, size)]
        ends = [*starts[1:], order.end]
        places = [(start, end - start) for start, end in zip(starts, ends, strict=True)]
        found.append([_part(out, form, row, place, stem, told) for place in places])
    return found


def _part(out: Path, form: str, row: int, place: tuple[int, int], stem: str, told: dict[str, str]) -> Part:
    first, count = place
    if form == "png":
        return Part(out / f"{stem}-{first:0{DIGITS}}.png", row, first, count, stem, told)
    name = f"{stem}-{first:0{DIGITS}}-{first + count - 1:0{DIGITS}}.{form}"
    of_pack = {**told, "first": str(first), "n": str(count)}
    return Part(out / name if form else out, row, first, count, stem, of_pack)


def share(parts: list[Part], rank: int, size: int, chunk: int) -> list[Part]:
    """Return the files that process `rank` of `size` makes: consecutive ones, whole chunks of `chunk` images,
    so that no chunk is drawn twice. It does not depend on what is there.
    """
    starts = [
        i for i, part in enumerate(parts) if i == 0 or part.first // chunk != parts[i - 1].first // chunk
    ]
    starts.append(len(parts))
    chunks = len(starts) - 1
    return parts[starts[rank * chunks // size] : starts[(rank + 1) * chunks // size]]


def missing(parts: list[Part], shape: tuple[int, int, int]) -> list[Part]:
    """Return the files that are not there, or state something else, or are cut short."""
    there = {name for folder in {part.path.parent for part in parts} for name in _names(folder)}
    heads: dict[tuple[tuple[str, str], ...], bytes] = {}

    def whole(part: Part) -> bool:
        if part.path.suffix != ".png":
            return packed(part.path) == part.told
        key = tuple(part.told.items())
        if key not in heads:
            heads[key] = _head(shape, part.told)
        return _states(part.path, heads[key])

    return [part for part in parts if part.path.name not in there or not whole(part)]


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(folder)
    return []


def _head(shape: tuple[int, int, int], told: dict[str, str]) -> bytes:
    """Return how a PNG of this size and with these texts starts: all that comes before its pixels."""
    from genzoo.images import png_head

    return png_head(shape, told)


def _states(path: Path, head: bytes) -> bool:
    with contextlib.suppress(OSError), open_to_read(path) as file:
        starts = file.read(len(head)) == head
        file.seek(-len(_END), os.SEEK_END)
        return starts and file.read() == _END
    return False


def runs(parts: list[Part]) -> Iterator[list[Part]]:
    """Yield the files whose images follow each other, together."""
    run: list[Part] = []
    for part in parts:
        if run and (part.row, part.first) != (run[-1].row, run[-1].first + run[-1].count):
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def make(parts: list[Part], source: Source) -> None:
    """Draw the images of `parts` from `source` and write the files."""
    for folder in {part.path.parent for part in parts}:
        sweep(folder)
    if parts and parts[0].path.suffix == ".png":
        with filling(parts[0].path.parent) as put:
            for run in runs(parts):
                batches = source(run[0].row, run[0].first, sum(part.count for part in run))
                collections.deque(_ahead(partial(_write_all, put), _with_parts(run, batches)), maxlen=0)
        return
    for part in parts:
        _make_pack(part, source(part.row, part.first, part.count))


def _with_parts(run: list[Part], batches: Iterable[Tensor]) -> Iterator[tuple[list[Part], Tensor]]:
    at = 0
    for images in batches:
        yield run[at : at + len(images)], images
        at += len(images)


def _write_all(put: Callable[[str, bytes], object], batch: tuple[list[Part], Tensor]) -> None:
    from genzoo.images import pngs

    parts, images = batch
    for part, data in zip(parts, pngs(images, parts[0].told), strict=True):
        put(part.path.name, data)


def _make_pack(part: Part, batches: Iterable[Tensor]) -> None:
    from genzoo.images import pngs

    if part.path.suffix == ".npz":
        atomic_write(part.path, lambda file: write_npz(file, batches, part.count, part.told))
        return
    encoded = _ahead(lambda images: pngs(images, {}), batches)
    named = zip(part.names, (data for batch in encoded for data in batch), strict=True)
    atomic_write(part.path, lambda file: write_tar(file, named, part.told))


def _ahead(work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield `work(item)` of each item in order, done in threads while the next items are made."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    pending: collections.deque[Future[B]] = collections.deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * threads:  # memory stays bounded
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def write_single(
    order: Order, out: Path, form: str, sources: Callable[[int], Source], of: tuple[Any, int, int]
) -> str:
    """Write what is missing of `order` to `out` and return what was written.

    Args:
        order: what is drawn.
        out: a folder, or a .tar or .npz file.
        form: one of `FORMATS` for a folder.
        sources: gives what draws so many images.
        of: the model, the number of this process and the number of processes.
    """
    model, rank, size = of
    rows = parts_of(order, out, form)
    mine = [part for row in rows for part in share(row, rank, size, model.decode_chunk)]
    todo = missing(mine, model.image_shape)
    make(todo, sources(sum(part.count for part in todo)))
    drawn, own = (sum(part.count for part in found) for found in (todo, mine))
    told = [f"{own - drawn:,} {'was' if own - drawn == 1 else 'were'} there already"] if drawn < own else []
    if size > 1:
        told.append(f"process {rank} of {size} made {drawn:,} of them")
    # Older images are not removed: they may be the only copy.
    others = _others(out, {part.path.name for row in rows for part in row}) if form else 0
    told += [f"{others:,} older one{'s were' if others != 1 else ' was'} left there"] * (others > 0)
    return f"{out}{'/' * bool(form)}: {many(order.total)}" + f" ({'; '.join(told)})" * bool(told)


def _others(folder: Path, wanted: set[str]) -> int:
    """Return how many files of images in `folder` are not `wanted`."""
    endings = tuple(f".{form}" for form in FORMATS)
    return sum(
        name.startswith(f"{PREFIX}-") and name.endswith(endings) and name not in wanted
        for name in _names(folder)
    )
