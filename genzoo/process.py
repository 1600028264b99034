"""The state of a process that torch reads and others set: default dtype and device, autocast, gradients'
mode, generators.

A user sets it for code of his own. genzoo computes as a fresh process does, and puts everything back:
`neutral` around whatever a model is asked, `undisturbed` around whatever builds, trains or measures one.

Autocast, the mode of gradients and the default device belong to a thread and are set for it alone. The
default dtype and the precision of matrix products belong to the process: they are put aside while any thread
needs them neutral, and put back by the last.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

import numpy as np
import torch

_CPU = torch.device("cpu")


class _Shared:
    """What belongs to the whole process, put aside while `_users` count on it."""

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._dtype: torch.dtype | None = None  # the user's, where they are not neutral
        self._precision: str | None = None

    def take(self) -> None:
        with self._lock:
            self._users += 1
            if (dtype := torch.get_default_dtype()) != torch.float32:
                self._dtype = dtype
                torch.set_default_dtype(torch.float32)
            if (precision := _precision()) != "highest":
                self._precision = precision
                torch.set_float32_matmul_precision("highest")

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            if self._dtype is not None:
                torch.set_default_dtype(self._dtype)
            if self._precision is not None:
                torch.set_float32_matmul_precision(self._precision)
            self._dtype = self._precision = None


_SHARED = _Shared()


def _precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # set by torch's newer interface, for each backend: no one word says it
        return "highest"


@contextlib.contextmanager
def neutral() -> Iterator[None]:
    """Let torch compute as in a fresh process: float32, on the CPU where no device is named, without
    autocast.

    The mode of gradients stays as it is. Not to be held across a `yield` to a caller, who would see it.
    """
    with contextlib.ExitStack() as stack:
        _SHARED.take()
        stack.callback(_SHARED.give_back)
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device() != _CPU:
            stack.enter_context(_CPU)
        yield


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Be `neutral`, able to learn whatever mode the caller is in, and leave his generators as they were:
    torch's, NumPy's, Python's.
    """
    # in this order: the second ends inference
    with neutral(), torch.inference_mode(False), torch.enable_grad(), _kept_generators():
        yield


def seed_global(seed: int, device: torch.device) -> None:
    """Seed the generators from which modules draw on `device`, and no others; for use inside
    `undisturbed`.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@contextlib.contextmanager
def _kept_generators() -> Iterator[None]:
    on_cpu = torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    of_numpy, of_python = np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(on_cpu)
        for index, state in enumerate(on_gpus):
            torch.cuda.set_rng_state(state, index)
        np.random.set_state(of_numpy)
        random.setstate(of_python)
