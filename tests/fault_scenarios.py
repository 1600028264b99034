"""What `faults.py` interrupts: one Scenario each, for the tests and for the table of SECURITY.md."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import time
from pathlib import Path

from faults import Scenario

from genzoo.hub import pull_bytes, push
from genzoo.ledger import Row, read_rows

NAME = "dcgan-bedrooms"
OLD, NEW, OTHER = (random.Random(seed).randbytes(30_000) for seed in (0, 1, 2))
FOREIGN = ("version = 2\n", "[other.extra]\nx = 1\n")


def publish(folder: Path, weights: bytes, licence: str, name: str = NAME) -> Row:
    """Push `weights` to the hub in `folder`, with all that must agree with them."""
    digest = hashlib.sha256(weights).hexdigest()
    row = Row(name=name, sha256=digest, bytes=len(weights), sources=("folder:x",), licence=licence)
    told = f"{digest} {licence}"
    return push(folder / "hub", name=name, weights=weights, row=row, card_text=told, files={"scores.json": told.encode()})


def hub_state(folder: Path) -> str:
    """Pull from the hub with an empty cache, hold all that lies in it against its rows, and name what is published."""
    os.environ["GENZOO_CACHE"] = tempfile.mkdtemp(dir=folder)
    hub = folder / "hub"
    if not (hub / "zoo.toml").exists():
        return "nothing"
    rows = read_rows(hub / "zoo.toml")
    for name, row in rows.items():
        told = f"{row.sha256} {row.licence}"
        pull_bytes(row)
        if (hub / row.card).read_text() != told:
            return f"wrong: the card of {name} is not about its weights"
        if name == NAME and (hub / "scores.json").exists() and (hub / "scores.json").read_text() != told:
            return "wrong: the scores are not those of the weights"
    if NAME not in rows:
        return f"wrong: rows {list(rows)}, {rows.problems}"
    return f"{'new' if pull_bytes(rows[NAME]) == NEW else 'old'} weights, {rows[NAME].licence}"


def first_state(folder: Path) -> str:
    """Judge a hub that was not there before."""
    return {"nothing": "old", "new weights, MIT": "new"}.get(found := hub_state(folder), found)


def next_state(folder: Path) -> str:
    """Judge a hub that had another model, an older result and keys of a newer genzoo."""
    text = (folder / "hub" / "zoo.toml").read_text()
    if "[other]" not in text or not all(words in text for words in FOREIGN):
        return "wrong: what others wrote is gone"
    return {"old weights, CC0": "old", "new weights, MIT": "new"}.get(found := hub_state(folder), found)


def facts_state(folder: Path) -> str:
    """Judge a hub that had the same weights with other facts."""
    return {"new weights, CC0": "old", "new weights, MIT": "new"}.get(found := hub_state(folder), found)


def _older(folder: Path) -> None:
    """Leave another model, an older result, keys of a newer genzoo, and files of the past that no row names."""
    publish(folder, OTHER, "MIT", "other")
    publish(folder, OLD, "CC0")
    path = folder / "hub" / "zoo.toml"
    path.write_text(FOREIGN[0] + path.read_text() + FOREIGN[1])
    for name in (f"{NAME}-{'0' * 16}.safetensors", f"{NAME}-{'1' * 16}.md", f".genzoo-{'2' * 16}.tmp"):
        (folder / "hub" / name).write_text("old")
        os.utime(folder / "hub" / name, (time.time() - 10**6,) * 2)


FIRST = Scenario("first push to a folder", lambda folder: None, lambda folder: publish(folder, NEW, "MIT"), first_state)
AGAIN = Scenario("push over an older model", _older, lambda folder: publish(folder, NEW, "MIT"), next_state)
FACTS = Scenario(
    "push of other facts", lambda folder: publish(folder, NEW, "CC0"), lambda folder: publish(folder, NEW, "MIT"), facts_state
)
SCENARIOS = [FIRST, AGAIN, FACTS]
