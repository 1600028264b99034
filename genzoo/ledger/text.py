r"""The text of a TOML file: on which line a key stands, and how one table is replaced while all the rest
stays as it is.

`tomllib` gives values without lines and writes nothing; this is the little that a ledger needs beyond it.
`locate` and `replace_table` expect text that `tomllib` has accepted, with `\n` between lines; `load` and
`blocks` take any text.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Container, Iterator
from typing import Any

from genzoo.ledger import canonical

KeyPath = tuple[str | int, ...]

# tomllib recurses, so deep nesting would exhaust the stack; a row needs two levels.
DEEPEST = 16  # brackets within brackets
MOST_TABLES = 5_000
MOST_PARTS = 8  # of a dotted key: tomllib needs time that grows with the square of their number

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*=")
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    + r"|'''.*?'{3,5}"
    + r'|"(?:\\.|[^"\\\n])*"'
    + r"|'[^'\n]*'|#[^\n]*|[\[\]{}\n]|[^\[\]{}\n#\"']+",
    re.DOTALL,
)
# Strings and comments, whole. No alternative can fail after it has begun, so that any text is passed over in
# linear time.
# The patterns below are compiled where they are used: a ledger in our own form needs none of them.
_STRING = (
    r'(?s)"""(?:[^"\\]+|\\.|"(?!""))*(?:"{3,5})?'
    + r"|'''(?:[^']+|'(?!''))*(?:'{3,5})?"
    + r'|"(?:[^"\\\n]+|\\.)*"?'
    + r"|'[^'\n]*'?|#[^\n]*"
)
_MANY_PARTS = rf"(?:\.[^.,=\n]*){{{MOST_PARTS}}}"
_WHOLE_HEADER = _HEADER.pattern + r"\]?[ \t]*(?:#.*)?"


def load(text: str) -> dict[str, Any]:
    """Return what the TOML says.

    Raises:
        ValueError: it is not valid TOML, or nested deeper than `DEEPEST`, or has a key of more than
            `MOST_PARTS` parts.
    """
    # Many tables are refused below, so the fast reader must not accept them either.
    if text.count("\n[") <= MOST_TABLES and (plain := canonical.read(text)) is not None:
        return plain
    if sys.version_info >= (3, 11):  # imported here: a ledger in our own form needs no TOML reader
        import tomllib
    else:
        import tomli as tomllib

    _check_limits(text)
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return tables


def _check_limits(text: str) -> None:
    """Refuse, in linear time, what would cost the parser more than linear time."""
    bare = re.sub(_STRING, '""', text)
    if found := re.search(_MANY_PARTS, bare):
        raise ValueError(f"a key has more than {MOST_PARTS} parts (at line {_line_of(found.start(), text)})")
    if bare.count("\n[") > MOST_TABLES:
        raise ValueError(f"it has more than {MOST_TABLES:,} tables (at line 1)")
    depth = 0
    for found in re.finditer(r"[\[\]{}]", bare):
        depth = depth + 1 if found[0] in "[{" else max(0, depth - 1)
        if depth > DEEPEST:
            raise ValueError(
                f"nested deeper than {DEEPEST} brackets (at line {_line_of(found.start(), text)})"
            )


def _line_of(place: int, text: str) -> int:
    """Return the line of what stands at `place` once every string of `text` is cut down to two characters."""
    bare = re.sub(_STRING, lambda found: "\0" + found[0].count("\n") * "\1" + "\0", text)
    shown = lines = 0
    for char in bare:
        if char != "\1":
            shown += 1
        lines += char in "\n\1"
        if shown > place:
            break
    return lines + 1


def blocks(text: str, *, whole_strings: bool) -> Iterator[tuple[int, str, str]]:
    """Cut text that is not valid TOML where headers stand; yield line (from 1), top name ("" if unknown) and
    text of each block.

    A fault then costs the block that holds it and no other. With `whole_strings` no string of several lines
    is cut, but one that lacks its end runs up to the next; without, lines within a string may look like
    headers.

    Raises:
        ValueError: there are more than `MOST_TABLES` of them.
    """
    joint = "\ud800"  # which no decoded text holds
    lines = (
        re.sub(_STRING, lambda found: found[0].replace("\n", joint), text) if whole_strings else text
    ).split("\n")
    starts = [
        number
        for number, line in enumerate(lines)
        if line.startswith("[") or re.fullmatch(_WHOLE_HEADER, line)
    ]
    if len(starts) > MOST_TABLES:
        raise ValueError(f"it has more than {MOST_TABLES:,} tables (at line 1)")
    number = 1
    for first, end in zip([0, *starts], [*starts, len(lines)], strict=True):
        header = _HEADER.match(lines[first])
        block = "\n".join(lines[first:end]).replace(joint, "\n")
        if block.strip():
            yield number, str(_path(header[2])[0]) if header else "", block
        number += block.count("\n") + (end > first)


def quoted(value: str) -> str:
    """Return `value` as a TOML string on one line; lone surrogates, which no file can hold, become U+FFFD."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    clean = value.encode("utf-8", "replace").decode("utf-8")
    return (
        '"'
        + "".join(
            escapes.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c) for c in clean
        )
        + '"'
    )


def locate(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every table and key; the tables of an array have their index in the path:
    `("a", "scores", 0, "n")`.
    """
    lines: dict[KeyPath, int] = {}
    seen: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    for line, _, kind, path in _statements(text):
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
    """Return `text` with the table `name` and all its sub-tables replaced by `block`, or with `block` at the
    end if there is none.

    Every other line stays. Of the table that goes, the comments that have a line to themselves are kept below
    the new block.
    """
    # not splitlines: inside a string it would break at other signs too
    lines = text.split("\n")
    spans = _spans(text, name)
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
    """Return the half-open ranges of lines (from 0) that belong to the table `name`; comments before the next
    table belong to that one.
    """
    lines = text.split("\n")
    headers = [(line - 1, path[0]) for line, _, kind, path in _statements(text) if kind != "="]
    starts = [
        (line, top) for index, (line, top) in enumerate(headers) if not index or headers[index - 1][1] != top
    ]
    ends = [*(line for line, _ in starts[1:]), len(lines)]
    spans = []
    for (first, top), end in zip(starts, ends, strict=False):  # without headers there is one end too many
        last = end
        while last > first + 1 and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
            last -= 1
        if top == name:
            spans.append((first, last))
    return spans


def foreign(text: str, name: str, known: Container[str]) -> tuple[list[str], list[str]]:
    """Return the lines of what the table `name` holds under keys that are not `known`: its own keys, and its
    sub-tables.
    """
    lines, keys, tables = text.split("\n"), list[str](), list[str]()
    table: KeyPath = ()
    for first, last, kind, path in _statements(text):
        if kind != "=":
            table = path
        whole = table + path if kind == "=" else path
        if table[:1] == (name,) and len(whole) > 1 and whole[1] not in known:
            (keys if len(table) == 1 else tables).extend(lines[first - 1 : last])
    return keys, tables


def _statements(text: str) -> Iterator[tuple[int, int, str, KeyPath]]:
    """Yield first and last line, kind (`[`, `[[` or `=`) and key path of every statement; nested values are
    stepped over as a whole.
    """
    at, line = 0, 1
    while at < len(text):
        header = _HEADER.match(text, at)
        match = header or _KEY.match(text, at)
        end = _end_of_statement(text, match.end() if match else at)
        after = line + text.count("\n", at, end)
        if match:
            kind, path = (match[1], match[2]) if header else ("=", match[1])
            yield line, after - (text[end - 1] == "\n"), kind, _path(path)
        at, line = end, after


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
    return tuple(_part(part) for part in re.findall(_PART, key))


def _part(part: str) -> str:
    if part[0] not in "\"'":
        return part
    if part[0] == '"' and "\\" in part:
        try:
            # the escapes of TOML are those of JSON, but for \U, which no name of ours needs
            return str(json.loads(part))
        except ValueError:
            pass
    return part[1:-1]
