"""Folders and files as places of a model's weights."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from genzoo import hub
from genzoo.card import NAME, check_name
from genzoo.errors import (
    ArgumentError,
    CardError,
    GenzooError,
    HubError,
    UnknownNameError,
    WeightsError,
    legible,
    safe_repr,
    suggest,
)
from genzoo.files import read_capped, sha256_of
from genzoo.hub import pins
from genzoo.ledger import FolderSource, Ledger, Row, read_rows
from genzoo.ledger.rows import LARGEST
from genzoo.show import tell

LEDGER, SUFFIX = "zoo.toml", ".safetensors"
COMMAND = "command.json"  # in the folder of a run: the words of its command, without --out and --resume
THAT_RUN = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")  # formats that may hold code
_CHECKPOINT = "checkpoint.safetensors"
_LONGEST = 600  # characters of a command that a hint can hold whole


def on_disk(text: str, sha256: str) -> Row:
    """Return the row of the folder or file `text`; `sha256` is the user's digest of a file, or "".

    Raises:
        UnknownNameError, ArgumentError, HubError, LedgerError, StorageError: see `genzoo.places.find`.
    """
    path, name = _split(text)
    if path.name == LEDGER:
        path = path.parent
    if os.path.isdir(path):
        return _in_folder(path, name)
    if not os.path.lexists(path):
        raise UnknownNameError(
            f"there is no folder or file {safe_repr(text)}",
            "a repository is written hf:OWNER/REPO; genzoo list shows every name",
        )
    if path.suffix.lower() in THAT_RUN:
        raise WeightsError(
            f"{path} may hold code, and genzoo does not read such files", f"save the weights as {SUFFIX}"
        )
    return _beside(path) or _in_file(path, sha256)


def _split(text: str) -> tuple[Path, str]:
    """Return the path, and the name behind a # that is not part of it."""
    before, sign, name = text.rpartition("#")
    if sign and NAME.fullmatch(name) and not os.path.lexists(os.path.expanduser(text)):
        return Path(before).expanduser(), name
    return Path(text).expanduser(), ""


def _in_folder(folder: Path, name: str) -> Row:
    if not os.path.lexists(folder / LEDGER):
        if os.path.lexists(folder / _CHECKPOINT):
            raise HubError(
                f"the run in {folder} is not finished: it has a checkpoint, and no weights yet",
                _resuming(folder) or "continue it with the command that started it and --resume",
            )
        raise HubError(
            f"{folder} has no {LEDGER}, so nothing pins the sha256 of its weights",
            "name the folder of a finished run, or one that genzoo push wrote",
        )
    return choose(read_rows(folder / LEDGER), name, str(folder))


def _resuming(folder: Path) -> str:
    """Return the hint to continue the run in `folder` with its own command, "" if that is not known."""
    try:
        words = json.loads(read_capped(folder / COMMAND, 1 << 16))
    except (GenzooError, ValueError, RecursionError):
        return ""  # a run that Python code started, or a damaged file
    if not isinstance(words, list) or words[:2] != ["genzoo", "train"]:
        return ""
    line = shlex.join([*map(str, words), "--out", str(folder), "--resume"])
    return f"continue it: {line}" if len(line) <= _LONGEST else ""


def choose(rows: Ledger, name: str, place: str) -> Row:
    """Return the row called `name`, or if that is "" the only one; `place` is where they are, for messages.

    Raises:
        UnknownNameError, ArgumentError, HubError: there is none, or several of which none was chosen.
    """
    if name in rows:
        return rows[name]
    if len(rows) == 1 and not name:
        return next(iter(rows.values()))
    problem = next((line for line in rows.problems if not name or f"[{name}]" in line), "")
    if problem and len(rows) <= bool(name):
        raise HubError(f"{place} has no row that can be used: {problem}", f"fix its {LEDGER}")
    if name or not rows:
        known = ", ".join(rows) or "none"
        raise UnknownNameError(
            f"{place} has no weights of {name!r}{suggest(name, rows)}" if name else f"{place} has no weights",
            f"it has: {known}",
        )
    ways = ", ".join(f"{place}#{known}" for known in list(rows)[:8])
    raise ArgumentError(f"{place} has the weights of {len(rows)} models", f"choose one: {ways}")


def _beside(path: Path) -> Row | None:
    """Return the row of the zoo.toml in the folder of `path` that names this file, or None."""
    ledger = path.parent / LEDGER
    if not os.path.lexists(ledger):
        return None
    for row in read_rows(ledger).values():
        files = [place.path for place in row.places() if isinstance(place, FolderSource)]
        if any(os.path.abspath(file) == os.path.abspath(path) for file in files):
            # this very file is meant: the right weights may be in the cache, but these are not they
            if (digest := sha256_of(path)) != row.sha256:
                raise WeightsError(
                    f"{path} has sha256 {digest}, not {row.sha256} as {ledger} pins", "name another file"
                )
            return row
    return None


def _in_file(path: Path, sha256: str) -> Row:
    """Return a row of a file that no ledger names, pinned by the user or at its first use."""
    whole = os.path.abspath(path)
    place = f"file:{whole}"
    blob = read_capped(path, LARGEST)
    digest, before = sha256_of(blob), pins.read(place)
    if sha256 and digest != sha256:
        raise WeightsError(f"{path} has sha256 {digest}, but you asked for {sha256}", "check the file")
    if not sha256 and before is not None and before.sha256 != digest:
        raise WeightsError(
            f"{path} has changed since its first use: its sha256 was {before.sha256}, and is {digest}",
            f"to use it as it is now, once: --sha256 {digest}",
        )
    row = _row_of_file(blob, digest, path, whole)
    if before is None or before.sha256 != digest:
        pins.write(place, row)
        tell(f"{path}: no {LEDGER} names it; its sha256 {digest} is pinned from now on", level="INFO")
    return row


def _row_of_file(blob: bytes, digest: str, path: Path, whole: str) -> Row:
    facts = hub.facts_of(blob, str(path))
    try:
        name = check_name(facts.get("name"))
    except CardError as error:
        raise WeightsError(f"{path} does not say which model it is: {error.message}") from error
    lineage = facts.get("lineage")
    return Row(
        name=name,
        sha256=digest,
        bytes=len(blob),
        sources=(f"folder:{legible(whole)}",),
        plugin=legible(str(facts.get("plugin", ""))),
        lineage=tuple(map(legible, map(str, lineage))) if isinstance(lineage, list) else (),
        origin=path.parent / path.name,
    )
