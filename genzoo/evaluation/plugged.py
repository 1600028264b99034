"""Metrics from plugins: functions of generated and held-out images, imported when requested by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from genzoo.errors import GenzooError, PluginError
from genzoo.evaluation.sides import Sides
from genzoo.images import to_float
from genzoo.isolation import describe, import_target, isolated
from genzoo.metrics import METRICS, PAIR, Metric
from genzoo.record import Record
from genzoo.registry import installed

FIELDS = ("value", "stderr", "unit", "better", "protocol", "note")  # of a Record, which a metric may fill


def every_metric() -> dict[str, Metric]:
    """Return the metrics of genzoo and of all installed plugins by name."""
    brought = installed().metrics.items()
    return {
        **METRICS,
        **{
            name: Metric(name=name, on=PAIR, target=provided.value, owner=provided.plugin)
            for name, provided in brought
        },
    }


def measure_pair(metric: Metric, sides: Sides) -> Iterator[Record]:
    """Yield the records of a plugin's metric for every subject against the held-out images."""
    for subject, images in sides.judged.items():
        yield sides.record(metric, subject, **ask(metric, images, sides.test))


def ask(metric: Metric, images: Tensor, test: Tensor) -> dict[str, Any]:
    """Return the result of a plugin's metric on `images` and `test`, as fields of a Record that include
    "value".

    Both sides are uint8 (n, C, H, W), with equal n; the metric gets them as float32 in [0, 1]. It returns a
    number, where lower is better, or a mapping of FIELDS.

    Raises:
        PluginError: the metric cannot be imported, fails, or returns something else.
    """
    what = f"the metric {metric.name!r} of {metric.owner}"
    function = import_target(metric.target, what)
    try:
        with isolated():
            found = function(to_float(images), to_float(test))
    except GenzooError as error:
        raise type(error)(f"{what}: {error.message}", error.hint) from error
    except Exception as error:
        raise PluginError(f"{what} failed: {describe(error)}", "report this to its author") from error
    facts: dict[str, Any] = dict(found) if isinstance(found, Mapping) else {"value": found}
    try:
        if unknown := [key for key in facts if key not in FIELDS]:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(FIELDS)}")
        if "value" not in facts:
            raise ValueError("it has no value")
        numbers = {
            key: float(facts[key])
            for key in ("value", "stderr")
            if facts.get(key) is not None or key == "value"
        }
        return {**facts, **numbers}
    except (TypeError, ValueError) as error:
        expected = "it must return a number, or a mapping with the key value"
        raise PluginError(
            f"{what} cannot be read: {error}; {expected}", "report this to its author"
        ) from error
