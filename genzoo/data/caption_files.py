"""Captions in the files of a folder: `metadata.jsonl` or `metadata.csv` with `file_name` and `text`, as the
Hugging Face imagefolder has them, or `name.txt` next to `name.jpg`, one caption per line.

A name in the metadata is relative to the folder of that file. A list of texts, or several lines of one name,
are several captions. Captions that cannot be used do not keep a folder from being read: `Images.facts` says
why, and `genzoo.data.captions.captions_for` raises that.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genzoo.data.captions import Captions, checked_caption, unused
from genzoo.data.layout import is_image
from genzoo.data.listing import Files, Listing
from genzoo.data.memory import check_memory
from genzoo.data.sides import listed, stem
from genzoo.errors import ArgumentError, safe_text
from genzoo.safe_open import open_to_read

FILES, COLUMN = ("metadata.jsonl", "metadata.csv"), "file_name"
TEXTS = ("text", "caption", "captions", "texts")
LINE = 'write each line as {"file_name": "1.png", "text": "a red flower"}'
SAVE = "save it as plain text in UTF-8"
# bytes: of the captions of one image, and of those of a folder
LARGEST, LARGEST_TABLE = 100_000, 10**9
# texts that people keep among their images
OTHERS = ("readme", "license", "licence", "copying", "notice", "classes", "labels", "credits", "sources")


def captions_in(folder: Path, listing: Listing, names: Sequence[str]) -> tuple[Captions | None, str]:
    """Return the captions of the images `names` of `folder`; or None and why they cannot be used, "" where
    there is no file of captions.
    """
    paths = {path for path, _ in listing.files}
    tables = sorted(path for path in paths if _is_table(path))
    try:
        found = _in_tables(folder, tables) if tables else _next_to(folder, paths)
        if found is None:
            return None, ""
        return _matched(found, paths, names, tables), ""
    except ArgumentError as error:
        return None, unused(folder, error)


def is_told(files: Files) -> bool:
    """Whether there may be captions among the `files` of a folder."""
    return files.any_ends_with(".txt", *FILES)


def told_in(listing: Listing) -> list[int]:
    """Return the numbers of those files of `listing` that are captions of others."""
    names = list(listing.files.names())
    stems = {stem(name) for name in names if is_image(name)}
    return [
        number
        for number, name in enumerate(names)
        if _is_table(name) or (name.lower().endswith(".txt") and name[: -len(".txt")] in stems)
    ]


def are_captions(names: Iterable[str]) -> bool:
    """Whether files of these names are captions and nothing else."""
    every = [posixpath.basename(name).lower() for name in names]
    texts = [name for name in every if name.endswith(".txt") or name in FILES]
    return len(texts) == len(every) and any(name.rpartition(".")[0] not in OTHERS for name in texts)


def text_column(columns: Iterable[str]) -> str | None:
    """Return which of `columns` holds captions, by its name; None where none does."""
    known = {column.lower(): column for column in columns}
    return next((known[name] for name in TEXTS if name in known), None)


def _is_table(path: str) -> bool:
    return posixpath.basename(path).lower() in FILES


def _in_tables(folder: Path, tables: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the path of each image -> its captions, of the metadata files `tables`."""
    found: dict[str, list[str]] = {}
    for table in tables:
        for name, texts in _rows(folder / table, table):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(table), name))
            found.setdefault(path, []).extend(texts)
    return found


def _next_to(folder: Path, paths: set[str]) -> Mapping[str, list[str]] | None:
    """Return the path of each image -> its captions, of the .txt files among `paths`; None without such
    files.
    """
    found: dict[str, list[str]] = {}
    images = {stem(path): path for path in sorted(paths) if is_image(path)}
    stems = {path: path[: -len(".txt")] for path in sorted(paths) if path.lower().endswith(".txt")}
    if not set(stems.values()) & set(images):
        return None
    for path, name in stems.items():
        if name in images:
            found[images[name]] = _lines(folder / path, path)
        elif posixpath.basename(name).lower() not in OTHERS:
            found[path] = []  # of no image: reported with the others
    return found


def _matched(
    found: Mapping[str, list[str]], paths: set[str], names: Sequence[str], tables: Sequence[str]
) -> Captions:
    """Return the captions of the images `names`, or raise ArgumentError if an image or a caption is alone."""
    images = {path for path in paths if is_image(path)}
    if lost := sorted(set(found) - images):
        raise _of_no_image(lost, sum(max(1, len(found[name])) for name in lost), tables)
    own = [re.sub(r"#\d+$", "", name) if name not in paths else name for name in names]
    if bare := sorted({name for name in own if not found.get(name)}):
        raise _without_caption(bare, len(set(own)), tables)
    return tuple(tuple(found[name]) for name in own)


def _of_no_image(lost: Sequence[str], count: int, tables: Sequence[str]) -> ArgumentError:
    words = f"{count:,} captions are" if count != 1 else "1 caption is"
    many = len(lost) > 1
    if tables:
        hint = f"correct or remove {'their' if many else 'its'} lines in {_named(tables)}, or add "
    else:
        hint = f"rename or remove {'them' if many else 'it'}, or add "
    return ArgumentError(
        f"{words} of no image that is there: {listed(lost)}",
        hint + ("these images" if many else "this image"),
    )


def _without_caption(bare: Sequence[str], count: int, tables: Sequence[str]) -> ArgumentError:
    many = len(bare) > 1
    if tables:
        hint = f"add {'lines for them' if many else 'a line for it'} to {_named(tables)}"
    else:
        hint = f"give {'each' if many else 'it'} a caption in a .txt of its name"
    return ArgumentError(
        f"{len(bare):,} of {count:,} images {'have' if many else 'has'} no caption: {listed(bare)}",
        f"{hint}, or remove {'these images' if many else 'this image'}",
    )


def _named(tables: Sequence[str]) -> str:
    return tables[0] if len(tables) == 1 else "the metadata files"


def _lines(path: Path, name: str) -> list[str]:
    return [_caption(line, name) for line in _text(path, name, LARGEST).split("\n") if line.strip()]


def _rows(path: Path, name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of an image and its captions for each row of the metadata file `path`."""
    text = _text(path, name, LARGEST_TABLE)
    records: Callable[[str, str], Iterator[Mapping[str, Any]]] = (
        _json_records if name.lower().endswith("jsonl") else _csv_records
    )
    for row in records(text, name):
        column = text_column(row)
        file = row.get(COLUMN)
        if column is None or not isinstance(file, str):
            missing = COLUMN if not isinstance(file, str) else "text"
            has = listed(sorted(map(str, row)), 5) or "none"
            raise ArgumentError(
                f"{name} has no column {missing!r}: its columns are {has}",
                f"call the columns {COLUMN} and text",
            )
        texts = row[column]
        several = texts if isinstance(texts, list) else [texts]
        yield file, [_caption(one, f"{name}, {safe_text(file, 100)}") for one in several]


def _json_records(text: str, name: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ArgumentError(f"{name}: line {number:,} is not JSON", LINE) from error
        if not isinstance(row, dict):
            raise ArgumentError(f"{name}: line {number:,} is not an object with {COLUMN!r} and 'text'", LINE)
        yield row


def _csv_records(text: str, name: str) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            yield {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise ArgumentError(
            f"{name}: line {reader.line_num:,}: {safe_text(str(error))}", "correct this line"
        ) from error


def _caption(text: object, where: str) -> str:
    try:
        return checked_caption(text)
    except ArgumentError as error:
        raise ArgumentError(f"{where}: {error.message}", error.hint) from error


def _text(path: Path, name: str, most: int) -> str:
    """Return what the file `path` says, or raise ArgumentError if it is no text of at most `most` bytes."""
    try:
        with open_to_read(path) as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{name} cannot be read", "check its permissions") from error
    if len(data) > most:
        raise ArgumentError(f"{name} has more than {most:,} bytes", "shorten it")
    check_memory(4 * len(data), name)
    if b"\0" in data:
        raise ArgumentError(f"{name} is no text: it has NUL bytes", SAVE)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ArgumentError(f"{name} is no text in UTF-8", SAVE) from error
