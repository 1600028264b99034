"""Messages and progress bars, and the filter under both standard streams of the program.

The command line writes messages on stderr. Imported as a library, genzoo logs them instead, with the logger
"genzoo" of `logging`: warnings reach stderr unless the application says otherwise, information does not
(`logging.basicConfig(level="INFO")` shows it). Bars appear in terminals and notebooks.

Nothing here ever ends the work that it reports on: stderr may be closed, a pipe without a reader, a full
disk, a terminal that has hung up, or None. Then the words are lost, and that is all.

Each way out makes its own texts safe, into single lines. `filter_streams` is the net under all of them, and
under those that are not ours: warnings, logging, tracebacks, other libraries' prints and bars.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TextIO

from genzoo.errors import safe_lines, safe_text

# RuntimeError: a signal's handler that prints may have interrupted a print. AttributeError: a stream that is
# none.
_LOST = (OSError, ValueError, RuntimeError, AttributeError)


_is_program = False


class Filtered:
    """A text stream that writes what `safe_lines` leaves, and is in all else the stream beneath."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` made safe; return the length of `text`.

        A carriage return at its beginning passes: with one, the bars of other libraries go back to the start
        of their line.
        """
        if text[:1] == "\r":
            self._stream.write("\r" + safe_lines(text[1:]))
        else:
            self._stream.write(safe_lines(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines` made safe."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def filter_streams() -> None:
    """Put the filter under stdout and stderr of this process, which must be a program of ours; a warning
    becomes one line.
    """
    warnings.showwarning = _show_warning
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Filtered):
            setattr(sys, name, Filtered(stream))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    tell(f"genzoo: {category.__name__}: {safe_text(message)} ({filename}:{lineno})", file)


def unfiltered(stream: Any) -> Any:
    """Return the stream beneath the filter, for text that is safe already and has colours or a bar's
    movements in it.
    """
    return stream._stream if isinstance(stream, Filtered) else stream


def write_messages() -> None:
    """Let `tell` write on stderr from now on, as a program does, instead of logging."""
    global _is_program
    _is_program = True


def tell(text: object, stream: TextIO | None = None, *, level: str = "WARNING") -> None:
    """Show `text` as one safe line; if it cannot be written, nothing happens.

    It goes to `stream` where one is given; otherwise to stderr in the program, and in a library to the logger
    "genzoo" with the `level` "INFO" or "WARNING".
    """
    line = safe_text(text, 2000)
    with contextlib.suppress(*_LOST):
        if stream is None and not _is_program:
            import logging

            logging.getLogger("genzoo").log(getattr(logging, level), "%s", line)
            return
        out = stream if stream is not None else sys.stderr
        if out is not None:  # `print` would take stdout, which is for data
            out.write(f"{line}\n")
            out.flush()


def is_terminal(stream: Any) -> bool:
    """Return whether `stream` is an open terminal."""
    try:
        return bool(stream.isatty())
    except _LOST:
        return False


class Bar:
    """A progress bar in a terminal or a notebook, nothing elsewhere; abandoned as soon as it cannot be drawn.

    Attributes:
        total, n: what there is to do, and how much of it is done.
    """

    def __init__(self, total: int, *, desc: str = "", initial: int = 0, **options: Any) -> None:
        self.total, self.n = total, initial
        self._bar: Any = None
        notebook = "ipykernel" in sys.modules
        if notebook or is_terminal(sys.stderr):
            options["desc"] = safe_text(desc, 100) or None
            if not notebook:
                options |= {"dynamic_ncols": True, "file": unfiltered(sys.stderr)}
            with contextlib.suppress(Exception):  # a broken progress bar must not stop the work
                self._bar = _kind_of_bar(notebook)(total=total, initial=initial, **options)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
                self._bar.set_postfix_str(safe_text(words), refresh=False)
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


def _kind_of_bar(notebook: bool) -> Any:
    """Return tqdm's bar for notebooks, or the one for terminals, which needs no asyncio."""
    if not notebook:
        from tqdm import tqdm

        return tqdm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets it warns, and writes text
        from tqdm.auto import tqdm as widget
    return widget
