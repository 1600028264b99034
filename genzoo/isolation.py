"""Isolation: the room in which foreign code is loaded, so that it can fail without taking anything with it
(rule R7).

Inside `isolated` nothing that the code prints reaches stdout (which belongs to the answer, often JSON), its
warnings are neither noise nor an abort, and it has a deadline. What it raises is caught by the caller and put
into one line by `describe`, a KeyboardInterrupt that no person sent included. What belongs to the whole
process is as before afterwards: torch's defaults, generators, signals.
"""

from __future__ import annotations

import contextlib
import importlib
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from genzoo.errors import GenzooError, PluginError, safe_text


class TooSlowError(BaseException):
    """The deadline has passed. Not an Exception, so that a plugin's `except Exception` does not swallow
    it.
    """


@contextlib.contextmanager
def isolated(seconds: float = 0) -> Iterator[None]:
    """Run the block with stdout sent to stderr, without warnings, and for at most `seconds` (0 = no
    deadline).

    Both streams and filters belong to the whole process: keep the block short, and let only one thread be in
    it.

    Raises:
        TooSlowError: the deadline passed.
    """
    with (
        unchanged(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(sys.stderr),
        _stdout_closed(),
        deadline(seconds),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Put back what the block changes of the process: working directory, signal handlers, recursion limit,
    umask, locale, exception hook, the random generators and torch's defaults (where torch is first imported
    in the block, those that it begins with).
    """
    with contextlib.ExitStack() as stack:
        for keep in (_directory, _handlers, _limits, _generators, _torch):
            stack.callback(keep())
        yield


def _directory() -> Callable[[], None]:
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        return lambda: None
    return lambda: os.chdir(here) if _cwd() != here else None


def _cwd() -> str:
    with contextlib.suppress(OSError):
        return os.getcwd()
    return ""


def _handlers() -> Callable[[], None]:
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def back() -> None:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, handler)

    return back


def _limits() -> Callable[[], None]:
    depth, hook = sys.getrecursionlimit(), sys.excepthook
    mask, place = os.umask(0o022), locale.setlocale(locale.LC_ALL)
    os.umask(mask)

    def back() -> None:
        sys.setrecursionlimit(depth)
        sys.excepthook = hook
        os.umask(mask)
        if locale.setlocale(locale.LC_ALL) != place:
            locale.setlocale(locale.LC_ALL, place)

    return back


def _generators() -> Callable[[], None]:
    state, numpy = random.getstate(), getattr(sys.modules.get("numpy"), "random", None)
    numbers = None if numpy is None else numpy.get_state()

    def back() -> None:
        random.setstate(state)
        if numpy is not None:
            numpy.set_state(numbers)

    return back


def _torch() -> Callable[[], None]:
    """Keep torch's process-wide defaults; it is not imported for it."""
    torch = _whole_torch()
    before = None if torch is None else _defaults(torch)
    numbers = None if torch is None else torch.random.get_rng_state()

    def back() -> None:
        after = _whole_torch()
        if after is None:
            return
        dtype, grad, threads, deterministic = before or (after.float32, True, None, False)
        after.set_default_dtype(dtype)
        after.set_default_device(None) if before is None else None
        after.set_grad_enabled(grad)
        if threads is not None and after.get_num_threads() != threads:
            after.set_num_threads(threads)
        if after.are_deterministic_algorithms_enabled() != deterministic:
            after.use_deterministic_algorithms(deterministic)
        if numbers is not None:
            after.random.set_rng_state(numbers)

    return back


def _whole_torch() -> Any:
    """Return torch where it is imported as a whole, None where it is not, or a plugin has put something in
    its place.
    """
    torch = sys.modules.get("torch")
    return (
        torch
        if hasattr(torch, "set_default_dtype") and hasattr(torch, "use_deterministic_algorithms")
        else None
    )


def _defaults(torch: Any) -> tuple[Any, bool, int, bool]:
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
    )


class Interrupt:
    """Tells whether a person has sent an interrupt (Ctrl-C) since it was entered, or whether code has raised
    KeyboardInterrupt itself.

    In threads and where the program handles SIGINT in its own way, every KeyboardInterrupt is taken for a
    person's.
    """

    def __init__(self) -> None:
        self.sent = True

    def __enter__(self) -> Interrupt:
        handler = signal.getsignal(signal.SIGINT)
        if handler == signal.SIG_IGN:
            self.sent = False  # no person's interrupt comes through
        elif threading.current_thread() is threading.main_thread() and handler is signal.default_int_handler:
            self.sent = False
            signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, *error: object) -> None:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) == self._take
        ):
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.sent = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def _stdout_closed() -> Iterator[None]:
    """Send file descriptor 1 to stderr: `redirect_stdout` cannot stop C code and child processes."""
    saved = -1
    # no stdout, or a closed one: nothing to protect
    with contextlib.suppress(OSError, ValueError, AttributeError):
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

    It needs the alarm signal: in threads, on Windows, or where the program uses that signal itself, there is
    no deadline.
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
    return signal.getsignal(signal.SIGALRM) == signal.SIG_DFL and signal.getitimer(signal.ITIMER_REAL) == (
        0.0,
        0.0,
    )


def import_target(target: str, what: str) -> Any:
    """Import and return what `"module:attribute"` names; `what` says in messages what it is and whose.

    Raises:
        PluginError: whatever goes wrong, but for Ctrl-C.
    """
    module, _, attribute = target.partition(":")
    interrupt = Interrupt()
    try:
        with interrupt, isolated():
            return getattr(importlib.import_module(module), attribute)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and interrupt.sent:
            raise
        raise PluginError(
            f"{what} cannot be loaded: {describe(error)}", "report this to its author"
        ) from error


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
