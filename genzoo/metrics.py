"""The table of metrics: what samples are measured by, and which end of each number is better.

What `genzoo eval` measures, the names that plugins may not claim, and what a ledger leaves out come from it.
No torch in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from genzoo.errors import UnknownNameError, suggest

FEATURES, PIXELS, PAIR = "features", "pixels", "pair"  # what a metric is measured on
PARZEN = "parzen-2014"
LEAST_SIDE = 11  # pixels of the shorter side that MS-SSIM needs: its window


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One way to measure samples.

    Attributes:
        name: as `--metrics` takes it.
        on: "features" or "pixels" of the sides that are compared; "pair" of a plugin's, which is given
            samples and as many held-out images.
        gives: the metrics of its records; () is the name itself.
        better: "lower", "higher", or "neither" where the aim is the value of real images.
        unit: of its records.
        paired: whether n samples are measured against n held-out images.
        least_side: pixels of the shorter side; it is left out of smaller images unless it is asked for.
        only: a data set and a number of images; it is left out of others unless it is asked for.
        target: "module:function" of a plugin's, imported when it is asked for; those of genzoo are in
            `genzoo.evaluation.metrics`.
        owner: the plugin that brings it, "" for those of genzoo.
    """

    name: str
    on: str = PIXELS
    gives: tuple[str, ...] = ()
    better: str = "lower"
    unit: str = "1"
    paired: bool = True
    least_side: int = 0
    only: tuple[str, int] | None = None
    target: str = ""
    owner: str = ""

    @property
    def records(self) -> tuple[str, ...]:
        """The metrics of its records."""
        return self.gives or (self.name,)

    def suits(self, data: str, n: int, side: int) -> bool:
        """Say whether `n` images of `data`, `side` pixels on the shorter side, are measured by it unasked."""
        return side >= self.least_side and self.only in (None, (data, n))


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
            Metric(name="copying", better="neither", paired=False),
            Metric(name="swd", unit="1e-3"),
            Metric(name="ms-ssim", better="neither", paired=False, least_side=LEAST_SIDE),
            Metric(name=PARZEN, better="neither", unit="nats", only=("mnist", 10_000)),
        )
    }
)
# What is measured of a model itself, not of its samples, and which end of it is better.
OF_MODELS: Mapping[str, str] = MappingProxyType(
    {"nll": "lower", "mse": "lower", "accuracy": "higher", "cross-entropy": "lower"}
)
_BY_RECORD = {name: metric for metric in METRICS.values() for name in metric.records}
NAMES = tuple(dict.fromkeys((*METRICS, *_BY_RECORD, *OF_MODELS)))  # that are genzoo's own


def metric_of(record: str) -> Metric | None:
    """Return the metric of genzoo that gives records of this name, None for any other; "swd-16" is one level
    of "swd".
    """
    stem, _, level = record.rpartition("-")
    return _BY_RECORD.get(record) or (_BY_RECORD.get(stem) if level.isdigit() else None)


def better_of(record: str) -> str:
    """Return which end of the records of this name is better; "lower" where nobody says."""
    metric = metric_of(record)
    return metric.better if metric else OF_MODELS.get(record, "lower")


def chosen(names: Iterable[str], known: Mapping[str, Metric] = METRICS) -> list[Metric]:
    """Return the metrics of these names.

    Raises:
        UnknownNameError: a metric that nobody has.
    """
    found = []
    for name in names:
        if name not in known:
            raise UnknownNameError(
                f"unknown metric {name!r}{suggest(str(name), known)}", f"the metrics are {', '.join(known)}"
            )
        found.append(known[name])
    return found
