"""Numbers in words, as progress, reports and model cards say them."""

from __future__ import annotations


def human_time(seconds: float) -> str:
    """Return a length of time in words: 8 s, 3 min, 1 h 05 min."""
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def several(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun: "1 image", "2,000 images"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
