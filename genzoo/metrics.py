"""The table of metrics of samples, and whether lower or higher is better for each.

It determines what `genzoo eval` measures, which names plugins cannot claim, and what a ledger leaves out.
This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from genzoo.errors import UnknownNameError, suggest

FEATURES, PIXELS, PAIR = "features", "pixels", "pair"  # what a metric is measured on
PARZEN = "parzen-2014"
AGREEMENT = "agreement"
INCEPTION_SCORE = "inception-score"
LEAST_SIDE = 11  # pixels of the shorter side that MS-SSIM needs: its window
LEAST_CORNER = 16  # that the checkerboard needs, so that the frequencies beside the corner are high ones


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One way to measure samples.

    Attributes:
        name: its name for `--metrics`.
        on: "features" or "pixels" of the sides that are compared; "pair" for a plugin's metric, which takes
            samples and equally many held-out images.
        gives: the metric names of its records; () means its own name.
        better: "lower", "higher", or "neither" if the aim is the value of real images.
        unit: unit of its records.
        paired: whether it compares n samples with n held-out images.
        least_side: smallest shorter side in pixels; it is left out for smaller images unless requested.
        even: whether height and width must be even; it is left out for others unless requested.
        reads: whether samples are read as labels: those that they were drawn with, or one that is named; it
            is left out without.
        scores: whether it needs class scores of an Inception net; it is left out without.
        only: a data set and a number of images; it is left out for others unless requested.
        target: "module:function" of a plugin's metric, imported when requested; genzoo's own are in
            `genzoo.evaluation.metrics`.
        owner: the plugin that provides it, "" for genzoo's own.
    """

    name: str
    on: str = PIXELS
    gives: tuple[str, ...] = ()
    better: str = "lower"
    unit: str = "1"
    paired: bool = True
    least_side: int = 0
    even: bool = False
    reads: bool = False
    scores: bool = False
    only: tuple[str, int] | None = None
    target: str = ""
    owner: str = ""

    @property
    def records(self) -> tuple[str, ...]:
        """The metric names of its records."""
        return self.gives or (self.name,)

    def suits(self, data: str, n: int, sides: tuple[int, int]) -> bool:
        """Return whether it is measured by default on `n` images of `data` of this height and width."""
        fits = min(sides) >= self.least_side and not (self.even and any(side % 2 for side in sides))
        return fits and self.only in (None, (data, n))


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(name="kid", on=FEATURES),
            Metric(name="fid", on=FEATURES),
            Metric(
                name="prdc",
                on=FEATURES,
                gives=("precision", "recall", "density", "coverage"),
                better="higher",
            ),
            Metric(name="two-sample", on=FEATURES),
            Metric(name=INCEPTION_SCORE, on=FEATURES, better="higher", paired=False, scores=True),
            Metric(name="copying", better="neither", paired=False),
            Metric(name="swd", unit="1e-3"),
            Metric(name="ms-ssim", better="neither", paired=False, least_side=LEAST_SIDE),
            Metric(name="checkerboard", paired=False, least_side=LEAST_CORNER, even=True),
            Metric(name=AGREEMENT, better="higher", paired=False, reads=True),
            Metric(name=PARZEN, better="neither", unit="nats", only=("mnist", 10_000)),
        )
    }
)
# What is measured of a model itself, not of its samples, and which end of it is better.
OF_MODELS: Mapping[str, str] = MappingProxyType(
    {
        "nll": "lower",
        "mse": "lower",
        "accuracy": "higher",
        "cross-entropy": "lower",
        "l1": "lower",
        "ssim": "higher",
        "cycle-l1": "lower",
    }
)
_BY_RECORD = {name: metric for metric in METRICS.values() for name in metric.records}
NAMES = tuple(dict.fromkeys((*METRICS, *_BY_RECORD, *OF_MODELS)))  # that are genzoo's own


def metric_of(record: str) -> Metric | None:
    """Return genzoo's metric whose records have this name, or None; "swd-16" is one level of "swd"."""
    stem, _, level = record.rpartition("-")
    return _BY_RECORD.get(record) or (_BY_RECORD.get(stem) if level.isdigit() else None)


def better_of(record: str) -> str:
    """Return whether "lower" or "higher" is better for records of this name, or "neither"; "lower" if
    unknown.
    """
    metric = metric_of(record)
    return metric.better if metric else OF_MODELS.get(record, "lower")


def chosen(names: Iterable[str], known: Mapping[str, Metric] = METRICS) -> list[Metric]:
    """Return the metrics with these names.

    Raises:
        UnknownNameError: there is no such metric.
    """
    found = []
    for name in names:
        if name not in known:
            raise UnknownNameError(
                f"unknown metric {name!r}{suggest(str(name), known)}", f"the metrics are {', '.join(known)}"
            )
        found.append(known[name])
    return found
