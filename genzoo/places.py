"""What stands for a model: a name of the zoo, or the place of one's own weights. Every verb and every command
looks it up here.

    dcgan-bedrooms                     a name: its card and the row of the installed ledgers
    runs/mine, an Outcome              the folder of a run, or any folder that `genzoo push` wrote
    runs/mine/NAME-….safetensors       a file of weights that says which model it is
    hf:owner/repo[@revision]           a Hugging Face repository that `genzoo push` wrote

`#NAME` behind a folder or a repository chooses one of several models. The class always comes from the card of
an installed plugin: a place states a name, a config and weights, and nothing in it is executed (rule R3).

Every row pins a sha256 (rule R1). That of a folder or a repository is in its own zoo.toml. A file without
one, and a branch of a repository, are pinned at their first use, see `genzoo.hub.pins`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from genzoo import hub
from genzoo.card import NAME, Card, check_name, fold
from genzoo.catalogue import Entry, catalogue
from genzoo.errors import (
    ArgumentError,
    CardError,
    HubError,
    UnknownNameError,
    WeightsError,
    legible,
    safe_repr,
    safe_text,
    suggest,
)
from genzoo.files import is_digest, read_capped, sha256_of
from genzoo.hub import pins, remote
from genzoo.ledger import FolderSource, Ledger, RepoSource, Row, read_rows
from genzoo.ledger.rows import LARGEST
from genzoo.ledger.sources import REPO, REVISION
from genzoo.record import Record
from genzoo.registry import installed
from genzoo.show import tell

LEDGER, SUFFIX = "zoo.toml", ".safetensors"
MAIN = "main"
_CHECKPOINT = "checkpoint.safetensors"
_THAT_RUN = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")  # formats that may hold code
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")

Target = str | os.PathLike[str] | Entry


class _Repo(NamedTuple):
    repo: str
    revision: str
    name: str

    @property
    def words(self) -> str:
        """Return the place as it is typed."""
        at = "" if self.revision == MAIN else f"@{self.revision}"
        return f"hf:{self.repo}{at}" + (f"#{self.name}" if self.name else "")


def find(target: Target, sha256: str = "") -> Entry:
    """Return the entry of `target`: its card and the row that pins its weights.

    The card of a folder or a file has the config and the condition of its weights. That of a repository has
    them when its weights have been pulled.

    Args:
        target: a name, a folder, a file or `hf:owner/repo`; an entry is its own.
        sha256: digest of the weights, where the user pins it.

    Raises:
        ArgumentError: `target` is none of these, or `sha256` is not a digest.
        UnknownNameError: no installed plugin has this model; the message says which would, or the nearest
            name. Or there is no such folder or file.
        HubError, LedgerError, StorageError: nothing pins the weights there, they have changed since they were
            pinned, or they cannot be read.
    """
    if isinstance(target, Entry):
        check_pin(target.row, sha256, target.card.name)
        return target
    if not is_place(target):
        entry = _named(target)
        check_pin(entry.row, sha256, entry.card.name)
        return entry
    pinned = row_at(target, sha256)
    card = _card_of(pinned)
    if not is_remote(pinned):
        card = hub.configured(card, hub.pull_bytes(pinned, offline=True))
    return Entry(card, pinned)


def _named(name: object) -> Entry:
    try:
        return catalogue().find(name)  # type: ignore[arg-type]
    except UnknownNameError as error:
        if isinstance(name, str) and os.path.isdir(name) and os.path.lexists(Path(name) / LEDGER):
            raise UnknownNameError(error.message, f"for the folder of that name: ./{name}") from error
        raise


def is_place(target: object) -> bool:
    """Return whether `target` stands for a folder, a file or a repository, not for a name of the zoo."""
    if not isinstance(target, str):
        return isinstance(target, os.PathLike)
    signs = ("/", os.sep, os.altsep or os.sep)
    own = target.startswith(("hf:", ".", "~")) or target.endswith((SUFFIX, LEDGER, *_THAT_RUN))
    return own or any(sign in target for sign in signs)


def is_remote(row: Row) -> bool:
    """Return whether the weights of `row` may have to be fetched from a repository."""
    return any(isinstance(source, RepoSource) for source in row.places())


def label_of(target: object, card: Card) -> str:
    """Return what `target` is called in a table: the name, and of one's own weights also their place."""
    if isinstance(target, Entry) or not is_place(target):
        return card.name
    return f"{card.name} ({safe_text(os.fspath(target), 200)})"  # type: ignore[call-overload]


def relabelled(records: Iterable[Record], target: object, card: Card) -> list[Record]:
    """Return `records` of the model `target` with its `label_of` as their subject, so that one's own weights
    can be ranked beside published ones; those of real images stay.
    """
    label = label_of(target, card)
    return [replace(one, subject=label) if one.subject == card.name else one for one in records]


def row_at(target: str | os.PathLike[str], sha256: str = "") -> Row:
    """Return the row of the weights at a place, whether their plugin is installed or not.

    Raises:
        UnknownNameError, ArgumentError, HubError, LedgerError, StorageError: see `find`.
    """
    _check_digest(sha256)
    text = os.fspath(target)
    if not isinstance(text, str):
        raise ArgumentError(f"a path must be a text, not {safe_repr(text)}", "use os.fsdecode")
    if getattr(target, "finished", True) is False:  # an outcome
        raise HubError(
            f"the run in {text} is not finished", "continue it with resume=True, then load its outcome"
        )
    told = getattr(target, "sha256", "")  # of the outcome of a run: its weights, not those of a later one
    wanted = sha256 or (told if isinstance(told, str) else "")
    if text.startswith("hf:"):
        row = _in_repo(_repo_of(text), wanted)
    else:
        row = _on_disk(text, wanted)
    check_pin(row, wanted, text)
    return row


def _check_digest(sha256: object) -> None:
    if sha256 and not is_digest(sha256):
        raise ArgumentError(
            f"sha256 must be 64 lower-case hexadecimal digits, not {safe_repr(sha256)}",
            "genzoo info shows that of a model",
        )


def check_pin(row: Row | None, sha256: str, what: str) -> None:
    """Raise WeightsError if `row`, that of `what`, pins other weights than the user does with `sha256`."""
    _check_digest(sha256)
    if sha256 and row is not None and row.sha256 != sha256:
        raise WeightsError(
            f"{what}: {row.origin} pins weights with sha256 {row.sha256}, but you asked for {sha256}",
            "check which weights you mean",
        )


def _on_disk(text: str, sha256: str) -> Row:
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
    if path.suffix.lower() in _THAT_RUN:
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
                f"continue it: genzoo train NAME --out {folder} --resume",
            )
        raise HubError(
            f"{folder} has no {LEDGER}, so nothing pins the sha256 of its weights",
            "name the folder of a finished run, or one that genzoo push wrote",
        )
    return _choose(read_rows(folder / LEDGER), name, str(folder))


def _choose(rows: Ledger, name: str, place: str) -> Row:
    """Return the row called `name`, or the only one."""
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


def _repo_of(text: str) -> _Repo:
    rest, _, name = text.removeprefix("hf:").partition("#")
    repo, sign, revision = rest.partition("@")
    if not REPO.fullmatch(repo) or (sign and not _REVISION.fullmatch(revision)) or ".." in revision:
        raise ArgumentError(
            f"{safe_repr(text)} does not name a repository", "write hf:OWNER/REPO or hf:OWNER/REPO@REVISION"
        )
    return _Repo(repo, revision or MAIN, name)


def _in_repo(place: _Repo, sha256: str) -> Row:
    """Return the row of a repository: of the commit that the user names, or of the one that its branch is
    now, if its weights are those of the first use.
    """
    before = pins.read(place.words)
    commit = _commit_of(place, before)
    if before is not None and (not commit or _is_of(before, place.repo, commit)):
        return _placed(before, place.repo)
    row = _choose(remote.rows_of(place.repo, commit), place.name, place.words)
    if before is not None and row.sha256 != before.sha256 and row.sha256 != sha256:
        old = _commit_in(before, place.repo)
        raise WeightsError(
            f"{place.words} has moved: its weights had sha256 {before.sha256} when they were first used "
            f"(commit {old[:8]}), and have {row.sha256} (commit {commit[:8]})",
            f"the earlier ones: hf:{place.repo}@{old}; to use the new ones, once: --sha256 {row.sha256}",
        )
    if row.sha256 == sha256 or not sha256:
        pins.write(place.words, row)
    return row


def _commit_of(place: _Repo, before: Row | None) -> str:
    """Return the commit that `place` is now; "" if the Hub cannot be asked and a pin answers instead."""
    if REVISION.fullmatch(place.revision):
        return place.revision
    try:
        return remote.commit_of(place.repo, place.revision)
    except HubError as error:
        if before is None:
            raise
        tell(f"{error.message}; the weights are those of its first use on this machine", level="INFO")
        return ""


def _commit_in(row: Row, repo: str) -> str:
    """Return the commit of `repo` that the sources of a pinned row name, or ""."""
    start = f"hf:{repo}@"
    found = (text.removeprefix(start).partition(":")[0] for text in row.sources if text.startswith(start))
    return next(found, "")


def _is_of(row: Row, repo: str, commit: str) -> bool:
    return _commit_in(row, repo) == commit


def _placed(row: Row, repo: str) -> Row:
    """Return a pinned row with the repository as its origin, not the file of the cache that keeps it."""
    return row.replace(origin=Path(f"hf:{repo}@{_commit_in(row, repo)}") / LEDGER)


def _card_of(row: Row) -> Card:
    """Return the card of the installed plugin that has the model of `row`.

    Raises:
        UnknownNameError: none has it; the message says which plugin does, as far as the row states it.
        WeightsError: another plugin has a model of that name.
    """
    cards: Mapping[str, Card] = installed().cards
    card = cards.get(row.name)
    if card is None:
        raise _absent(row)
    if row.plugin and fold(row.plugin) != fold(card.plugin):
        raise WeightsError(
            f"{row.origin} holds {row.name!r} of the plugin {row.plugin}, but here {row.name!r} is a model of "
            f"{card.plugin}",
            f"install {row.plugin} in an environment without {card.plugin}",
        )
    return card.replace(has_weights=True)


def _absent(row: Row) -> UnknownNameError:
    try:
        catalogue().find(row.name)
    except UnknownNameError as error:
        official = "comes with" in error.message
        plugin = row.plugin if NAME.fullmatch(row.plugin.lower()) else ""
        if official or not plugin:
            return UnknownNameError(f"{row.origin} holds {row.name!r}: {error.message}", error.hint)
    return UnknownNameError(
        f"{row.origin} holds {row.name!r}, a model of the plugin {plugin}, which is not installed or does not "
        "have it",
        f"if you trust its author: pip install {plugin}; genzoo plugins shows what is installed",
    )
