"""Isolation: the room in which foreign code is loaded, so that it can fail without taking anything with it (rule R7).

Inside `isolated` nothing that the code prints reaches stdout (which belongs to the answer, often JSON), its warnings are neither
noise nor an abort, and it has a deadline. What it raises is caught by the caller and put into one line by `describe`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any

from genzoo.errors import GenzooError, PluginError, safe_text


class TooSlowError(BaseException):
    """The deadline has passed. Not an Exception, so that a plugin's `except Exception` does not swallow it."""


@contextlib.contextmanager
def isolated(seconds: float = 0) -> Iterator[None]:
    """Run the block with stdout sent to stderr, without warnings, and for at most `seconds` (0 = no deadline).

    Both streams and filters belong to the whole process: keep the block short, and let only one thread be in it.

    Raises:
        TooSlowError: the deadline passed.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr), _stdout_closed(), deadline(seconds):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _stdout_closed() -> Iterator[None]:
    """Send file descriptor 1 to stderr: `redirect_stdout` cannot stop C code and child processes."""
    saved = -1
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no stdout, or a closed one: nothing to protect
        sys.__stdout__.flush()  # type: ignore[union-attr]
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.__stdout__.flush()  # type: ignore[union-attr]
        if saved >= 0:
            os.dup2(saved, 1)
            os.close(saved)


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TooSlowError in the block after `seconds`.

    It needs the alarm signal: in threads, on Windows, or where the program uses that signal itself, there is no deadline.
    """
    if seconds <= 0 or not _alarm_is_free():
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TooSlowError

    previous = signal.signal(signal.SIGALRM, ring)
    try:
        # It rings again every second, for code that swallowed the first: a bare except, a finaliser.
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _alarm_is_free() -> bool:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGALRM) == signal.SIG_DFL and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def import_target(target: str, what: str) -> Any:
    """Import and return what `"module:attribute"` names; `what` says in messages what it is and whose.

    Raises:
        PluginError: whatever goes wrong, but for Ctrl-C.
    """
    module, _, attribute = target.partition(":")
    try:
        with isolated():
            return getattr(importlib.import_module(module), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{what} cannot be loaded: {describe(error)}", "tell its author") from error


def describe(error: BaseException) -> str:
    """Return `error` as one safe line, whatever its own `__str__` does."""
    if isinstance(error, GenzooError):
        return safe_text(error)
    if isinstance(error, SystemExit):
        return safe_text(f"it tried to end the program (SystemExit: {error.code})")
    try:
        words = str(error)
    except Exception:  # noqa: BLE001
        words = ""
    return safe_text(f"{type(error).__name__}: {words}" if words else type(error).__name__)
