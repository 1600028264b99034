"""Where pictures go: one grid in a PNG file, or single images in a folder. Checked before the work, not after it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from genzoo.card import Card, Family
from genzoo.errors import ArgumentError, StorageError
from genzoo.files import make_folder, storage

MOST_IN_GRID = 10_000  # images that one picture shows
_FILE_OVERHEAD = 4096  # bytes that a file takes at least


def is_folder(out: str) -> bool:
    """Return whether `-o out` means a folder: it ends in a slash, has no ending, or is there as one."""
    return out.endswith(("/", os.sep)) or os.path.isdir(out) or not Path(out).suffix


def check_file(out: str) -> Path:
    """Return the path of the PNG to write.

    Raises:
        click.UsageError: a name that promises another format.
        StorageError: its folder is missing or cannot be written.
    """
    path = Path(out)
    if path.suffix.lower() != ".png":
        kind = repr(path.suffix) if path.suffix else "a folder"
        raise click.UsageError(f"the picture is written as PNG, not as {kind}; try -o {path.stem}.png", click.get_current_context())
    with storage("write", path):
        os.stat(path.parent)
    if not os.access(path.parent, os.W_OK):
        raise StorageError(f"cannot write {path}: permission denied in its folder", "choose a folder that you can write to")
    return path


def free_file(stem: str) -> Path:
    """Return `stem.png` in the current folder, or the first of `stem-2.png`, `stem-3.png` … that is not there yet."""
    path, number = Path(f"{stem}.png"), 1
    while path.exists():
        number += 1
        path = Path(f"{stem}-{number}.png")
    return check_file(str(path))


def check_folder(out: str, n: int, bytes_per_image: int) -> Path:
    """Return the folder for `n` images, made where it is absent.

    Raises:
        StorageError: it cannot be made, or the disk has no room for so many.
    """
    folder = make_folder(Path(out))
    with storage("write", folder):
        free = shutil.disk_usage(folder).free
    need = n * max(bytes_per_image, _FILE_OVERHEAD)
    if need > free:
        have = f"{folder} has {free / 2**30:,.1f} GiB free"
        raise StorageError(f"{n:,} images need about {need / 2**30:,.1f} GiB, and {have}", "ask for fewer")
    return folder


def check_grid(n: int) -> None:
    """Raise ArgumentError if `n` images are too many for one picture."""
    if n > MOST_IN_GRID:
        raise ArgumentError(f"one picture shows at most {MOST_IN_GRID:,} images, not {n:,}", "name a folder for single images: -o samples/")


def check_samples(card: Card) -> None:
    """Raise ArgumentError if the model of `card` cannot be sampled."""
    if card.family is Family.AUTOENCODER:
        why = f"{card.name} is an autoencoder: it has no distribution of codes to sample from"
        raise ArgumentError(why, "genzoo list --tree shows the models that have one")
