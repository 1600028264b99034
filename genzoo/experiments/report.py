"""The report of an experiment: a table for each measure, the findings of the training doctor, all results as
data, and one picture of samples.
"""

from __future__ import annotations

import functools
import json
import math
import os
import statistics
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from genzoo.experiments.cells import TRANSLATIONS, Result
from genzoo.experiments.plan import Experiment, cells
from genzoo.explore.figure import GAP
from genzoo.files import atomic_write
from genzoo.images import save_picture
from genzoo.record import BOUNDS, FLOOR

TABLE, DATA, PICTURE = "table.md", "table.json", "samples.png"
JUDGES = {"valid": "validation", "test": "test"}
_LETTER = 14  # pixels of the labels


def write(experiment: Experiment, results: Sequence[Result], folder: Path) -> list[Path]:
    """Write the table, data and picture of the results so far; return their paths."""
    atomic_write(folder / TABLE, ("\n".join(lines(experiment, results)) + "\n").encode())
    facts = {key: getattr(experiment, key) for key in ("title", "data", "split", "budget", "n", "seeds")}
    told = {**facts, "cells": [result.as_dict() for result in results]}
    atomic_write(folder / DATA, json.dumps(told, indent=2).encode())
    save_picture(picture(experiment, folder), folder / PICTURE)
    return [folder / name for name in (TABLE, DATA, PICTURE)]


def lines(experiment: Experiment, results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of the table in Markdown."""
    total = len(list(cells(experiment)))
    yield f"# {experiment.title}"
    yield ""
    yield (
        (
            f"{experiment.data}; {len(results)} of {total} cells, each of {experiment.budget:,} turns of all "
            "players"
        )
        + (
            f"; mean ± standard error of {experiment.seeds} seeds"
            if experiment.seeds > 1
            else "; ± is the standard error over images"
        )
        + (
            f"; {experiment.n:,} {JUDGES[experiment.split]} images at most, and as many samples where they "
            "are measured."
        )
    )
    for measure in dict.fromkeys(_measure(record) for result in results for record in result.records):
        yield from ("", f"## {measure}", "")
        yield from _table(experiment, results, functools.partial(_measured, measure))
        yield from _others(results, measure)
    yield from ("", "## What the training doctor found", "")
    yield from _table(experiment, results, _ailments)


def _table(
    experiment: Experiment, results: Sequence[Result], words: Callable[[Sequence[Result]], str]
) -> Iterator[str]:
    columns = list(experiment.columns or {"": {}})
    yield "| " + " | ".join(["", *columns]) + " |"
    yield "|---" * (1 + len(columns)) + "|"
    for row in experiment.rows or {"": {}}:
        told = [
            words([r for r in results if (r.cell.row, r.cell.column) == (row, column)]) for column in columns
        ]
        yield "| " + " | ".join([row, *told]) + " |"


def _picture_of(folder: Path) -> Path:
    """Return the picture of a cell."""
    translations = folder / TRANSLATIONS
    return translations if os.path.isfile(translations) else folder / PICTURE


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as tile:
        converted: Image.Image = tile.convert("RGB")
    return converted


def _measure(record: Mapping[str, Any]) -> str:
    """Return what a record measures, "nll, bits/dim": numbers of another unit, and bounds, have a table of
    their own.
    """
    unit = "" if record["unit"] == "1" else f", {record['unit']}"
    return f"{record['label']}{unit}" + (" (a bound)" if record["kind"] in BOUNDS else "")


def _measured(measure: str, found: Sequence[Result]) -> str:
    """Return what a place of the table says of a measure: its value, or that the runs collapsed."""
    records = [
        record
        for result in found
        for record in result.records
        if _measure(record) == measure and record["subject"] == result.cell.name
    ]
    failed = sum(bool(result.collapsed) for result in found)
    lost = f"{failed} of {len(found)} collapsed" if failed else ""
    if not records:
        return lost or "–"
    values = [record["value"] for record in records]
    spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else records[0]["stderr"]
    return ", ".join(
        filter(
            None,
            (f"{statistics.mean(values):.4g}" + (f" ± {spread:.2g}" if spread is not None else ""), lost),
        )
    )


def _ailments(found: Sequence[Result]) -> str:
    kinds = [
        kind for result in found for kind in [*result.found, *(["the run ended"] if result.collapsed else [])]
    ]
    counted = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    return (
        ", ".join(
            kind + (f" ({count} of {len(found)})" if len(found) > 1 else "")
            for kind, count in counted.items()
        )
        or "–"
    )


def _others(results: Sequence[Result], measure: str) -> Iterator[str]:
    """Yield a line for each subject that is no cell: real images, and what is compared with the models."""
    values: dict[str, list[float]] = {}
    for result in results:
        for record in result.records:
            if _measure(record) == measure and record["subject"] != result.cell.name:
                values.setdefault(record["subject"], []).append(record["value"])
    for subject, found in values.items():
        who = "Training images" if subject == FLOOR else f"{subject[:1].upper()}{subject[1:]}"
        verb = "reach" if subject == FLOOR else "reaches"
        yield from ("", f"{who} {verb} {statistics.mean(found):.4g}.")


def legible(words: str) -> str:
    """Return `words` with Greek letters by their names: the font of the picture has none."""
    return "".join(
        name.rpartition(" ")[2].lower() if (name := unicodedata.name(sign, "")).startswith("GREEK") else sign
        for sign in words
    )


def picture(experiment: Experiment, folder: Path) -> Image.Image:
    """Return the samples of every cell, of its first seed, in the places of the table; of a translator its
    held-out pictures. Blank where there are none.
    """
    rows, columns = list(experiment.rows or {"": {}}), list(experiment.columns or {"": {}})
    spelled = {name: legible(name) for name in (*rows, *columns)}
    first = {
        (cell.row, cell.column): _picture_of(folder / cell.name) for cell in reversed(list(cells(experiment)))
    }
    tiles = {place: _opened(path) for place, path in first.items() if os.path.isfile(path)}
    side = next(iter(tiles.values()), Image.new("RGB", (128, 128))).size
    font = ImageFont.load_default(_LETTER)
    left = GAP + max(round(font.getlength(spelled[row])) for row in rows) + GAP
    wide = max(side[0], *(round(font.getlength(spelled[column])) for column in columns)) + GAP
    top = _LETTER + 2 * GAP
    canvas = Image.new("RGB", (left + len(columns) * wide, top + len(rows) * (side[1] + GAP)), "white")
    pen = ImageDraw.Draw(canvas)
    for across, column in enumerate(columns):
        pen.text((left + across * wide, GAP), spelled[column], "black", font)
        for down, row in enumerate(rows):
            place = (left + across * wide, top + down * (side[1] + GAP))
            canvas.paste(tiles.get((row, column), Image.new("RGB", side, "#DDDDDD")), place)
    for down, row in enumerate(rows):
        pen.text((GAP, top + down * (side[1] + GAP) + side[1] // 2), spelled[row], "black", font, "lm")
    return canvas
