"""What `model(...)` computes, see `Model.forward`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from genzoo.errors import ArgumentError


def forward(model: Any, *inputs: Tensor) -> Tensor:
    """Return `_decode` of a model with a z, `_log_prob` of any other density, the logits of a classifier.

    Raises:
        ArgumentError: a model that has none of them.
    """
    if model.latent:
        return model._decode(*inputs, *_fixed(model, inputs))  # type: ignore[no-any-return]
    if model.explicit:
        return model._log_prob(*inputs, *_fixed(model, inputs))  # type: ignore[no-any-return]
    if hasattr(model, "_logits"):
        return model._logits(model._features(*inputs))  # type: ignore[no-any-return]
    raise ArgumentError(
        f"{type(model).__name__} has no z to decode and no density, so that model(...) has no meaning",
        "model.sample(n) draws images",
    )


def _fixed(model: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the condition that `given` fixed, one row per image; nothing for other models."""
    rows = model._fixed
    return () if rows is None else (rows.expand(len(inputs[0]), *rows.shape[1:]).to(inputs[0].device),)
