"""What a page can do with a model, by what its class says of itself."""

from __future__ import annotations

from typing import Any

from genzoo.errors import safe_text
from genzoo.models import EncodingModel, GenerativeModel, TranslatingModel
from genzoo_explorer import limits


def facts_of(model: Any) -> dict[str, Any]:
    """Return the facts of a loaded model, for its page."""
    latent = bool(model.latent)
    return {
        "shape": list(model.image_shape),
        "latent": model.latent_size if latent else 0,
        "prior": model.prior if latent else "",
        "encodes": isinstance(model, EncodingModel),
        "samples": isinstance(model, GenerativeModel),
        "mean": has_mean(model),
        "pixels": bool(model.in_order),
        "levels": model.levels if model.in_order else 0,
        "translates": isinstance(model, TranslatingModel),
        "condition": condition_of(model),
    }


def has_mean(model: Any) -> bool:
    """Return whether the model draws z and then x from a distribution p(x|z), whose mean is what it
    decodes.
    """
    return bool(model.latent and model.explicit and not getattr(model, "exact", True))


def condition_of(model: Any) -> dict[str, Any] | None:
    """Return what a page must know to offer the condition: labels, sentences, or shape and domains of a
    picture; None for a model without one.
    """
    found = model.condition
    if found is None:
        return None
    shown: dict[str, Any] = {"kind": found.kind, "words": safe_text(found.words, 300)}
    if found.kind == "labels":
        shown["labels"] = [safe_text(name, 200) for name in found.names[: limits.LABELS]]
    elif found.kind == "text":
        shown["sentences"] = [safe_text(text, limits.TEXT) for text in found.sentences[:50]]
    elif isinstance(model, TranslatingModel):
        shown["domains"] = [
            {"name": safe_text(domain, 80), "shape": list(model.shape_of(domain))} for domain in found.domains
        ]
        shown["both"] = bool(found.both_ways)
    return shown
