"""The scores of a row: `genzoo.record.Record`, and the keys under which a zoo.toml keeps one.

A score is written short. Its features stand in brackets behind the metric, "kid[gist-v1@001ecadca61e]", or
under a key of their own where that could be read in another way. The unit "1" is left out, and so is what the
metric or the row say already: which end is better, that n samples were measured against n held-out images,
and the shape of the images. Reading puts it back, so that a record comes out of a ledger as it went in, and
the ledgers of an earlier genzoo, which never had these keys, can be compared with what is measured now.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from genzoo.metrics import better_of, metric_of
from genzoo.record import Record
from genzoo.schema import parse

# In the order in which they are written.
KEYS = (
    "metric",
    "value",
    "unit",
    "kind",
    "n",
    "stderr",
    "blocks",
    "subject",
    "data",
    "split",
    "transform",
    "condition",
    "drawn",
    "protocol",
    "image_shape",
    "n_reference",
    "better",
    "note",
    "device",
    "features",
)
_ABSENT = {"unit": "1", "subject": "", "split": "", "transform": ""}
_ALWAYS = ("metric", "value", "kind", "n")
_LABEL = re.compile(r"([^\[\]]+)\[(.+)\]", re.DOTALL)
_SHAPE = re.compile(r", ([0-9]+)×([0-9]+)×([0-9]+),")


def read_score(values: Mapping[str, Any], trained_on: str = "") -> Record:
    """Return the record of a score whose keys are among KEYS; `trained_on` is the `data` of its row.

    Raises:
        ArgumentError: a missing key, a wrong type, or a value out of range.
    """
    given, metric = {**_ABSENT, **values}, values.get("metric")
    if isinstance(metric, str):
        # A key of its own is used for names that contain brackets, see `write_score`.
        if "features" not in given:
            given["metric"], given["features"] = _read_label(metric)
        given = {**_said(given, trained_on), **given}
    # Written as 0, since TOML has no null.
    if type(given.get("n_reference")) is int and not given["n_reference"]:
        given["n_reference"] = None
    if given.get("unit") == "":
        given["unit"] = _ABSENT["unit"]
    return parse(Record, given, "")


def write_score(record: Record, trained_on: str = "") -> dict[str, str | int | float]:
    """Return keys and values of a score as a zoo.toml holds them; `read_score` gives the same record back."""
    values = {key: getattr(record, key) for key in KEYS}
    usual = {**dict.fromkeys(KEYS), **_said(values, trained_on), **_ABSENT}
    usual |= {"data": "", "condition": "", "drawn": "", "protocol": "", "note": "", "device": ""}
    kept = {key: value for key, value in values.items() if key in _ALWAYS or value != usual[key]}
    if "n_reference" in kept and kept["n_reference"] is None:
        kept["n_reference"] = 0  # TOML has no null
    kept.pop("features", None)
    if _read_label(record.bare_label) == (record.metric, record.features):
        return {**kept, "metric": record.bare_label}
    return {**kept, "features": record.features}


def _read_label(label: str) -> tuple[str, str]:
    """Return the metric and the features of a label such as "kid[gist-v1@001ecadca61e]"."""
    found = _LABEL.fullmatch(label) if label.endswith("]") else None
    return (found[1], found[2]) if found else (label, "")


def _said(values: Mapping[str, Any], trained_on: str) -> dict[str, Any]:
    """Return what need not be said of a score: by its metric, and by the data that its row was trained on."""
    metric, n = metric_of(values["metric"]), values.get("n")
    paired = metric is not None and metric.paired and type(n) is int and n > 0
    return {
        "better": better_of(values["metric"]),
        "n_reference": n if paired else None,
        "image_shape": _shape(trained_on),
    }


@functools.lru_cache(maxsize=64)  # all scores of a row ask for the same one
def _shape(trained_on: str) -> str:
    found = _SHAPE.search(trained_on)
    return "x".join(found.groups()) if found else ""
