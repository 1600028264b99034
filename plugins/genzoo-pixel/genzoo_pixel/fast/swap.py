"""`faster` attaches a fast implementation to a plain method; `run` uses it wherever it computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from genzoo.layers import is_hooked, is_stock

F = TypeVar("F", bound=Callable[..., Any])


def faster(way: Callable[..., Any]) -> Callable[[F], F]:
    """Return a decorator that names `way(self, ...)` as the fast implementation of a plain method."""

    def mark(method: F) -> F:
        method.faster = way  # type: ignore[attr-defined]
        return method

    return mark


def run(method: Callable[..., Any], *inputs: Any) -> Any:
    """Call the fast implementation of a bound method; without one (such as an overriding method), call the
    method itself.
    """
    way = getattr(method, "faster", None)
    return method(*inputs) if way is None or is_stock() else way(getattr(method, "__self__", None), *inputs)


def way_of(layer: nn.Module) -> Callable[..., Any] | None:
    """Return the fast implementation of a layer's forward pass, or None if the layer itself must be called:
    its class or instance has another `forward`, or any of its modules has hooks.
    """
    way: Callable[..., Any] | None = getattr(layer.forward, "faster", None)
    return None if is_stock() or any(is_hooked(part) for part in layer.modules()) else way
