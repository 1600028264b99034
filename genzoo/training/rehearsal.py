"""Rehearse publishing before the first step, so that what could not be written after hours of training fails
at once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from genzoo import hub
from genzoo.card import Card
from genzoo.errors import StorageError, TrainingError
from genzoo.files import atomic_write, make_folder, read_capped, storage
from genzoo.isolation import describe
from genzoo.ledger import read_rows
from genzoo.training.loop import Run
from genzoo.training.publish import finished_model, published

_ASIDE = ".rehearsal-"
_LEDGER_CAP = 8 << 20  # bytes of a zoo.toml


@contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """Create the folder of a run and test that it can be written, before the block; if the block fails,
    remove a new folder.

    Raises:
        StorageError: it cannot be created or written.
    """
    new = not os.path.exists(folder)
    make_folder(folder)
    try:
        with _aside(folder) as aside, storage("write", folder), open(aside / "written", "wb") as file:
            file.write(b"\0")
            file.flush()
            os.fsync(file.fileno())  # some network file systems report a full disk only now
        yield
    except BaseException:
        if new:
            with suppress(OSError):  # the folder is not empty
                folder.rmdir()
        raise


def check_writable(folder: Path) -> None:
    """Raise StorageError if the folder of a run cannot be created or written; nothing is left there."""
    new = not os.path.exists(folder)
    with prepared(folder):
        pass
    if new:
        with suppress(OSError):  # another run has started there meanwhile
            folder.rmdir()


def rehearse(run: Run, card: Card) -> None:
    """Publish the model as it is now into a folder inside the run's, read it back and remove it.

    It does everything that the end of the run does, with this run's own facts: record outputs, encode
    weights, and read, lock and write the ledger.

    Raises:
        TrainingError: the run could not be published; the message says why.
    """
    ledger = run.folder / "zoo.toml"
    with _aside(run.folder) as aside:
        try:
            if os.path.lexists(ledger):
                read_rows(ledger)
                atomic_write(aside / ledger.name, read_capped(ledger, _LEDGER_CAP))
            with torch.random.fork_rng(
                devices=[run.settings.device] if run.settings.device.type == "cuda" else []
            ):
                finished = finished_model(run, run.recipe.save_dtype)
                row = hub.push(
                    aside, **published(run, finished, card, [], run.recipe.save_dtype, picture=False)
                )
            found = read_rows(aside / ledger.name)[card.name]
            if found.replace(origin=row.origin) != row:
                raise StorageError(
                    f"{ledger} does not read back what was written to it", "choose another --out"
                )
            _check_ways(aside, run.folder)
        except Exception as error:  # whatever a plugin's model or a disk does
            reason = getattr(error, "message", "") or describe(error)
            raise TrainingError(
                f"{card.name} is not trained because it could not be published: "
                f"{reason.replace(os.sep + aside.name, '')}",
                getattr(error, "hint", "") or "fix that first",
            ) from error


def _check_ways(aside: Path, folder: Path) -> None:
    """Raise if something in `folder` blocks a file of `aside`."""
    for path in aside.rglob("*"):
        target = folder / path.relative_to(aside)
        if os.path.lexists(target) and os.path.isfile(path) == os.path.isdir(target):
            raise StorageError(
                f"cannot write {target}: a file or folder with that name already exists",
                "remove it, or choose another --out",
            )


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Yield a new folder inside `folder`; remove it afterwards, with any that a killed run left."""
    for left in folder.glob(f"{_ASIDE}*"):
        if not os.path.islink(left):
            shutil.rmtree(left, ignore_errors=True)
    with storage("write", folder):
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=folder))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
