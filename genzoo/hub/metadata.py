"""What the Hugging Face Hub reads of a model: the metadata of its card with the measured results, and
config.json, by whose requests the Hub counts downloads.

The keys are those of `huggingface_hub.ModelCardData`; results follow the format "model-index" of Papers with
Code, which `huggingface_hub.EvalResult` describes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from genzoo.card import Card, Family
from genzoo.errors import safe_text
from genzoo.ledger import Row
from genzoo.record import Record

IMAGES_TO_FEATURES = (Family.AUTOENCODER, Family.CLASSIFIER)
# data set here -> its repository on the Hub, where it has one with the same images
DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "mnist": "ylecun/mnist",
        "dynamic-binarized-mnist": "ylecun/mnist",
        "fashion-mnist": "zalando-datasets/fashion_mnist",
        "cifar10": "uoft-cs/cifar10",
    }
)
_LICENCES = {
    "mit",
    "apache-2.0",
    "bsd-3-clause",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "openrail",
}


def metadata_lines(row: Row, card: Card) -> list[str]:
    """Return the lines of the metadata, `key: value`; facts that are not known, such as the licence, are left
    out.
    """
    told = [f"condition:{card.condition.kind}"] if card.condition else []
    values: dict[str, Any] = _licence(row.licence)
    values |= {"data_terms": safe_text(row.terms)} if row.terms else {}
    values |= {"library_name": "genzoo"}
    values |= {"pipeline_tag": _task(card)} if _task(card) else {}
    values |= {"tags": ["genzoo", card.family.value, *told]}
    values |= {"datasets": [DATASETS[_data(row)]]} if _data(row) in DATASETS else {}
    results = [result(score, card) for score in row.scores if is_result(score)]
    values |= {"model-index": [{"name": row.name, "results": results}]} if results else {}
    return [f"{key}: {_yaml(value)}" for key, value in values.items()]


def _yaml(value: Any) -> str:
    """Return `value` as JSON, which is YAML whatever its texts hold, without the beginnings of markup."""
    return json.dumps(value).replace("<", "\\u003c").replace("](", "]\\u0028")


def is_result(score: Record) -> bool:
    """Return whether `score` is of the model, not of real images, which are the floor."""
    return score.subject != "train"


def result(score: Record, card: Card) -> dict[str, Any]:
    """Return an entry of `results` in the model-index: what was measured, on which images, and the value."""
    unit = "" if score.unit == "1" else f", {score.unit}"
    metric: dict[str, Any] = {
        "type": _slug(score.metric.partition("[")[0]),
        "name": safe_text(f"{score.label} ({score.kind}{unit})"),
        "value": score.value,
        "args": {"n": score.n},
    }
    metric["args"] |= {} if score.stderr is None else {"stderr": score.stderr}
    metric["args"] |= {"protocol": safe_text(score.protocol)} if score.protocol else {}
    name = safe_text(", ".join(filter(None, (score.data, score.transform))))
    dataset = {"type": DATASETS.get(score.data, _slug(score.data)), "name": name, "split": score.split}
    task = _task(card) or "image-generation"
    return {"task": {"type": task}, "dataset": dataset, "metrics": [metric]}


def config_json(row: Row, card: Card) -> bytes:
    """Return config.json of a repository: what is needed to know the model, without its weights."""
    values = {
        "library_name": "genzoo",
        "model_type": row.name,
        "architectures": [card.model.rpartition(":")[2]],
        "class": card.model,
        "family": card.family.value,
        "plugin": row.plugin or card.plugin,
        "condition": card.condition.as_dict() if card.condition else None,
        "config": dict(card.config),
        "sha256": row.sha256,
        "bytes": row.bytes,
    }
    return (json.dumps(values, indent=2, default=safe_text) + "\n").encode()


def _licence(stated: str) -> dict[str, Any]:
    licence = stated.strip().lower()
    if not licence:
        return {}
    if licence in _LICENCES:
        return {"license": licence}
    return {"license": "other", "license_name": _slug(stated)}


def _task(card: Card) -> str:
    """Return the task as the Hub names it, "" for drawing by a condition, for which it has no name."""
    if card.family in IMAGES_TO_FEATURES:
        return "image-feature-extraction"
    return "" if card.condition else "unconditional-image-generation"


def _data(row: Row) -> str:
    """Return the name of the data set that `row` was trained on: its facts begin with it."""
    return row.data.partition(",")[0].strip()


def _slug(text: str) -> str:
    # On the Hub identifiers are lower case, digits, dots and hyphens.
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:60] or "unknown"
