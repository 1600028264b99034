r"""The text of a TOML file: on which line a key stands, and how one table is replaced while all the rest stays as it is.

`tomllib` gives values without lines and writes nothing; this is the little that a ledger needs beyond it. The functions expect text
that `tomllib` has accepted, with `\n` between lines.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KeyPath = tuple[str | int, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*=")
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' + r"|'''.*?'{3,5}" + r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'|#[^\n]*|[\[\]{}\n]|[^\[\]{}\n#\"']+",
    re.DOTALL,
)


def load(text: str) -> dict[str, Any]:
    """Return what the TOML says.

    Raises:
        ValueError: it is not valid TOML, or nested so deeply that the parser gives up.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return tables


def quoted(value: str) -> str:
    """Return `value` as a TOML string on one line; lone surrogates, which no file can hold, become U+FFFD."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    clean = value.encode("utf-8", "replace").decode("utf-8")
    return '"' + "".join(escapes.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c) for c in clean) + '"'


def locate(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every table and key; the tables of an array have their index in the path: `("a", "scores", 0, "n")`."""
    lines: dict[KeyPath, int] = {}
    seen: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    for line, kind, path in _statements(text):
        if kind == "=":
            lines.setdefault(table + path, line)
            continue
        table = path
        if kind == "[[":
            table = (*path, seen[path])
            seen[path] += 1
        lines.setdefault(table, line)
    return lines


def replace_table(text: str, name: str, block: str) -> str:
    """Return `text` with the table `name` and all its sub-tables replaced by `block`, or with `block` at the end if there is none.

    Every other line stays. Of the table that goes, the comments that have a line to themselves are kept below the new block.
    """
    lines, spans = text.split("\n"), _spans(text, name)  # not splitlines: inside a string it would break at other signs too
    kept = [line for first, last in spans for line in lines[first:last] if line.lstrip().startswith("#")]
    new = [*block.rstrip("\n").split("\n"), *kept]
    if not spans:
        return "\n".join([*([text.rstrip("\n"), ""] if text.strip() else []), *new, ""])
    for first, last in reversed(spans[1:]):
        del lines[first:last]
    first, last = spans[0]
    lines[first:last] = new
    return "\n".join(lines if lines[-1] == "" else [*lines, ""])


def _spans(text: str, name: str) -> list[tuple[int, int]]:
    """Return the half-open ranges of lines (from 0) that belong to the table `name`; comments before the next table belong to that one."""
    lines = text.split("\n")
    headers = [(line - 1, path[0]) for line, kind, path in _statements(text) if kind != "="]
    starts = [(line, top) for index, (line, top) in enumerate(headers) if not index or headers[index - 1][1] != top]
    ends = [*(line for line, _ in starts[1:]), len(lines)]
    spans = []
    for (first, top), end in zip(starts, ends, strict=False):  # without headers there is one end too many
        last = end
        while last > first + 1 and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
            last -= 1
        if top == name:
            spans.append((first, last))
    return spans


def _statements(text: str) -> Iterator[tuple[int, str, KeyPath]]:
    """Yield line, kind (`[`, `[[` or `=`) and key path of every statement; nested values are stepped over as a whole."""
    at, line = 0, 1
    while at < len(text):
        if match := _HEADER.match(text, at):
            yield line, match[1], _path(match[2])
        elif match := _KEY.match(text, at):
            yield line, "=", _path(match[1])
        end = _end_of_statement(text, match.end() if match else at)
        line += text.count("\n", at, end)
        at = end


def _end_of_statement(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        token = match[0] if match else text[at]
        at += len(token)
        if token == "\n" and depth <= 0:
            break
        depth += (token in "[{") - (token in "]}")
    return at


def _path(key: str) -> KeyPath:
    table, path = load(f"{key} = 0"), []
    while isinstance(table, dict):
        (part, table) = next(iter(table.items()))
        path.append(part)
    return tuple(path)
