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
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from genzoo import hub
from genzoo.card import NAME, Card, fold
from genzoo.catalogue import Entry, catalogue
from genzoo.errors import ArgumentError, HubError, UnknownNameError, WeightsError, safe_repr, safe_text
from genzoo.files import is_digest
from genzoo.ledger import RepoSource, Row
from genzoo.names import to_install
from genzoo.places.disk import LEDGER, SUFFIX, THAT_RUN, on_disk
from genzoo.places.repository import in_repo, repo_of
from genzoo.record import Record
from genzoo.registry import installed

Target = str | os.PathLike[str] | Entry


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
    own = target.startswith(("hf:", ".", "~")) or target.endswith((SUFFIX, LEDGER, *THAT_RUN))
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
        row = in_repo(repo_of(text), wanted)
    else:
        row = on_disk(text, wanted)
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
            f"{row.origin} holds {row.name!r} of the plugin {row.plugin}, but here the name "
            f"belongs to {card.plugin}",
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
        f"{row.origin} holds {row.name!r}, a model of the plugin {plugin}, which is not installed or "
        "does not have it",
        f"if you trust its author: {to_install(plugin)}; genzoo plugins shows what is installed",
    )
