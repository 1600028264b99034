"""Where pictures go: one grid in a PNG file, an animation in a GIF, or single images in a folder. Checked
before the work, not after it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from genzoo.card import Card, Family
from genzoo.errors import ArgumentError, StorageError
from genzoo.files import make_folder, storage

PACKS = (".tar", ".npz")  # files of many images
MOST_IN_GRID = 10_000  # images that one picture shows
SINGLE = "write single images to a folder: -o samples/"  # what `genzoo sample` can do with more
MOST_IN_ANIMATION = 100  # images that are drawn side by side
_FILE_OVERHEAD = 4096  # bytes that a file takes at least


def is_folder(out: str) -> bool:
    """Return whether `-o out` means a folder: it ends in a slash, has no ending, or is there as one."""
    return out.endswith(("/", os.sep)) or os.path.isdir(out) or not Path(out).suffix


def is_pack(out: str | Path | None) -> bool:
    """Return whether `-o out` means one file of many images, .tar or .npz."""
    return out is not None and Path(out).suffix in PACKS and not is_folder(str(out))


def check_file(out: str, kind: str = "PNG") -> Path:
    """Return the path of the PNG, or of the GIF, to write.

    Raises:
        click.UsageError: a name that promises another format.
        StorageError: its folder is missing or cannot be written.
    """
    path, ending = Path(out), f".{kind.lower()}"
    if path.suffix.lower() != ending:
        what, option = ("picture", "-o") if kind == "PNG" else ("animation", "--animate")
        came = repr(path.suffix) if path.suffix else "a folder"
        words = f"the {what} is written as {kind}, not as {came}; try {option} {path.stem}{ending}"
        raise click.UsageError(words, click.get_current_context())
    return check_writable(path)


def free_file(stem: str) -> Path:
    """Return `stem.png` in the current folder, or the first of `stem-2.png`, `stem-3.png` … that is not there
    yet.
    """
    return check_file(str(free_path(stem, ".png")))


def free_path(stem: str, ending: str) -> Path:
    """Return the first of `stem`, `stem-2`, `stem-3` … with `ending` that is not there yet."""
    path, number = Path(f"{stem}{ending}"), 1
    # A default name never overwrites: only a name that was typed does.
    while os.path.exists(path):
        number += 1
        path = Path(f"{stem}-{number}{ending}")
    return path


def check_writable(path: Path) -> Path:
    """Return `path`, or raise StorageError where its folder is missing or cannot be written."""
    with storage("write", path):
        os.stat(path.parent)
    # Asked now, since the picture is written at the very end of the work.
    if not os.access(path.parent, os.W_OK):
        raise StorageError(
            f"cannot write {path}: permission denied in its folder", "choose a folder that you can write to"
        )
    return path


def check_folder(out: str, n: int, bytes_per_image: int) -> Path:
    """Return the folder for `n` images, made where it is absent.

    Raises:
        StorageError: it cannot be made, or the disk has no room for so many.
    """
    folder = make_folder(Path(out))
    with storage("write", folder):
        free = shutil.disk_usage(folder).free
    # An upper bound: a PNG of noise is hardly smaller than its pixels, and a small file still takes a block.
    need = n * max(bytes_per_image, _FILE_OVERHEAD)
    if need > free:
        have = f"{folder} has {free / 2**30:,.1f} GiB free"
        raise StorageError(f"{n:,} images need about {need / 2**30:,.1f} GiB, and {have}", "ask for fewer")
    return folder


def check_grid(n: int, hint: str = "ask for fewer") -> None:
    """Raise ArgumentError with `hint` if `n` images are too many for one picture."""
    if n > MOST_IN_GRID:
        raise ArgumentError(f"a picture shows at most {MOST_IN_GRID:,} images, not {n:,}", hint)


def check_animation(n: int) -> None:
    """Raise ArgumentError if `n` images are too many for an animation."""
    if n > MOST_IN_ANIMATION:
        raise ArgumentError(
            f"an animation shows at most {MOST_IN_ANIMATION} images, not {n:,}", "ask for fewer"
        )


def check_in_order(card: Card, problem: str, hint: str = "") -> None:
    """Raise ArgumentError with `problem` if the model of `card` is of a family that draws its images whole,
    not pixel by pixel.
    """
    if card.family.is_instrument:
        check_samples(card)
    if card.family is not Family.TRACTABLE:
        others = "choose a pixel model: genzoo list --family tractable"
        raise ArgumentError(f"{card.name} {problem}", f"{hint}; or {others}" if hint else others)


def check_samples(card: Card) -> None:
    """Raise ArgumentError if the model of `card` cannot be sampled."""
    if card.family is Family.AUTOENCODER:
        why = f"{card.name} is an autoencoder: it has no distribution of codes to sample from"
        raise ArgumentError(why, "genzoo list --tree shows the models that have one")
    if card.family.is_instrument:
        why = f"{card.name} is a classifier: it cannot generate images"
        raise ArgumentError(
            why, f"genzoo eval NAME --features {card.name} measures the samples of a model in its features"
        )
