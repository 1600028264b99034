"""Shards of WebDataset: plain tar files in which the files of one sample follow each other under one name.

`a/0001.jpg`, `a/0001.cls` and `a/0001.txt` are an image, its class (a number or a text) and its caption;
`a/0001.json` may have "label" (or "cls") and "text" (or "caption"). The name of a sample ends at the first
dot behind its last slash. Nothing is unpacked: images are read where they lie.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genzoo.data.archives import BETWEEN, Members
from genzoo.data.caption_files import text_column
from genzoo.data.decode import UNREADABLE, Skip
from genzoo.data.formats import LEFT_BEHIND
from genzoo.data.layout import is_image
from genzoo.data.types import Array
from genzoo.errors import DataError, safe_text
from genzoo.safe_open import open_to_read

TOLD = (".cls", ".txt", ".json")  # what is told of a sample
LABELS = ("label", "cls", "class")
LARGEST = 1 << 20  # bytes of such a file


class Tars:
    """Reads the shards of a set; the files that tell of samples are looked up once for each shard."""

    def __init__(self) -> None:
        self._told: dict[Path, Mapping[str, tuple[int, int]]] = {}

    def members(self, path: Path) -> Iterator[tuple[str, int, int]]:
        """Yield name, place and size of each image in the shard at `path`."""
        return (entry for entry in entries(path) if is_image(entry[0]))

    def content(self, path: Path, place: int, size: int) -> bytes:
        """Return the bytes at `place` of the shard."""
        try:
            with open_to_read(path) as file:
                file.seek(place)
                data = file.read(size)
        except (OSError, ValueError) as error:
            raise Skip(UNREADABLE) from error
        if len(data) < size:
            raise Skip("corrupt")
        return data

    def labels(self, members: Members, numbers: Array) -> tuple[Sequence[object] | None, tuple[str, ...]]:
        """Return what `.cls`, or "label" in `.json`, says of each image; None where no image has any."""
        found = [self._label(members, number) for number in numbers.tolist()]
        if all(label is None for label in found):
            return None, ()
        return ["" if label is None else label for label in found] if _texts(found) else found, ()

    def captions(self, members: Members, numbers: Array) -> Sequence[object] | None:
        """Return what `.txt`, or "text" in `.json`, says of each image; None where no image has any."""
        found = [self._caption(members, number) for number in numbers.tolist()]
        return found if any(found) else None

    def _label(self, members: Members, number: int) -> object:
        text = self._read(members, number, ".cls")
        if text is not None:
            word = text.strip()
            return int(word) if word.isascii() and word.isdigit() and len(word) < 19 else word
        facts = self._facts(members, number)
        return next((facts[name] for name in LABELS if name in facts), None)

    def _caption(self, members: Members, number: int) -> Sequence[object]:
        text = self._read(members, number, ".txt")
        if text is not None:
            return [line for line in text.split("\n") if line.strip()]
        facts = self._facts(members, number)
        column = text_column(facts)
        if column is None:
            return []
        texts: Any = facts[column]
        return texts if isinstance(texts, list) else [texts]

    def _facts(self, members: Members, number: int) -> Mapping[str, Any]:
        text = self._read(members, number, ".json")
        with contextlib.suppress(ValueError, RecursionError):
            facts = json.loads(text or "{}")
            return facts if isinstance(facts, dict) else {}
        return {}

    def _read(self, members: Members, number: int, suffix: str) -> str | None:
        """Return the text of the file of a sample that has `suffix`, None where there is none."""
        path, _, _ = members.where(number)
        if path not in self._told:
            told = (entry for entry in entries(path) if entry[0].lower().endswith(TOLD))
            self._told[path] = {name.lower(): (place, size) for name, place, size in told}
        where = self._told[path].get(f"{sample_of(members.name(number)).lower()}{suffix}")
        if where is None or where[1] > LARGEST:
            return None
        with contextlib.suppress(Skip, UnicodeDecodeError):
            return self.content(path, *where).decode("utf-8-sig")
        return None


def _texts(labels: Sequence[object]) -> bool:
    return any(isinstance(label, str) for label in labels)


def sample_of(name: str) -> str:
    """Return the name of the sample of which `name` is a file: up to the first dot behind the last slash."""
    folder, _, file = name.rpartition("/")
    return posixpath.join(folder, file.partition(".")[0])


def entries(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, place and size of each file in the tar at `path` that is not hidden.

    Raises:
        DataError: it is none, or compressed.
    """
    try:
        with open_to_read(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            yield from _files(archive)
    except (OSError, tarfile.TarError, ValueError, EOFError) as error:
        raise DataError(
            f"{path} is not a plain tar file: {safe_text(error, 100)}",
            "unpack it, or write it without compression: tar -cf",
        ) from error


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, int, int]]:
    for member in archive:
        archive.members = []  # type: ignore[attr-defined]  # it would remember all of them
        name = posixpath.normpath(member.name).lstrip("/")
        hidden = any(part[:1] == "." or part.lower() in LEFT_BEHIND for part in name.split("/"))
        if member.isreg() and not member.issparse() and not hidden:
            yield name.replace(BETWEEN, "_"), member.offset_data, member.size
