"""LawError and the helpers that state laws: the plugin laws of `genzoo.testing` and the certificate of a
density.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genzoo.errors import GenzooError


class LawError(GenzooError, AssertionError):
    """A model breaks a law.

    Attributes:
        law: the law, in one sentence.
        seen: what was seen instead.
        where: where the author should look.
    """

    def __init__(self, law: str, seen: object, where: str) -> None:
        super().__init__(f"law broken: {law}; seen: {seen}", f"look at {where}")
        self.law, self.seen, self.where = law, str(seen), where


def hold(kept: object, law: str, seen: object, where: str) -> None:
    """Raise LawError unless `kept`."""
    if not kept:
        raise LawError(law, seen, where)


def refuses(call: Callable[[], Any], error: type[Exception], law: str, what: str, where: str) -> None:
    """Raise LawError unless `call()` raises `error`; `what` names the call in a few words."""
    try:
        call()
    except error:
        return
    except Exception as other:
        raise LawError(law, f"{what} raises {type(other).__name__}: {other}", where) from other
    raise LawError(law, f"{what} is accepted", where)
