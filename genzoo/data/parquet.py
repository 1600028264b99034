"""Tables of Parquet with a column of images, as the Hugging Face Hub keeps and exports data sets; read with
the library `pyarrow` (extra `[parquet]`).

An image is a struct with `bytes`, or the bytes themselves. Names of classes come from what the Hub's library
writes into the table.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.data.archives import Members
from genzoo.data.caption_files import text_column
from genzoo.data.decode import Skip
from genzoo.data.types import Array
from genzoo.errors import DataError, safe_text, suggest
from genzoo.safe_open import check_regular

LABELS = ("label", "labels", "cls", "class")
IMAGES = ("image", "img", "images", "photo", "picture")
MOST = 3  # groups of rows that are kept in memory: threads read neighbours


def library() -> Any:
    """Return the module `pyarrow.parquet`; DataError says which extra has it."""
    try:
        import pyarrow.parquet
    except Exception as error:  # also a broken installation of something it needs
        raise DataError(
            f"Parquet needs the library 'pyarrow' ({safe_text(error, 100)})", "pip install 'genzoo[parquet]'"
        ) from error
    return pyarrow.parquet


class Tables:
    """Reads the tables of a set, of which `column` has the images; by default the first that may."""

    def __init__(self, column: str = "") -> None:
        self._column = column
        self._open: dict[Path, Any] = {}
        self._groups: OrderedDict[tuple[Path, int], Any] = OrderedDict()
        self._lock = threading.Lock()
        self._columns: dict[Path, dict[str, Any]] = {}

    def members(self, path: Path) -> Iterator[tuple[str, int, int]]:
        """Yield a name, the row and size 0 for each row of the table at `path`."""
        table = self._table(path)
        self.image_column(path)
        return ((f"{row}.jpg", row, 0) for row in range(table.metadata.num_rows))

    def image_column(self, path: Path) -> str:
        """Return the name of the column of images; DataError where there is none."""
        schema = self._table(path).schema_arrow
        pictures = [field.name for field in schema if _holds_images(field)]
        if self._column:
            if self._column in pictures:
                return self._column
            near = suggest(self._column, pictures)
            raise DataError(f"{path} has no column {self._column!r} of images{near}", _columns(schema))
        named: list[str] = [name for name in pictures if name in IMAGES or schema.field(name).type.num_fields]
        if named:
            return named[0]
        raise DataError(f"{path} has no column of images", _columns(schema))

    def content(self, path: Path, place: int, size: int) -> bytes:
        """Return the bytes of the image of row `place`."""
        with self._lock:
            group, row = self._where(path, place)
            cell = self._group(path, group)[row].as_py()
        if cell is None:
            raise Skip("absent")
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not data:
            raise Skip("outside of the data set")
        return bytes(data)

    def labels(self, members: Members, numbers: Array) -> tuple[Sequence[object] | None, tuple[str, ...]]:
        """Return the column of labels, and the names of its classes."""
        path = members.root / members.archives.name(0)
        features = self._features(path)
        named = [
            name for name, feature in features.items() if isinstance(feature, dict) and feature.get("names")
        ]
        columns = self._table(path).schema_arrow.names
        column = next((name for name in LABELS if name in columns), named[0] if len(named) == 1 else None)
        if column is None:
            return None, ()
        names = features.get(column, {}).get("names") or ()
        return self._cells(members, numbers, column), tuple(map(str, names))

    def captions(self, members: Members, numbers: Array) -> Sequence[object] | None:
        """Return the column of captions."""
        path = members.root / members.archives.name(0)
        column = text_column(self._table(path).schema_arrow.names)
        return None if column is None else self._cells(members, numbers, column)

    def _cells(self, members: Members, numbers: Array, column: str) -> list[object]:
        columns: dict[Path, list[object]] = {}
        cells = []
        for number in numbers.tolist():
            path, row, _ = members.where(number)
            if path not in columns:
                columns[path] = self._table(path).read(columns=[column])[column].to_pylist()
            cells.append(columns[path][row])
        return cells

    def _features(self, path: Path) -> Mapping[str, Any]:
        told = (self._table(path).schema_arrow.metadata or {}).get(b"huggingface", b"{}")
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            features = json.loads(told)["info"]["features"]
            return features if isinstance(features, dict) else {}
        return {}

    def _table(self, path: Path) -> Any:
        if path not in self._open:
            reader = library()
            try:
                check_regular(path)  # a pipe would hang
                self._open[path] = reader.ParquetFile(path, memory_map=True)
            except Exception as error:  # whatever a library of C++ raises, the reason is one line
                raise DataError(f"{path} is not a readable Parquet file: {safe_text(error, 100)}") from error
        return self._open[path]

    def _where(self, path: Path, row: int) -> tuple[int, int]:
        metadata = self._table(path).metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        ends = np.cumsum(sizes)
        group = int(np.searchsorted(ends, row, side="right"))
        return group, row - (int(ends[group - 1]) if group else 0)

    def _group(self, path: Path, group: int) -> Any:
        if (path, group) not in self._groups:
            column = self.image_column(path)
            try:
                cells = self._table(path).read_row_group(group, columns=[column], use_threads=False)[column]
            except Exception as error:  # as above
                raise Skip("corrupt") from error
            self._groups[path, group] = cells
            while len(self._groups) > MOST:
                self._groups.popitem(last=False)
        self._groups.move_to_end((path, group))
        return self._groups[path, group]


def _holds_images(field: Any) -> bool:
    """Whether a column may hold images: bytes, or a struct with bytes."""
    kind = str(field.type)
    return kind in ("binary", "large_binary") or (kind.startswith("struct<") and "bytes: binary" in kind)


def _columns(schema: Any) -> str:
    return f"columns: {', '.join(safe_text(name, 60) for name in schema.names)}"
