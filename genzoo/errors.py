"""Every error that genzoo raises on purpose, and the one filter for text that came from outside.

An error says three things: what happened, what was expected, and what to type next. The command line prints
exactly one line of it; a notebook shows the same words. Nothing from outside (a plugin's description, a file
name, a server's answer) reaches a terminal without passing `safe_text`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_UNSEEN = _BIDI + "\u200b\u200c\u200d\u2028\u2029\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u034f\u180e"
_STEM = 3  # letters from which on a longer name may be meant
_PLAIN = re.compile(r"[\n\t\x20-\x7e]*")
# as `click.style` writes them; 30, black, would hide a text
_COLOURS = re.compile(r"(\x1b\[(?:0|1|3[1-7]|9[0-7])m)")
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")


def safe_text(value: object, limit: int = 500) -> str:
    r"""Return `value` as one printable line of at most `limit` characters (rule R6).

    Terminal escapes are removed whole; other control characters (C0, C1), bidirectional overrides and
    zero-width characters become U+FFFD, so that a hostile string is seen to be hostile; line breaks, tabs and
    odd spaces become spaces. Bytes of a file name that are not UTF-8 are written as `\xff`.
    """
    text = _words(value)[: 4 * limit]
    if text.isascii() and text.isprintable():  # most texts, and a list shows hundreds
        line = text.strip()
    else:
        line = "".join(map(_seen, _ESCAPES.sub("\ufffd", text))).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def safe_lines(text: str, *, colours: bool = False) -> str:
    """Return `text` as `safe_text` would, of any length and with its line breaks and tabs; with `colours`,
    those of `click.style` stay.
    """
    if _PLAIN.fullmatch(text):
        return text
    if colours:  # every second part is a colour
        return "".join(
            part if index % 2 else safe_lines(part) for index, part in enumerate(_COLOURS.split(text))
        )
    text = _ESCAPES.sub("\ufffd", text.replace("\r\n", "\n"))
    return "".join(char if char in "\n\t" else _seen(char) for char in text)


def _seen(char: str) -> str:
    if char in "\n\r\t\x0b\x0c\x85" or unicodedata.category(char) == "Zs":
        return " "
    if "\udc80" <= char <= "\udcff":  # a byte of a file name that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return (
        "\ufffd" if char in _UNSEEN or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn") else char
    )


def _words(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a whole number of 5,000 digits, or a plugin's own __str__
        return f"<{type(value).__name__} that cannot be shown>"


def legible(text: str) -> str:
    r"""Return `text` with what a text file cannot hold, the bytes of a name that is not UTF-8, written as
    `\xff`.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that no file name gave
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def safe_repr(value: object) -> str:
    """Return `repr(value)` for a message, also where Python refuses to write it (a whole number of 5,000
    digits).
    """
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - anything may happen in a foreign __repr__
        return f"<{type(value).__name__} that cannot be shown>"


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for what of `known` is called `word` elsewhere, starts with it or is
    nearest, or "".
    """
    import difflib  # only a name that is misspelt needs these two

    from genzoo.synonyms import meant

    known = list(known)
    if name := meant(_words(word)[:100], known):
        return f"; did you mean {name!r}?"
    by_fold = {name.casefold(): name for name in known}
    typed = _words(word)[:100].casefold()
    # "cyclegan" is nearer to dcgan than to cyclegan-horse2zebra, the one that is meant
    longer = [name for name in by_fold if name.startswith(typed)] if len(typed) >= _STEM else []
    near = difflib.get_close_matches(typed, longer or list(by_fold), n=1, cutoff=0.0 if longer else 0.5)
    return f"; did you mean {by_fold[near[0]]!r}?" if near else ""


class GenzooError(Exception):
    """What happened, in one line; `hint` says what to type or try next."""

    def __init__(self, message: object, hint: object = "") -> None:
        self.message = safe_text(message, 1000)
        self.hint = safe_text(hint, 700)
        super().__init__(f"{self.message} — {self.hint}" if self.hint else self.message)


class UnknownNameError(GenzooError, KeyError):
    """An unknown model, data set, option or key; the message holds the nearest right spelling."""

    __str__ = Exception.__str__


class ArgumentError(GenzooError, ValueError):
    """An argument of the wrong type, shape, range or device: names the argument, what came and what was
    expected.
    """


class CardError(GenzooError):
    """A card that contradicts itself or the class it names."""


class PluginError(GenzooError):
    """A plugin that could not be loaded; everything else keeps working."""


class OutdatedPluginError(PluginError):
    """A plugin made for an older plugin interface; `changes` holds what its author must change, one line
    each.
    """

    def __init__(self, message: object, hint: object = "", changes: Iterable[str] = ()) -> None:
        super().__init__(message, hint)
        self.changes = tuple(safe_text(change) for change in changes)


class LedgerError(GenzooError):
    """A zoo.toml that cannot be read or holds a row that breaks the rules."""


class HubError(GenzooError):
    """Weights that could not be fetched, checked or published."""


class WeightsError(HubError):
    """A weights file that is not what the ledger or the model says it is."""


class StorageError(GenzooError):
    """A file that could not be read or written: names the path, the reason and the remedy; what was there
    before is still there.
    """


class DataError(GenzooError):
    """Images that cannot be found or read."""


class MemoryShortError(DataError):
    """Images for which there is not enough memory: the data exist, so they must not be treated as missing."""


class TrainingError(GenzooError):
    """A run that cannot go on; the last good checkpoint is kept and named."""


class CollapseError(TrainingError):
    """A run that has gone wrong: a loss or a weight is not finite, or a player has won for good."""


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end, and what was under way is saved. `number` is the signal's: the exit code is
    128 + `number`.
    """

    def __init__(self, number: int) -> None:
        self.number = int(number)
        super().__init__(f"interrupted by signal {self.number}")


class ExportError(GenzooError):
    """A model that cannot be exported, or whose exported file gives other outputs; nothing was written."""


class NoDensityError(GenzooError, TypeError):
    """Somebody asked an implicit model for a likelihood; the message teaches why there is none."""


class NotGenerativeError(GenzooError, AttributeError):
    """Somebody asked an autoencoder for samples or a likelihood; the message teaches why it has neither."""
