"""How long a server may take; apart from http.py, so that nothing of the network is imported before it is needed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long a server may take; seconds and bytes per second."""

    connect: float = 10.0  # to accept the connection
    stall: float = 15.0  # of silence
    window: float = 30.0  # over each such span the speed must not fall below `slowest`
    slowest: float = 1000.0
    total: float = 120.0  # for the whole answer, and one second more for every `pace` bytes
    pace: float = 50_000.0


PATIENT = Deadlines()
