"""What a weights file says of itself: name, config, storage and golden outputs, read without torch."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from genzoo.card import Card
from genzoo.errors import CardError, WeightsError, safe_repr

FORMAT = 1
STORED = ("float32", "float16")


def facts_of(blob: bytes, where: str) -> dict[str, Any]:
    """Return the metadata of a weights file (format, name, config, storage, golden, and in newer files plugin
    and lineage), read without creating a tensor.

    Raises:
        WeightsError: it is not a safetensors file written by genzoo; `where` names it.
    """
    try:
        size = int.from_bytes(blob[:8], "little")
        facts = json.loads(json.loads(blob[8 : 8 + size])["__metadata__"]["genzoo"])
    except (ValueError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise WeightsError(
            f"{where} is not a genzoo weights file: its header cannot be read", "pull it again"
        ) from error
    found = facts.get("format") if isinstance(facts, dict) else facts
    if not isinstance(facts, dict) or found != FORMAT:
        raise WeightsError(
            f"{where} has the format {safe_repr(found)}, but this genzoo reads {FORMAT}", "upgrade genzoo"
        )
    for key, kind in (("config", dict), ("storage", str), ("golden", dict)):
        if not isinstance(facts.get(key), kind) or (key == "storage" and facts[key] not in STORED):
            raise WeightsError(
                f"{where}: its header has no {key} that genzoo can read",
                "pull it again, or report this to its author",
            )
    return facts


def configured(card: Card, blob: bytes) -> Card:
    """Return `card` with the config and the condition that its weights `blob` state.

    Raises:
        WeightsError: as `as_stated`.
    """
    config = facts_of(blob, f"the weights file of {card.name!r}")["config"]
    stated = as_stated(card, blob)
    of_condition = set() if stated.condition is None else set(stated.condition.config)
    kept = {key: value for key, value in config.items() if key not in of_condition}
    return stated.replace(config={**card.config, **kept})


def as_stated(card: Card, blob: bytes) -> Card:
    """Return `card` with the condition that its weights `blob` state: a run on other data has other labels.

    Raises:
        WeightsError: the header cannot be read, or states no condition of this kind.
    """
    if card.condition is None:
        return card
    where = f"the weights file of {card.name!r}"
    config = SimpleNamespace(**facts_of(blob, where)["config"])
    try:
        return card.replace(condition=card.condition.stated_in(config))
    except (AttributeError, TypeError, CardError) as error:
        raise WeightsError(
            f"{where} does not state its {card.condition.kind}", "report this to its author"
        ) from error
