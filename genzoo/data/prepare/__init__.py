"""Makes the files of the named data sets from what is public: `genzoo data prepare`.

Whatever is made is checked against what the published models were trained and measured on: by the sha256 of
its contents where these are exact, by fingerprints where they are photographs. What does not match is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from genzoo.data.prepare.batches import cifar10
from genzoo.data.prepare.digits import binarized, idx_files
from genzoo.data.prepare.frames import frey
from genzoo.data.prepare.made import Made
from genzoo.data.prepare.oxford import flowers
from genzoo.data.prepare.photographs import bedrooms, faces, horses, rooms
from genzoo.data.prepare.side_by_side import facades
from genzoo.errors import ArgumentError, UnknownNameError, suggest
from genzoo.files import atomic_write, make_folder
from genzoo.homes import EMBEDDED, MADE_WITH

# data set -> what makes its files from the sources that were given
RECIPES: Mapping[str, Callable[[str, Sequence[str]], Made]] = {
    "mnist": idx_files,
    "fashion-mnist": idx_files,
    "binarized-mnist": binarized,
    "cifar10": cifar10,
    "frey": frey,
    "faces": faces,
    "bedrooms": bedrooms,
    "rooms": rooms,
    "facades": facades,
    "horse2zebra": horses,
    "flowers102": flowers,
}


def prepare(name: str, sources: Sequence[str], out: str | Path) -> tuple[list[Path], tuple[str, ...]]:
    """Make the files of the data set `name` and write them into the folder `out`, which is created if needed.

    Nothing is written before everything was checked.

    Args:
        name: a key of `genzoo.homes.HOMES`, or a set that is made together with one.
        sources: folders or files as `genzoo.homes.Home` says; photographs also as anything that `open_data`
            reads, such as `hf:owner/dataset`.
        out: what GENZOO_DATA will name.

    Returns:
        The paths of the files, and remarks on them, one line each.

    Raises:
        UnknownNameError: no such data set.
        ArgumentError: a set that needs no preparation, or none that genzoo knows how to make.
        DataError: a source that is not what was expected; the hint says what was.
        StorageError: `out` cannot be written.
    """
    made = RECIPES[made_as(name)](made_as(name), [str(source) for source in sources])
    folder = Path(out).expanduser()
    written = []
    for file, content in made.files.items():
        make_folder((folder / file).parent)
        written.append(atomic_write(folder / file, content))
    return written, made.remarks


def made_as(name: str) -> str:
    """Return the data set with whose files `name` is made.

    Raises:
        UnknownNameError: no such data set.
        ArgumentError: a set that needs no preparation.
    """
    if name in EMBEDDED:
        raise ArgumentError(f"{name} ships with genzoo and needs no preparation", f"use it: --data {name}")
    name = MADE_WITH.get(name, name)
    if name not in RECIPES:
        raise UnknownNameError(
            f"genzoo cannot prepare a data set {name!r}{suggest(name, list(RECIPES))}",
            f"it can prepare {', '.join(RECIPES)}; for other images give a folder: --data FOLDER",
        )
    return name
