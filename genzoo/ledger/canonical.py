"""Read a zoo.toml in the form that `genzoo.ledger.writing` gives it, five times as fast as TOML is read.

`genzoo list` reads every published score, and most of its time would go into the many forms of TOML. Whatever
is not in this one form is left to the TOML reader, so that no file means anything else here than there.
"""

from __future__ import annotations

import re
from typing import Any

_NAME = r"[A-Za-z0-9_-]+"
_TEXT = r'"[^"\\\x00-\x1f\x7f]*"'
# At most 18 digits, as TOML promises 64 bits only, and no underscores, hexadecimals, inf or nan: those go to
# the TOML reader.
_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:e[+-]?[0-9]{1,3})?"
_PAIR = rf"{_NAME} = (?:{_TEXT}|{_NUMBER})\n"
_PART = re.compile(  # lines of one kind at a time
    rf"((?:{_PAIR})+)"
    rf"|\[\[({_NAME})\.scores\]\]\n"
    rf"|\[({_NAME})\]\n"
    rf"|({_NAME}) = \[\n((?:    {_TEXT},\n)+)\]\n"
    r"|(?:(?:#[^\x00-\x1f\x7f]*)?\n)+"
)
_ITEM = re.compile(_TEXT)


def read(text: str) -> dict[str, Any] | None:
    """Return the tables of `text` as `tomllib.loads` does, or None where any line has another form."""
    tables: dict[str, Any] = {}
    place: dict[str, Any] | None = None  # where keys go: a row, or one of its scores
    end, whole = 0, text if text.endswith("\n") else text + "\n"
    while end < len(whole):
        # Anchored: a search would try every character of a long line that has another form.
        part = _PART.match(whole, end)
        if part is None:
            return None
        end = part.end()
        pairs, scored, row, listed, items = part.groups()
        if scored or row:
            place = _header(scored, row, tables)
            if place is None:
                return None
        elif (pairs or listed) and not _fill(place, pairs, listed, items):
            return None
    return tables


def _fill(place: dict[str, Any] | None, pairs: str | None, listed: str | None, items: str) -> bool:
    """Put what the lines say into `place`; False where TOML has more to say about it."""
    if place is None:
        return False
    if pairs is not None:
        found = list(map(_pair, pairs[:-1].split("\n")))  # not splitlines: a text may hold U+2028
    else:
        found = [(str(listed), [item[1:-1] for item in _ITEM.findall(items)])]
    before = len(place)
    place.update(found)
    return len(place) == before + len(found)  # less where a key stands twice


def _pair(line: str) -> tuple[str, Any]:
    key, _, value = line.partition(" = ")
    if value[0] == '"':
        return key, value[1:-1]
    return key, int(value) if value.lstrip("-").isdigit() else float(value)


def _header(scored: str | None, row: str | None, tables: dict[str, Any]) -> dict[str, Any] | None:
    if row is not None:
        # TOML forbids a table twice; its reader reports it with the line.
        if row in tables:
            return None
        tables[row] = {}
        return tables[row]  # type: ignore[no-any-return]
    # Scores of an earlier row are valid TOML, but genzoo does not write them.
    if not tables or scored != next(reversed(tables)):
        return None
    scores = tables[scored].setdefault("scores", [])
    # The key `scores` was given as a plain list before.
    if scores and not isinstance(scores[0], dict):
        return None
    scores.append({})
    return scores[-1]  # type: ignore[no-any-return]
