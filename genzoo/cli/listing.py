"""`genzoo list`: every installed model, as a table, as the lecture's tree, or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import click

from genzoo.card import Card, Family
from genzoo.catalogue import Entry
from genzoo.cli.options import catalogue, command, json_option
from genzoo.cli.output import human_size, note, room, say, say_json, say_table, width
from genzoo.errors import safe_text
from genzoo.ledger import Row
from genzoo.names import to_install
from genzoo.record import BOUNDS, Record

# The taxonomy of the lecture (Goodfellow 2016): heading, then families or further headings.
TREE: tuple[Any, ...] = (
    "Generative models",
    (
        (
            "Explicit density",
            (
                ("Tractable: p(x) exactly", Family.TRACTABLE),
                ("Approximate: a bound on p(x)", Family.APPROXIMATE),
            ),
        ),
        ("Implicit density: samples only", Family.IMPLICIT),
    ),
)
BESIDE: tuple[tuple[str, Family], ...] = (
    ("Autoencoders: codes, no density", Family.AUTOENCODER),
    ("Classifiers: features to measure with, no models of images", Family.CLASSIFIER),
)


@command("list")
@click.option("--tree", is_flag=True, help="Draw the lecture's taxonomy as a tree.")
@click.option(
    "--family", type=click.Choice([family.value for family in Family]), help="List only this family."
)
@json_option
def list_command(tree: bool, family: str | None, as_json: bool) -> None:
    """List installed models, what they take, and their score.

    Classifiers provide features for measuring samples and do not model images. They are listed only with
    --tree or --family classifier.
    """
    known = catalogue()
    chosen = [entry for entry in known.values() if _shown(entry.card, family, tree and not as_json)]
    if as_json:
        say_json([facts(card, row) for card, row in chosen])
    elif tree:
        say("\n".join(draw(chosen)))
    else:
        header = ["NAME", "FAMILY", "TAKES", "PLUGIN", "WEIGHTS", "SCORE"]
        spare = ["PLUGIN", "FAMILY", "WEIGHTS", "TAKES"]
        say_table(header, [line(card, row) for card, row in chosen], spare=spare)
    if not known:
        note(f"no models are installed; for the bedrooms: {to_install('genzoo-dcgan')}")
    elif not chosen:
        note(
            f"no installed model is of the family {family}"
            if family
            else "only classifiers are installed: --family classifier"
        )


def _shown(card: Card, family: str | None, tree: bool) -> bool:
    return card.family.value == family if family else tree or not card.family.is_instrument


def line(card: Card, row: Row | None) -> list[str]:
    """Return what the table says of a model."""
    return [card.name, card.family.value, takes(card), card.plugin, size(row), leading_words(row)]


def takes(card: Card) -> str:
    """Return what a model is given besides z or a seed: "4 labels", "map → photo", or a dash."""
    return card.condition.brief if card.condition else "-"


def facts(card: Card, row: Row | None) -> dict[str, Any]:
    """Return what JSON says of a model in a list."""
    leading = leading_score(row)
    return {
        "name": card.name,
        "family": card.family.value,
        "condition": card.condition.as_dict() if card.condition else None,
        "plugin": card.plugin,
        "weights": row is not None,
        "bytes": row.bytes if row else None,
        "score": leading.as_dict() if leading else None,
        "summary": card.summary,
        "paper": card.paper,
    }


def size(row: Row | None) -> str:
    """Return the size of published weights, or a dash where there are none."""
    return human_size(row.bytes) if row else "-"


def leading_score(row: Row | None) -> Record | None:
    """Return the first measured score of a row, None without one; of bounds on one likelihood the tightest,
    which says most about it. Likelihoods of 8-bit images are told in bits/dim, as papers do.
    """
    if row is None or not row.scores:
        return None
    first = row.scores[0]
    if (first.unit, first.transform) == ("nats", "8-bit"):
        same = (s for s in row.scores if s == replace(first, unit=s.unit, value=s.value, stderr=s.stderr))
        first = next((s for s in same if s.unit == "bits/dim"), first)
    if first.kind not in BOUNDS:
        return first
    # Bounds are compared only if all else is equal: of the same images, in the same unit.
    about = ("metric", "unit", "subject", "data", "split", "transform", "condition", "n")
    rivals = [
        s
        for s in row.scores
        if s.kind in BOUNDS and all(getattr(s, key) == getattr(first, key) for key in about)
    ]
    return min(rivals, key=lambda score: score.value)


def leading_words(row: Row | None) -> str:
    """Return the leading score in words, or an empty text: `kid[gist-v1] 0.022 ± 0.006`; a bound is written
    with ≤, and a tighter one with its number of draws.

    The digest of the features and the rest of the protocol are left to `genzoo info`.
    """
    score = leading_score(row)
    if score is None:
        return ""
    draws = score.protocol.split(",")[0] if score.kind == "iwae" else ""
    return f"{score.short_label} {score.quantity}" + (f", {draws}" if draws else "")


def draw(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the lines of the taxonomy with the models in their places."""
    signs = ("├─ ", "└─ ", "│  ", "   ")
    try:
        "".join(signs).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        signs = ("|- ", "`- ", "|  ", "   ")
    seen = {entry.card.family for entry in entries}
    for heading, content in (TREE, *BESIDE):
        # Classifiers are instruments, not part of the taxonomy: no empty branch for them.
        if content is not Family.CLASSIFIER or content in seen:
            yield heading
            yield from _branch(content, "", entries, signs)


def _branch(content: Any, indent: str, entries: Sequence[Entry], signs: Sequence[str]) -> Iterator[str]:
    fork, last, rail, space = signs
    if isinstance(content, Family):
        columns = room() - len(indent) - len(fork)
        leaves = [_leaf(card, row, columns) for card, row in entries if card.family is content]
        leaves = leaves or ["(none installed)"]
        for index, leaf in enumerate(leaves):
            yield indent + (last if index == len(leaves) - 1 else fork) + leaf
        return
    for index, (heading, inner) in enumerate(content):
        final = index == len(content) - 1
        yield indent + (last if final else fork) + heading
        yield from _branch(inner, indent + (space if final else rail), entries, signs)


def _leaf(card: Card, row: Row | None, columns: int) -> str:
    """Return a model's name with the facts that fit beside it."""
    facts = [
        safe_text(fact)
        for fact in (takes(card) if card.condition else "", size(row) if row else "", leading_words(row))
        if fact
    ]
    # On a narrow terminal facts are dropped from the right; the name always stays whole.
    while facts:
        leaf = f"{card.name}  ({', '.join(facts)})"
        if width(leaf) <= columns:
            return leaf
        facts.pop()
    return card.name
