"""What people and programs read: data on stdout, everything else on stderr, and every text from outside made
safe (rule R6).

The reader of stdout may close it at any time (`genzoo list | head -1`): the rest of the output is then
discarded, and the work still completes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterable, Sequence
from types import MappingProxyType, TracebackType
from typing import Any

import click

from genzoo.errors import StorageError, safe_lines, safe_text
from genzoo.show import Bar, unfiltered
from genzoo.show import is_terminal as _is_terminal
from genzoo.units import human_time

PATIENCE = 2.0  # seconds before a bar appears
_LINE_SECONDS = 15.0  # between lines where stderr is no terminal
# what is counted in tasks that count something of their own
_UNITS = MappingProxyType({"certificate": "laws", "learning": "words"})
_NARROWEST = 12  # columns in which words are wrapped, however narrow the terminal
_COMFORTABLE = 24  # columns; with fewer for its last column, a table drops others
_NO_LIMIT = 10_000  # columns
_GAP = r"(?<![±≤×=]) +(?![±×=])"  # where a line may be broken


def colour() -> bool | None:
    """Return False where colours are unwanted (NO_COLOR, https://no-color.org), None where the stream
    decides.
    """
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def say(text: str) -> None:
    """Print a line of data on stdout; `text` must be safe already.

    Raises:
        StorageError: stdout is a file on a full disk, for example.
    """
    try:
        click.echo(_writable(safe_lines(text, colours=True)), unfiltered(sys.stdout), color=colour())
    except BrokenPipeError:
        mute_stdout()
    except OSError as error:
        mute_stdout()
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise StorageError(f"cannot write to stdout: {why}") from error


def _writable(text: str) -> str:
    """Return `text` with a question mark for each letter that the encoding of stdout has not."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        # A Windows console or LC_ALL=C cannot show ≤ or ±; a question mark is better than a traceback.
        return text.encode(encoding, "replace").decode(encoding)
    except LookupError:  # an encoding that Python does not know
        pass
    return text


def mute_stdout() -> None:
    """Throw away what is still to be written to stdout, so that its end at exit is quiet."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        # The descriptor is replaced, not sys.stdout: buffered text is flushed into it at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def note(text: str) -> None:
    """Print a message on stderr; `text` must be safe already. If the stream is closed, nothing happens."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(safe_lines(text, colours=True), unfiltered(sys.stderr), color=colour())


def say_json(value: Any) -> None:
    """Print `value` as JSON on stdout. Everything beyond ASCII is escaped, so a hostile text stays data."""
    say(json.dumps(value, indent=2, allow_nan=False))


def say_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "", spare: Sequence[str] = ()
) -> None:
    """Print rows under a header, columns aligned.

    On a terminal the last column is wrapped between words. Where little room is left to it, the columns named
    in `spare` are dropped, one by one.
    """
    table = [[safe_text(cell, 200) for cell in row] for row in [header, *rows]]
    columns = list(zip(*table, strict=True))
    for name in spare:
        # Only as many columns are dropped as the last one needs.
        if _left(columns, indent) < min(_widest(columns[-1]), _COMFORTABLE):
            columns = [column for column in columns if column[0] != name]
    sizes, left = [_widest(column) for column in columns[:-1]], _left(columns, indent)
    for index, (*head, last) in enumerate(zip(*columns, strict=True)):
        first, *more = wrap(last, left)
        parts = [cell + " " * (size - width(cell)) for cell, size in zip(head, sizes, strict=True)]
        line = (indent + "  ".join([*parts, first])).rstrip()
        say(click.style(line, bold=True) if index == 0 else line)
        for words in more:
            say(indent + " " * (sum(sizes) + 2 * len(sizes)) + words)


def _left(columns: Sequence[Sequence[str]], indent: str) -> int:
    """Return how much room the other columns leave to the last one."""
    return room() - len(indent) - sum(_widest(column) + 2 for column in columns[:-1])


def _widest(column: Iterable[str]) -> int:
    return max(map(width, column))


def say_facts(facts: Iterable[tuple[str, object]], indent: str = "") -> None:
    """Print `key  value` lines with aligned values, which are wrapped between words on a terminal; pairs with
    an empty value are left out.
    """
    for line in fact_lines(facts, indent, room()):
        say(line)


def say_wrapped(text: str, indent: str) -> None:
    """Print a paragraph, wrapped between words on a terminal; from its second line on it is indented by two
    more columns.
    """
    first, *more = wrap(text, room() - len(indent) - 2)
    for line in [first, *(f"  {words}" for words in more)]:
        say(indent + line)


def fact_lines(facts: Iterable[tuple[str, object]], indent: str = "", columns: int = _NO_LIMIT) -> list[str]:
    """Return `key  value` lines of at most `columns`, with aligned values; pairs with an empty value are left
    out.
    """
    shown = [(safe_text(key, 100), safe_text(value, 2000)) for key, value in facts if value not in ("", None)]
    size = max((width(key) for key, _ in shown), default=0)
    lines = []
    for key, value in shown:
        first, *more = wrap(value, columns - len(indent) - size - 2)
        lines.append(f"{indent}{key}{' ' * (size - width(key))}  {first}")
        lines += [f"{indent}{' ' * size}  {words}" for words in more]
    return lines


def width(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    if text.isascii():  # nearly every cell of a table
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def wrap(text: str, columns: int) -> list[str]:
    """Return `text` in lines of at most `columns`, broken between words.

    A value, its error and its unit count as one word. A word that is longer than a line is left whole: a name
    or a command that is cut can be neither read nor copied.
    """
    if width(text) <= columns:
        return [text]
    lines: list[str] = []
    for word in re.split(_GAP, text):
        longer = f"{lines[-1]} {word}" if lines else ""
        if lines and width(longer) <= max(columns, _NARROWEST):
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def room() -> int:
    """Return the columns of the terminal, or no limit where stdout is a file or a pipe."""
    return shutil.get_terminal_size().columns if _is_terminal(sys.stdout) else _NO_LIMIT


def human_size(count: int) -> str:
    """Return a number of bytes in words: 512 bytes, 7.4 MB."""
    if count < 1000:
        return f"{count} bytes"
    # By the number of digits: a logarithm of 1000 may come out as 2.9999.
    power = min((len(str(count)) - 1) // 3, 4)
    return f"{count / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


class Progress:
    """Shows progress on stderr once something has taken two seconds: a bar on a terminal, a line every now
    and then elsewhere.

    Call it with (done, total), as `genzoo.hub` does, or with (what, done, total), as `genzoo.evaluation`
    does.
    """

    def __init__(self, what: str, unit: str = "B") -> None:
        self._what, self._unit, self._own = what, unit, unit
        self._begun = self._line = time.monotonic()
        # of this task: the time of the first report, and what was done then
        self._start: tuple[float, int] | None = None
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __call__(self, *state: Any) -> None:
        """Take note of `done` of `total`."""
        *what, done, total = state
        now = time.monotonic()
        if what and what[0] != self._what:
            self._close()
            self._what, self._start = str(what[0]), None
            self._unit = _UNITS.get(self._what, self._own)
        self._start = self._start or (now, done)
        # What is done in a moment needs no bar.
        if now - self._begun < PATIENCE:
            return
        if _is_terminal(sys.stderr):
            self._draw(done, total)
        # Not at the end: the command prints its result there.
        elif now >= self._line and done < total:
            self._line = now + _LINE_SECONDS
            words = f"{self._amount(done)} of {self._amount(total)} {self._unit}".removesuffix(" B")
            note(f"{safe_text(self._what)}: {words}{self._pace(done, total, now, *self._start)}")

    def _pace(self, done: int, total: int, now: float, since: float, before: int) -> str:
        """Return the pace since this task was first reported, and how long the rest takes at that pace."""
        rate = (done - before) / max(now - since, 1e-3)
        if rate <= 0:
            return ""
        unit = "" if self._unit == "B" else f" {self._unit}"
        pace = f"{self._amount(rate)}{unit}/s" if rate >= 1 else f"{human_time(1 / rate)} each"
        return f", {pace}, {human_time((total - done) / rate)} left"

    def _amount(self, count: float) -> str:
        if self._unit == "B":
            return human_size(round(count))
        return f"{count:,.0f}" if count >= 10 or count == round(count) else f"{count:.1f}"

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = Bar(
                total,
                initial=done,
                desc=safe_text(self._what, 60),
                unit="B" if self._unit == "B" else f" {self._unit}",
                unit_scale=self._unit in ("B", "pixels"),
                leave=False,
            )
        self._bar.move_to(done)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
