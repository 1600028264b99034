"""A tracker that writes a table: `genzoo train NAME --track table`."""

from collections.abc import Mapping
from typing import TextIO

import numpy as np

from genzoo.training import Tracked


class Table:
    """Writes every number of a run as a line of numbers.csv in its folder; no pictures and notes."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write a line for each number."""
        self._file.writelines(f"{step},{name},{value}\n" for name, value in values.items())

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Leave it out."""

    def note(self, step: int, name: str, words: str) -> None:
        """Leave it out."""

    def flush(self) -> None:
        """Store the lines."""
        self._file.flush()

    def close(self, state: str) -> None:
        """End the table."""
        self._file.close()


def table(run: Tracked) -> Table:
    """Return the table of a run; a resumed one continues it."""
    return Table((run.folder / "numbers.csv").open("a", encoding="utf-8"))
