"""How long a server may take, and which faults may be temporary; apart from http.py, so that nothing of the
network is imported early.
"""

from __future__ import annotations

from dataclasses import dataclass

from genzoo.errors import HubError


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long a server may take; seconds and bytes per second. By default a silent or slow server is
    abandoned within 15 seconds.
    """

    connect: float = 5.0  # to accept the connection
    stall: float = 10.0  # of silence
    window: float = 10.0  # over each such span the speed must not fall below `slowest`
    slowest: float = 5000.0
    total: float = 120.0  # for the whole answer, and one second more for every `pace` bytes
    pace: float = 50_000.0


PATIENT = Deadlines()
TRY_AGAIN = "try again"  # the hint of an error that may be temporary


class TransientError(HubError):
    """A server fault that may be temporary; `after` is how many seconds it asks to wait, if it
    does.
    """

    def __init__(self, message: object, hint: object = "", after: float | None = None) -> None:
        super().__init__(message, hint)
        self.after = after
