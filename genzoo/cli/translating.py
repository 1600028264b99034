"""`genzoo translate`: pictures of one domain made into pictures of another: a file, a folder, or held-out
pictures of a data set.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from genzoo.card import Card
from genzoo.catalogue import Entry
from genzoo.cli.conditions import stated
from genzoo.cli.exploring import drawn, loaded
from genzoo.cli.exploring import target as target_file
from genzoo.cli.options import command, data_option, device_option, find, model_argument, seed_option
from genzoo.cli.output import Progress, note
from genzoo.cli.pictures import check_file, check_folder, check_grid, free_file, free_path, is_folder
from genzoo.condition import Picture
from genzoo.errors import ArgumentError, DataError, GenzooError, safe_text
from genzoo.files import make_folder, storage
from genzoo.names import to_install
from genzoo.units import several

SHOWN, COLUMNS = 8, 10  # held-out pictures, and how many of them are in a line at most
_BYTES = 1 << 16  # that a translation takes on the disk, roughly


@command("translate")
@model_argument
@click.argument("source", metavar="[IN]", type=click.Path(), required=False)
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    metavar="OUT",
    help="PNG file to write, or a folder. Default: NAME-translation.png, or NAME-translations for a folder.",
)
@data_option
@click.option(
    "-n", "n", type=click.IntRange(min=1), help=f"Number of held-out pictures, without IN. Default: {SHOWN}."
)
@click.option("--to", metavar="DOMAIN", help="Domain to translate into. Default: the second of the model.")
@click.option(
    "--cycle",
    is_flag=True,
    help="Of a model of both directions: show picture, translation and its translation back, side by side.",
)
@click.option("--fit", is_flag=True, help="First resize the shorter side to that of the training images.")
@seed_option
@device_option
def translate_command(
    name: str,
    source: str | None,
    out: str | None,
    data: str | None,
    n: int | None,
    to: str | None,
    cycle: bool,
    fit: bool,
    seed: int | None,
    device: str | None,
) -> None:
    """Translate a picture, or all pictures of a folder.

    IN is a file or a folder. Pictures keep their size and their names, and become PNG files. They may have
    any size up to 4 million pixels; a model is at its best near the size of its training images, which
    genzoo info shows and --fit resizes to.

    Without IN, held-out pictures are translated: those of --data, or of the set that the model was trained
    on. One PNG file shows them above their translations and, of pairs, above what these should be.
    """
    entry = find(name)
    picture = _picture(entry.card, stated(entry))
    target = _target(picture, to)
    if cycle and not picture.both_ways:
        raise ArgumentError(
            f"{entry.card.name} knows one direction, {picture.brief}: there is no way back",
            "leave out --cycle",
        )
    _check_use(source, data, n, fit)
    number = drawn(seed)
    if source is None:
        _show(entry, data, n or SHOWN, _Way(target, cycle, number), out, device)
        return
    start = _existing(source)
    where = _where(out, entry.card, start)
    model = loaded(entry, device)
    done, failed = _translate_all(model, start, where, target, number, cycle, fit)
    words = f"{several(len(done), 'picture')} to {target} by {entry.card.name}"
    words += f", seed {number}" if model.picture.noisy else ""
    words += f", mean error of the round trip {sum(done) / len(done):.3f}" if cycle and done else ""
    if done:
        note(safe_text(f"{where}: {words}", 1000))
    if failed:
        raise DataError(
            f"{several(failed, 'picture')} of {len(done) + failed:,} could not be translated",
            "the lines above say why",
        )


def _target(picture: Picture, to: str | None) -> str:
    """Return the domain that `to` names, or raise as `Picture.target` with the options to type."""
    try:
        return picture.target(to)
    except GenzooError as error:
        into = " or ".join(f"--to {shlex.quote(name)}" for name in picture.domains[not picture.both_ways :])
        raise type(error)(error.message, f"it translates {picture.brief}: {into}") from error


def _existing(source: str) -> Path:
    """Return `source` as a path, or raise StorageError if nothing is there."""
    with storage("read", Path(source)):
        os.stat(source)
    return Path(source)


def _check_use(source: str | None, data: str | None, n: int | None, fit: bool) -> None:
    """Raise UsageError for options that belong to the other use of the command."""
    if source is not None and (data is not None or n is not None):
        option = "-n" if data is None else "--data"
        raise click.UsageError(
            f"{option} chooses held-out pictures of a data set, and IN names a file; leave out one of them",
            click.get_current_context(),
        )
    if source == "":
        raise click.UsageError(
            "IN is empty: name a picture or a folder, or leave it out for held-out pictures",
            click.get_current_context(),
        )
    if source is None and fit:
        raise click.UsageError(
            "--fit resizes the pictures of IN; those of a data set have the size of the model",
            click.get_current_context(),
        )


@dataclass(frozen=True)
class _Way:
    """Into which domain pictures are translated, whether back again, and with which seed."""

    to: str
    cycle: bool
    seed: int


def _show(entry: Entry, data: str | None, n: int, way: _Way, out: str | None, device: str | None) -> None:
    """Write one picture of `n` held-out pictures above their translations."""
    check_grid(4 * n)  # rows at most: picture, translation, the way back, target
    path = target_file(out, entry.card, "translation")
    model = loaded(entry, device)
    from genzoo.evaluation.held_out import held_out
    from genzoo.evaluation.scoring import held_in
    from genzoo.explore.figure import stacked
    from genzoo.explore.translating import check_translator
    from genzoo.images import save_picture

    translator = check_translator(model)
    test = held_in(translator, entry.card, data, "test")
    with Progress("translations", "pixels") as progress:
        found = held_out(translator, test, n, way.to, way.seed, cycle=way.cycle, progress=progress)
    save_picture(stacked(found.rows, COLUMNS), path)
    shown = several(len(found.pictures), "held-out picture")
    words = f"{shown} of {test.name} above the translation to {way.to} by {entry.card.name}"
    words += " and the way back" * way.cycle + ", above the target" * (found.targets is not None)
    note(safe_text(f"{path}: {words}, seed {way.seed}", 1000))


def _picture(card: Card, condition: Any) -> Picture:
    """Return what the model of `card` translates."""
    if isinstance(condition, Picture):
        return condition
    from genzoo import zoo

    names = [other.name for other in zoo.cards() if isinstance(other.condition, Picture)]
    raise ArgumentError(
        f"{card.name} does not translate pictures",
        f"these do: {', '.join(names)}"
        if names
        else f"no installed model does: {to_install('genzoo-translate')}",
    )


def _where(out: str | None, card: Card, source: Path) -> Path:
    """Return the file, or for several pictures the folder, that is written; checked before any work."""
    if os.path.isdir(source):
        folder = out or str(free_path(f"{card.name}-translations", ""))
        if Path(folder).suffix and not is_folder(folder):
            raise click.UsageError(
                f"{source} is a folder, so -o must be one too; try -o {Path(folder).stem}/",
                click.get_current_context(),
            )
        found = check_folder(folder, 1, _BYTES)
        if os.path.samefile(found, source):
            raise ArgumentError(
                f"translations would be written over the pictures of {source}", "name another folder with -o"
            )
        return found
    if out is None:
        return free_file(f"{card.name}-translation")
    path = check_folder(out, 1, _BYTES) / f"{source.stem}.png" if is_folder(out) else check_file(out)
    if os.path.exists(path) and os.path.samefile(path, source):
        raise ArgumentError(f"the translation would be written over {source}", "name another file with -o")
    return path


def _translate_all(
    model: Any, source: Path, where: Path, to: str, seed: int, cycle: bool, fit: bool
) -> tuple[list[float], int]:
    """Translate the pictures and save each; return the error of each round trip, and how many pictures could
    not be read: of a folder, the others are translated all the same.
    """
    from genzoo.explore.translating import check_translator, pictures_in, read, round_trip
    from genzoo.images import save_picture

    translator = check_translator(model)

    def translate(path: Path, target: Path) -> float:
        found = round_trip(translator, read(translator, path, to, fit), to, seed, cycle=cycle)
        make_folder(target.parent)
        save_picture(found.drawn(), target)
        return found.error

    if not os.path.isdir(source):
        return [translate(source, where)], 0
    files = pictures_in(source, where)
    done: list[float] = []
    with Progress("translations", "pictures") as progress:
        for number, (path, kept) in enumerate(files, 1):
            try:
                done.append(translate(path, where / kept))
            except DataError as error:
                note(safe_text(error.message, 1000))
            progress(number, len(files))
    return done, len(files) - len(done)
