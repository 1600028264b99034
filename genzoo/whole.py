"""Check whole numbers from users: counts, seeds, numbers of draws, with one message for each."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from genzoo.errors import ArgumentError, safe_repr

LARGEST = 2**63 - 1  # of anything that is counted
LARGEST_SEED = 2**63 - 1


def whole(value: object) -> int | None:
    """Return `value` as an int, or None if it is not a whole number; NumPy's integers are, booleans and 3.0
    are not.
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def check_count(n: Any, what: str = "n") -> int:
    """Return `n` as an int ≥ 1, or raise ArgumentError."""
    value = whole(n)
    if value is None or not 1 <= value <= LARGEST:
        raise ArgumentError(
            f"{what} must be a whole number of at least 1, not {safe_repr(n)}", f"for example {what}=16"
        )
    return value


def check_seed(seed: object) -> int:
    """Return `seed`, or a random one if it is None; raise ArgumentError for anything but a whole number in
    [0, 2^63).
    """
    if seed is None:
        import secrets  # loads OpenSSL, which `genzoo list` need not wait for

        return secrets.randbits(63)
    value = whole(seed)
    if value is None:
        raise ArgumentError(
            f"seed must be a whole number or None, not {safe_repr(seed)}", "for example seed=0"
        )
    if not 0 <= value <= LARGEST_SEED:
        raise ArgumentError(
            f"seed must lie between 0 and {LARGEST_SEED}, not {safe_repr(value)}", "for example seed=0"
        )
    return value


def check_first(first: object, n: int) -> int:
    """Return `first` as an int ≥ 0 that leaves room for `n` numbers below 2^63, or raise ArgumentError."""
    value = whole(first)
    if value is None or not 0 <= value <= LARGEST - n:
        raise ArgumentError(
            f"first must be a whole number from 0 to {LARGEST - n}, not {safe_repr(first)}",
            "for example first=50_000: the image after the first fifty thousand",
        )
    return value


def check_draws(ks: Any) -> list[int]:
    """Return `ks` as a list of whole numbers, or raise ArgumentError if it is empty or has one below 1."""
    found = list(ks) if isinstance(ks, Iterable) and not isinstance(ks, str) else []
    counts = [whole(k) for k in found]
    if not counts:
        raise ArgumentError(
            f"ks must be a list of numbers of draws, not {safe_repr(ks)}", "for example ks=(1, 50)"
        )
    for k, count in zip(found, counts, strict=True):
        if count is None or count < 1:
            raise ArgumentError(
                f"k must be a whole number of at least 1, not {safe_repr(k)}",
                "k=1 is one draw; papers report k=5000",
            )
    return [count for count in counts if count is not None]
