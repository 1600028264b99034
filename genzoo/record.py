"""Record: a measured number with everything needed to decide whether it can be compared with another.

Evaluation makes records, and a ledger stores them. This module does not import torch.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

from genzoo.errors import ArgumentError, legible, safe_text
from genzoo.schema import limits

FLOOR = "train"  # the subject of measures of real images
KINDS = ("exact", "elbo", "iwae", "sample", "reconstruction", "classification")
BOUNDS = ("elbo", "iwae")  # of them
BETTER = ("lower", "higher", "neither")
_MOST = 10**12  # of anything that a record counts

# Field -> why a difference in it forbids a comparison. In the order in which reasons are given.
_MUST_AGREE = {
    "metric": "they measure different things",
    "kind": "an exact value, a bound and a measure of samples are different kinds of statement",
    "unit": "nats count whole images, bits/dim single pixels: convert one first",
    "features": "a distance means nothing without the features it was measured in",
    "data": "another data set is another task",
    "split": "another split holds other images",
    "transform": "binarised and 8-bit images have different likelihoods and different edges",
    "drawn": "samples that are not drawn from p(x) are measured apart, and each manner by itself",
    "condition": "p(x) and p(x|c) are different tasks, and so is each c",
    "image_shape": "images of another size have other likelihoods and other edges",
    "n": "the estimate depends on how many images were measured",
    "n_reference": "the estimate depends on how many images it was measured against",
    "protocol": "they were measured in different ways",
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """One measured value.

    Attributes:
        metric: "kid", "fid", "swd", "ms-ssim", "precision", "nll", ...
        value: the number, finite.
        unit: "1" for a pure number, "nats", "bits/dim", ...
        kind: "exact", "elbo" or "iwae" for a likelihood, a lower bound or a tighter lower bound; "sample" for
            a measure of sample quality, "reconstruction" for how well an encoder and a decoder reproduce
            images, "classification" for how well a classifier classifies them.
        n: number of images measured, 0 if a ledger does not state it.
        data, split, transform: the images measured: the name of the data set, its split, and "8-bit" or a
            binarisation; "" if a ledger does not state it.
        image_shape: shape of the images, such as "1x28x28", or "" if it was not recorded.
        subject: what was measured: a model's name, "samples", or "train" for the floor (the score of real
            images).
        n_reference: number of images they were compared with, or None if there is no other side.
        stderr: standard error of the value, or None if unknown.
        blocks: number of independent groups of images behind the standard error, such as persons or scenes of
            a film; None: each image is its own group.
        features: name and digest of the features, "" if the metric uses none.
        condition: what a conditional model was given: "label kitchen" if all images have one label, "test
            labels" if each has its own; "" for a model without a condition.
        drawn: how the samples were drawn, if not from p(x): "truncation 0.5", see `genzoo.manner.Manner`; ""
            for samples of p(x), and for measures of images.
        protocol: everything else that determines the number: seeds, counts, weights, the K of IWAE.
        better: "lower", "higher", or "neither" where the aim is the value of real images.
        note: a caveat for the reader, e.g. that a covariance is rank deficient.
        device: what the model computed on, such as "cpu" or "cuda"; "" if it was not recorded. Values that
            differ in it can be compared: they agree up to rounding.
    """

    metric: str
    value: float
    unit: str = "1"
    kind: str = field(default="sample", metadata=limits(choices=KINDS))
    n: int = field(default=0, metadata=limits(0, _MOST))
    data: str = ""
    split: str = "test"
    transform: str = "8-bit"
    image_shape: str = ""
    subject: str = "samples"
    n_reference: int | None = field(default=None, metadata=limits(1, _MOST))
    stderr: float | None = field(default=None, metadata=limits(0))
    blocks: int | None = field(default=None, metadata=limits(1, _MOST))
    features: str = ""
    condition: str = ""
    drawn: str = ""
    protocol: str = ""
    better: str = field(default="lower", metadata=limits(choices=BETTER))
    note: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.better not in BETTER:
            raise ArgumentError(f"better must be one of {', '.join(BETTER)}, not {self.better!r}")
        if not self.metric or not self.unit:
            raise ArgumentError("a record needs a metric and a unit")
        if not math.isfinite(self.value) or (self.stderr is not None and not 0 <= self.stderr < math.inf):
            raise ArgumentError(f"{self.metric} is {self.value} ± {self.stderr}, which is not a measurement")
        if self.n < 0:
            raise ArgumentError(f"n must be at least 0, not {self.n}")

    def check_measured(self) -> Record:
        """Return the record itself if it states how many images were measured, and which.

        Raises:
            ArgumentError: it does not state both.
        """
        if not self.data:
            raise ArgumentError(f"a record of {self.metric} needs the data it was measured on")
        if self.n < 1:
            raise ArgumentError(f"n must be at least 1 in a record of {self.metric}, not {self.n}")
        return self

    def legible(self) -> Record:
        """Return the record with texts that can be stored in any file; see `genzoo.errors.legible`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        texts: dict[str, Any] = {
            name: legible(value) for name, value in values.items() if isinstance(value, str)
        }
        return replace(self, **texts)

    @property
    def label(self) -> str:
        """Return the metric with what it depends on: "fid[gist-v1@0123456789ab]", never a bare "fid"; "nll
        given test labels"; "kid[gist-v1@0123456789ab] drawn with truncation 0.5".
        """
        return self.bare_label + self.given

    @property
    def bare_label(self) -> str:
        """Return the label without the condition: the metric with its features."""
        return f"{self.metric}[{self.features}]" if self.features else self.metric

    @property
    def given(self) -> str:
        """Return the condition and the manner as a label ends with them: " given test labels drawn with
        truncation 0.5"; an empty text without them.
        """
        given = f" given {self.condition}" if self.condition else ""
        return given + (f" drawn with {self.drawn}" if self.drawn else "")

    @property
    def short_label(self) -> str:
        """Return the label without the digest of the features: "fid[gist-v1]"."""
        return re.sub(r"@[0-9a-f]+(?=\]$)", "", self.bare_label) + self.given

    @property
    def quantity(self) -> str:
        """Return the value with its standard error and unit: "= 81.3 ± 0.2 nats", "≤ 84.2 nats" of a bound,
        "(17.4 ± 3.1) × 1e-3".
        """
        scaled = self.unit[:1].isdigit() and self.unit != "1"
        amount = f"({self.amount}) ×" if scaled and self.stderr is not None else self.amount + " ×" * scaled
        return f"{self.sign}{amount}" + ("" if self.unit == "1" else f" {self.unit}")

    @property
    def sign(self) -> str:
        """Return "= " of an exact likelihood, "≤ " of a bound on one, and "" of any other value."""
        return "= " if self.kind == "exact" else "≤ " if self.kind in BOUNDS else ""

    @property
    def amount(self) -> str:
        """Return the value with its standard error: "81.3 ± 0.2"."""
        return _plain(self.value, 4) + ("" if self.stderr is None else f" ± {_plain(self.stderr, 2)}")

    def as_dict(self) -> dict[str, str | int | float | None]:
        """Return every field, ready for JSON; `label` and the field names of the class are the keys."""
        return {"label": self.label, **asdict(self)}

    def __repr__(self) -> str:
        words = f"{safe_text(self.short_label, 40)} {self.quantity} of {self.subject}"
        return f"<Record {safe_text(words, 90)}>"

    def _repr_html_(self) -> str:
        """Return every field that says something as a table, for notebooks."""
        from genzoo.notebook import html_facts

        shown = asdict(self) | {"value": self.quantity, "unit": "", "stderr": ""}
        return html_facts(shown.items())

    def __str__(self) -> str:
        against = "" if self.n_reference is None else f" against {self.n_reference:,}"
        bound = {"elbo": "ELBO", "iwae": "IWAE"}.get(self.kind, "")
        # the protocol of samples is the same for all measures; `genzoo eval --json` shows it
        said = self.protocol if self.kind != "sample" else ""
        how = "".join(f"{words}, " for words in (bound, said) if words)
        count = f"n = {self.n:,}" + ("" if self.blocks is None else f" in {self.blocks:,} blocks")
        where = f"{how}{count}{against}, {self.data} {self.split}, {self.transform}"
        where += f", on {self.device}" if self.device not in ("", "cpu") else ""
        return f"{self.label} of {self.subject}: {self.quantity} ({where})" + (
            f"; {self.note}" if self.note else ""
        )


class Records(list[Record]):
    """A list of records that a notebook shows as a table, each value beside the floor of real images."""

    def _repr_html_(self) -> str:
        """Return the records as a table, for notebooks."""
        from genzoo.notebook import html_table

        rows = []
        for record, floor in beside_floor(self):
            of, value = ("", "") if record is floor else (record.subject, record.quantity)
            where = f"{record.data} {record.split}, {record.transform}"
            rows.append((record.label, of, value, floor.quantity if floor else "", f"{record.n:,}", where))
        return html_table(rows, ("Metric", "Of", "Value", "Real images", "n", "Data"))


def _plain(value: float, digits: int) -> str:
    """Return `value` to so many digits, written out: 1e+04 is not what people read in a table."""
    if digits >= 4 and 1e4 <= abs(value) < 1e9:  # its error is about the last of these digits
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    return f"{Decimal(text):f}" if abs(value) < 1e9 and "e+" in text else text


def beside_floor(records: Iterable[Record]) -> list[tuple[Record, Record | None]]:
    """Return each record of a model with the floor beside it, the value that real images reach in the same
    measurement, or None where there is no such floor.

    Floors without a record of a model follow, each beside itself.
    """
    known = list(records)
    floors = {_terms(record): record for record in known if record.subject == FLOOR}
    pairs = [(record, floors.get(_terms(record))) for record in known if record.subject != FLOOR]
    paired = {_terms(record) for record, _ in pairs}
    return [*pairs, *((floor, floor) for terms, floor in floors.items() if terms not in paired)]


def _terms(record: Record) -> tuple[object, ...]:
    """Return all that two records must have in common to be compared."""
    return tuple(getattr(record, name) for name in _MUST_AGREE)


def difference(a: Record, b: Record) -> str:
    """Return in one line why `a` and `b` cannot be compared, or "" if they can."""
    for record in (a, b):
        if not record.data or not record.n:
            return f"the record {record.label} of {record.subject} does not state which images were measured"
    for name, reason in _MUST_AGREE.items():
        if getattr(a, name) != getattr(b, name):
            return f"{name} differs, {getattr(a, name)!r} and {getattr(b, name)!r}: {reason}"
    return ""


def comparable(a: Record, b: Record) -> bool:
    """Return whether two records can be ranked together; `difference` says why not."""
    return not difference(a, b)


def standings(records: Iterable[Record]) -> tuple[list[list[Record]], list[str]]:
    """Return a ranking, best first, for each measure that two or more subjects share, and a line for each
    that says why others are not ranked together.

    It leaves out the floor (the score of real images), measures for which neither end is better, and
    bits/dim, which give the same order as nats.
    """
    classes: dict[tuple[object, ...], list[Record]] = {}
    first: dict[str, Record] = {}
    for record in records:
        if record.subject != FLOOR and record.better != "neither" and record.unit != "bits/dim":
            first.setdefault(record.subject, record)
            if record.data and record.n:
                classes.setdefault(_terms(record), []).append(record)
    shared = [rank(rows) for rows in classes.values() if len({row.subject for row in rows}) > 1]
    together = [{row.subject for row in rows} for rows in shared]
    apart = [
        f"{a} and {b} are not ranked together: {difference(first[a], first[b])}"
        for a, b in itertools.combinations(first, 2)
        if not any({a, b} <= subjects for subjects in together)
    ]
    return shared, apart


def rank(records: Iterable[Record]) -> list[Record]:
    """Return the records, best first; equal values keep their order.

    Raises:
        ArgumentError: two of them cannot be compared, or neither end of the metric is better; the message
            says why.
    """
    rows = list(records)
    for place, row in enumerate(rows):
        if row.better == "neither":
            raise ArgumentError(
                f"{row.metric} is not ranked: the aim is the value of real images", "compare with the floor"
            )
        if place and (why := difference(rows[0], row)):
            raise ArgumentError(f"{rows[0].subject} and {row.subject} are not ranked together: {why}")
    return sorted(rows, key=lambda row: row.value, reverse=bool(rows) and rows[0].better == "higher")
