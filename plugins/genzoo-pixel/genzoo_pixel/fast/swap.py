"""`faster` names the fast way beside a plain method; `run` takes it wherever it computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from genzoo.layers import is_hooked

F = TypeVar("F", bound=Callable[..., Any])


def faster(way: Callable[..., Any]) -> Callable[[F], F]:
    """Name `way(self, ...)` as what computes a plain method faster."""

    def mark(method: F) -> F:
        method.faster = way  # type: ignore[attr-defined]
        return method

    return mark


def run(method: Callable[..., Any], *inputs: Any) -> Any:
    """Call a bound method by its fast way; one without, such as a method that was replaced, as it is."""
    way = getattr(method, "faster", None)
    return method(*inputs) if way is None else way(getattr(method, "__self__", None), *inputs)


def way_of(layer: nn.Module) -> Callable[..., Any] | None:
    """Return the fast way of a layer's forward pass; None where the layer must be called.

    That is so where its class or its instance has another `forward`, or where any part of it has hooks.
    """
    way: Callable[..., Any] | None = getattr(layer.forward, "faster", None)
    return None if any(is_hooked(part) for part in layer.modules()) else way
