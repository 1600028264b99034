"""The turn of a share: the block in which a process computes its rows of a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from genzoo.shares.draws import Keyed
from genzoo.shares.share import CURRENT, Share


@contextlib.contextmanager
def taking(share: Share, rows: int) -> Iterator[None]:
    """Compute `rows` rows as `share` of a batch inside the block, for this thread."""
    if share.parts == 1:
        yield
        return
    share.rows = rows
    token = CURRENT.set(share)
    try:
        with Keyed():
            yield
    finally:
        CURRENT.reset(token)


def twice() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts that `torch.utils.checkpoint.checkpoint` takes as its `context_fn`: what it
    computes again in the backward pass is then drawn as it was.
    """
    share = CURRENT.get()
    again = contextlib.nullcontext() if share is None else taking(share, share.rows)
    return contextlib.nullcontext(), again
