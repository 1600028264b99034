"""Check that a module is just its class and its tensors, which code that computes it without calling it
relies on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

# the `forward` of each class, since a class can be patched as well
Forwards = Mapping[type[nn.Module], Callable[..., Any]]
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# hooks that set a weight from others before each call
_RENEWING = (BasePruningMethod, SpectralNorm, WeightNorm)

_STOCK: ContextVar[bool] = ContextVar("stock operators", default=False)


@contextlib.contextmanager
def stock() -> Iterator[None]:
    """Let everything in the block be computed by torch's own operators alone: torch.func and torch.export can
    look into no faster ways, which give the same values up to rounding.
    """
    token = _STOCK.set(True)
    try:
        yield
    finally:
        _STOCK.reset(token)


def is_stock() -> bool:
    """Return whether `stock` is in force in this thread."""
    return _STOCK.get()


def is_plain(module: nn.Module, known: Forwards) -> bool:
    """Return whether calling `module` runs the `forward` of exactly its class on its own attributes and
    tensors.

    It does not with hooks, a `forward` of its own, compilation, parametrisations (they change the class),
    weights that are pruned or normed, and parameters that are no plain tensors.
    """
    kind = type(module)
    tensors = (*module._parameters.values(), *module._buffers.values())
    plain = all(tensor is None or type(tensor) in (Tensor, nn.Parameter) for tensor in tensors)
    return (
        plain
        and kind in known
        and kind.forward is known[kind]
        and not module._forward_pre_hooks
        and not is_hooked(module)
    )


def is_hooked(module: nn.Module) -> bool:
    """Return whether calling `module` does more than its class's `forward`: hooks, global ones too, a
    `forward` of its own, compilation.

    The hooks of pruning and of norms of weights do not count: see `renew`.
    """
    if "forward" in vars(module) or getattr(module, "_compiled_call_impl", None) is not None:
        return True
    everywhere = torch.nn.modules.module
    hooks = [hook for name in _HOOKS for hook in getattr(module, name, {}).values()]
    return any(not isinstance(hook, _RENEWING) for hook in hooks) or any(
        getattr(everywhere, f"_global{name}", None) for name in _HOOKS
    )


def renew(module: nn.Module) -> None:
    """Set the weights of `module` that are pruned or normed to what they are now, as a call would, for code
    that reads them without calling it.
    """
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, _RENEWING):
            hook(module, ())
