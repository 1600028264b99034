"""What is only for show: lines and bars on stderr. Nothing here ever ends the work that it tells of.

stderr may be closed, a pipe that nobody reads, a full disk, a terminal that has hung up, or None. Then the words are lost, and
that is all.
"""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType
from typing import Any, TextIO

from genzoo.errors import safe_text

# RuntimeError: a signal's handler that prints may have interrupted a print. AttributeError: a stream that is none.
_LOST = (OSError, ValueError, RuntimeError, AttributeError)


def tell(text: object, stream: TextIO | None = None) -> None:
    """Print `text` as one safe line on stderr (or `stream`); where nobody can read it, nothing happens."""
    out = stream if stream is not None else sys.stderr
    if out is None:  # `print` would take stdout, which is for data
        return
    with contextlib.suppress(*_LOST):
        out.write(f"{safe_text(text, 2000)}\n")
        out.flush()


def is_terminal(stream: Any) -> bool:
    """Return whether `stream` is an open terminal."""
    try:
        return bool(stream.isatty())
    except _LOST:
        return False


class Bar:
    """A progress bar where stderr is a terminal, nothing elsewhere; given up as soon as it cannot be drawn.

    Attributes:
        total, n: what there is to do, and how much of it is done.
    """

    def __init__(self, total: int, *, initial: int = 0, **options: Any) -> None:
        self.total, self.n = total, initial
        self._bar: Any = None
        if is_terminal(sys.stderr):
            try:
                from tqdm import tqdm

                self._bar = tqdm(total=total, initial=initial, dynamic_ncols=True, file=sys.stderr, **options)
            except Exception:  # noqa: BLE001 - whatever is wrong with a bar, the work goes on
                self._bar = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def drawn(self) -> bool:
        """Whether there is a bar to be seen."""
        return self._bar is not None

    def move_to(self, done: int, words: str = "") -> None:
        """Show that `done` of the total is done, followed by `words`."""
        step, self.n = done - self.n, done
        if self._bar is None:
            return
        try:
            if words:
                self._bar.set_postfix_str(words, refresh=False)
            self._bar.update(step)
        except Exception:  # noqa: BLE001
            self._give_up()

    def close(self) -> None:
        """Leave the line to others."""
        if self._bar is None:
            return
        try:
            self._bar.close()
            self._bar = None
        except Exception:  # noqa: BLE001
            self._give_up()

    def _give_up(self) -> None:
        self._bar.disable = True  # else it would try once more when it is collected
        self._bar = None
