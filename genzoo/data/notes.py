"""Lines on stderr: what was seen of data, said once for all the looks that one task takes at them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from genzoo.errors import safe_text
from genzoo.show import tell

_SAID: ContextVar[set[str] | None] = ContextVar("said", default=None)


def note(text: str) -> None:
    """Say one line on stderr."""
    said = _SAID.get()
    if said is not None:
        if text in said:
            return
        said.add(text)
    tell(f"genzoo: {safe_text(text)}")


@contextlib.contextmanager
def once() -> Iterator[None]:
    """Say each line only once in this block, however often data are opened in it: for their size, for
    training, for the scores.
    """
    if _SAID.get() is not None:
        yield
        return
    token = _SAID.set(set())
    try:
        yield
    finally:
        _SAID.reset(token)
