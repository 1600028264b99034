"""Metrics that plugins bring: functions of drawn and of held-out images, imported when they are asked for by
name.
"""

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
    """Yield what the metric of a plugin says of every subject beside the held-out images."""
    for subject, images in sides.judged.items():
        yield sides.record(metric, subject, **ask(metric, images, sides.test))


def ask(metric: Metric, images: Tensor, test: Tensor) -> dict[str, Any]:
    """Return what a plugin's metric says of `images` beside `test`, as fields of a Record, "value" among
    them.

    Both sides are uint8 (n, C, H, W), as many here as there; the metric is given them as float32 in [0, 1].
    It answers with a number, of which less is better, or with a mapping of FIELDS.

    Raises:
        PluginError: the metric cannot be imported, fails, or answers with something else.
    """
    what = f"the metric {metric.name!r} of {metric.owner}"
    function = import_target(metric.target, what)
    try:
        with isolated():
            found = function(to_float(images), to_float(test))
    except GenzooError as error:
        raise type(error)(f"{what}: {error.message}", error.hint) from error
    except Exception as error:
        raise PluginError(f"{what} failed: {describe(error)}", "tell its author") from error
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
        raise PluginError(f"{what} cannot be read: {error}; {expected}", "tell its author") from error
