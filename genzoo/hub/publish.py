"""Publish weights: to a folder, which is then a hub of its own, or to a Hugging Face repository."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from genzoo.card import NAME, Card, Family, check_name
from genzoo.condition import Condition, Picture
from genzoo.errors import ArgumentError, WeightsError, safe_text
from genzoo.files import relative_parts, sha256_of
from genzoo.hub.folder import publish_to_folder
from genzoo.hub.metadata import metadata_lines
from genzoo.hub.upload import Tell, publish_to_repo
from genzoo.ledger import Row
from genzoo.names import to_install
from genzoo.record import FLOOR, Record

# What a model card shows to be called: most models draw, an autoencoder has codes, a classifier features.
_CALLS = {Family.AUTOENCODER: "encode(images)", Family.CLASSIFIER: "features(images)"}


def push(
    dest: str | Path,
    *,
    name: str,
    weights: bytes,
    row: Row,
    card_text: str,
    files: Mapping[str, bytes] | None = None,
    public: bool = False,
    tell: Tell | None = None,
) -> Row:
    """Publish the weights of one model with its card and its row, and return the row as it can be pulled from
    there.

    Whoever reads the place meanwhile, or after a crash, finds the old state or the new one. Several may
    publish to it at once.

    Args:
        dest: a folder (created if it is missing), or `hf:owner/repo`.
        name: the model's name.
        weights: the safetensors file; it must be what `row` pins.
        row: facts of the weights; its sources are replaced by the new place.
        card_text: the model card, see `model_card`.
        files: further files by relative path.
        public: whether everybody may read a repository that is made for this; a folder has the rights that
            its owner gave it.
        tell: called with one line that says who can read the repository, before anything is uploaded.

    Raises:
        ArgumentError: `public` for a folder.
        WeightsError: `weights` is not what `row` pins.
        HubError: the repository refused, or `dest` is neither a folder nor a repository.
        LedgerError: the zoo.toml that is there is broken.
        StorageError: the folder cannot be written.
    """
    check_name(name)
    # Before anything is written: a row that pins other weights could never be pulled again.
    if (len(weights), sha256_of(weights)) != (row.bytes, row.sha256):
        raise WeightsError(
            f"the weights of {name!r} are not those that the row pins", "make the row from these weights"
        )
    extra = {"/".join(relative_parts(path, "file name")): data for path, data in (files or {}).items()}
    if str(dest).startswith("hf:"):
        return publish_to_repo(
            str(dest)[3:], row.replace(name=name), weights, card_text, extra, public=public, tell=tell
        )
    if public:
        raise ArgumentError(
            "only a repository can be made public", "write hf:OWNER/REPO, or leave --public out"
        )
    return publish_to_folder(Path(dest).expanduser(), row.replace(name=name), weights, card_text, extra)


def model_card(row: Row, card: Card, place: str | None = None) -> str:
    """Return a model card in Markdown, with the metadata that the Hugging Face Hub reads.

    `place` is where the weights will be, a folder or `hf:owner/repo`: the card then shows how they are loaded
    from there, with their sha256. None: by their name.

    Every text of the card and the row is made harmless: one line, no control characters, no markup.
    """
    facts = {
        "Family": card.family.words,
        "Condition": card.condition.words if card.condition else "",
        "Paper": card.paper,
        "Plugin": row.plugin or card.plugin,
        "Trained on": row.data,
        "Terms of the data": row.terms,
        "Training": row.trained,
        "Recipe": f"the card's, with {'; '.join(row.recipe)}" if row.recipe else "",
        "Started from": "; ".join(row.lineage),
        "Licence": row.licence.strip() or "no licence stated",
        "Size": f"{row.bytes:,} bytes",
        "sha256": row.sha256,
    }
    lines = ["---", *metadata_lines(row, card), "---", "", f"# {row.name}", "", _plain(card.summary), ""]
    lines += [f"- **{key}:** {_plain(value)}" for key, value in facts.items() if value]
    lines += ["", "```python", *_usage(row, card, place), "```"]
    if row.scores:
        lines += [
            "",
            "| metric | of | value | kind | n | data | protocol |",
            "|---|---|---|---|---|---|---|",
            *(_score_line(score, row.name) for score in row.scores),
        ]
    return "\n".join(lines) + "\n"


def _usage(row: Row, card: Card, place: str | None) -> list[str]:
    """Return the lines that load the weights and use them."""
    if place is None:
        return ["import genzoo", "", f'genzoo.load("{row.name}").{_call(card)}']
    # a folder is elsewhere for whoever has the card, and other models may join it
    where = place if place.startswith("hf:") else "path/to/this/folder"
    plugin = row.plugin or card.plugin
    needs = f"  # {to_install(plugin)}" if NAME.fullmatch(plugin.lower()) else ""
    loaded = f'genzoo.load("{where}#{row.name}", sha256="{row.sha256}")'
    return [f"import genzoo{needs}", "", f"model = {loaded}", f"model.{_call(card)}"]


def _call(card: Card) -> str:
    """Return the call that a model card shows."""
    if isinstance(card.condition, Picture):
        return "translate(pictures, seed=0)"
    call = _CALLS.get(card.family, "sample(16, seed=0)")
    return call if card.condition is None else f"{call[:-1]}, condition={_example(card.condition)})"


def _example(condition: Condition) -> str:
    return json.dumps(condition.typed, ensure_ascii=False)


def _score_line(score: Record, name: str) -> str:
    of = {name: "the model", FLOOR: "real images"}.get(score.subject, score.subject)
    value = (
        f"{score.value:.4g}"
        + (f" ± {score.stderr:.2g}" if score.stderr is not None else "")
        + ("" if score.unit == "1" else f" {_plain(score.unit)}")
    )
    data = ", ".join(filter(None, (score.data, score.split, score.transform)))
    count = f"{score.n}" + (f" in {score.blocks} blocks" if score.blocks else "")
    return (
        f"| {_plain(score.label)} | {_plain(of)} | {value} | {score.kind} | {count} | {_plain(data)} | "
        f"{_plain(score.protocol)} |"
    )


def _plain(text: str) -> str:
    """Return `text` as Markdown that shows just these characters."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~&])", r"\\\1", safe_text(text))
