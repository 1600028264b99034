"""Signals that ask a run to end: the run is saved first, however many signals arrive."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from genzoo.show import tell

# A person, and what schedulers send before they kill. Windows has but some of them.
_ALWAYS = ("SIGINT", "SIGTERM", "SIGBREAK")
# a program that calls us may have plans of its own for these
_UNLESS_HANDLED = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")


class Wish:
    """A request to end a run.

    While there is something to save, only a second Ctrl-C cancels saving; no number of other signals does.
    Under torchrun a second Ctrl-C does not either: torchrun forwards signals that the terminal or the
    scheduler has already sent, so one Ctrl-C may arrive twice.

    Attributes:
        number: number of the first signal, 0 if there was none.
    """

    def __init__(self, *, talks: bool = True, patient: bool = False) -> None:
        self.number = 0
        self._talks, self._patient = talks, patient
        self._heard: set[int] = set()
        self._saved = self._ending = False

    def is_set(self) -> bool:
        """Return whether a signal asked for the end."""
        return self.number != 0

    def all_is_saved(self) -> None:
        """Note that nothing can be lost any more: the next signal raises KeyboardInterrupt."""
        self._saved = True

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        again = number in self._heard
        self._heard.add(number)
        self.number = self.number or number
        cancels = again and number == signal.SIGINT and not self._patient
        if cancels or (self._saved and not self._ending):
            self._ending = True
            raise KeyboardInterrupt
        if self._talks and not again and not self._ending:
            once_more = "; once more stops at once" if number == signal.SIGINT and not self._patient else ""
            tell(f"{signal.Signals(number).name}: finishing this step and saving{once_more}")


@contextmanager
def listening(*, talks: bool = True, group: bool = False) -> Iterator[Wish]:
    """Inside the block, turn signals that request termination into a `Wish`; outside it they act as before.

    Ignored ones (SIGHUP under nohup) stay ignored. Outside the main thread Python receives no signals, so
    this does nothing.

    Args:
        talks: whether to report signals on stderr.
        group: whether this is one of several processes.
    """
    wish = Wish(talks=talks, patient=group or "TORCHELASTIC_RUN_ID" in os.environ)
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in _numbers():
                before[number] = signal.signal(number, wish.hear)
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_repetitions() -> None:
    """Ignore further signals except Ctrl-C in a process that is about to end: more may arrive while it
    reports.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _numbers():
            if number != signal.SIGINT:
                signal.signal(number, signal.SIG_IGN)


def _numbers() -> list[signal.Signals]:
    found = []
    for name in (*_ALWAYS, *_UNLESS_HANDLED):
        number = getattr(signal, name, None)
        if number is None:
            continue
        handler = signal.getsignal(number)
        if (
            handler is not None
            and handler != signal.SIG_IGN
            and (name in _ALWAYS or handler == signal.SIG_DFL)
        ):
            found.append(number)
    return found
