"""Evaluation mode while any thread uses a model, then the mode that it was left in."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from torch import nn

_LOCK = threading.RLock()


class _Visitors:
    """The threads that use a model now, and the modes that the last to leave must restore."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.owed: dict[nn.Module, bool] = {}

    def leave(self, thread: int, changed: dict[nn.Module, bool]) -> None:
        """Restore the modes that `thread` has changed, or leave that to the last of the other threads."""
        self.threads.remove(thread)
        owed = {**changed, **self.owed}
        if any(other != thread for other in self.threads):
            self.owed = owed
            return
        for module, mode in owed.items():
            module.training = mode
        self.owed = {}


_VISITORS: WeakKeyDictionary[nn.Module, _Visitors] = WeakKeyDictionary()


@contextlib.contextmanager
def in_evaluation(model: nn.Module) -> Iterator[None]:
    """Put every module of `model` in evaluation mode for the block; the last of several threads restores the
    modes.
    """
    here = threading.get_ident()
    with _LOCK:
        visitors = _VISITORS.setdefault(model, _Visitors())
        before = {module: module.training for module in model.modules()}
        model.eval()
        changed = {module: mode for module, mode in before.items() if module.training != mode}
        visitors.threads.append(here)
    try:
        yield
    finally:
        with _LOCK:
            visitors.leave(here, changed)
