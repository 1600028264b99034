"""Labels: a fixed list of names, one of which each image has."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from genzoo.condition.base import SHOWN, Condition
from genzoo.errors import ArgumentError, CardError, UnknownNameError, safe_repr, safe_text, suggest
from genzoo.whole import whole

MOST_LABELS, LONGEST_LABEL = 100_000, 200


@dataclass(frozen=True)
class Labels(Condition):
    """One of several labels: `Labels(("bedroom", "kitchen"))`.

    Attributes:
        names: the labels, in the order of their numbers 0, 1, …; different also when their case is ignored.

    Raises:
        CardError: no name, more than 100,000, one that is empty, too long or not a text, or two alike.
    """

    names: tuple[str, ...]
    kind: ClassVar[str] = "labels"
    each: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        names = self.names
        if isinstance(names, str) or not isinstance(names, Sequence):
            raise CardError(
                f"labels must be a list of names, not {safe_repr(names)}", 'Labels(("cat", "dog"))'
            )
        object.__setattr__(self, "names", tuple(names))
        if not 1 <= len(names) <= MOST_LABELS:
            raise CardError(f"a condition must have 1 to {MOST_LABELS:,} labels, not {len(names):,}")
        wrong = [name for name in names if not _is_label(name)]
        if wrong:
            raise CardError(
                f"a label must be a text of 1 to {LONGEST_LABEL} printable characters, not "
                f"{safe_repr(wrong[0])}"
            )
        if len(self._numbers) < len(names):
            twice = next(name for i, name in enumerate(names) if self._numbers[name.casefold()] != i)
            raise CardError(f"two labels are called {twice!r}", "give each label a name of its own")

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {name.casefold(): number for number, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    @property
    def words(self) -> str:
        """The number of labels and the first of them."""
        shown = self.names[:SHOWN]
        return f"{self.brief}: {', '.join(shown)}" + ", …" * (len(self) > SHOWN)

    @property
    def brief(self) -> str:
        """The number of labels."""
        return f"{len(self)} label{'s' * (len(self) != 1)}"

    @property
    def typed(self) -> str:
        """The first label."""
        return self.names[0]

    @property
    def config(self) -> dict[str, Any]:
        """`{"labels": names}`."""
        return {"labels": self.names}

    @classmethod
    def of(cls, config: Any) -> Labels:
        """Return the labels of a config that has the field `labels`."""
        return cls(tuple(config.labels))

    def number(self, value: Any) -> int:
        """Return the number of a label, given by name (in any case) or by number.

        Raises:
            ArgumentError: neither a name nor a whole number, or a number outside 0 … len - 1.
            UnknownNameError: no label has this name; the message gives the nearest.
        """
        if isinstance(value, str):
            return self._named(value)
        number = whole(value)
        if number is None:
            raise ArgumentError(
                f"a label must be a name or a whole number, not {safe_repr(value)}", self._hint
            )
        if not 0 <= number < len(self):
            raise ArgumentError(
                f"label {safe_repr(number)} does not exist: they run from 0 to {len(self) - 1}", self._hint
            )
        return number

    def _named(self, name: str) -> int:
        numbers = self._numbers
        found = numbers.get(name.strip().casefold())
        if found is None and name.strip().isascii() and name.strip().isdigit() and len(name) < 10:
            return self.number(int(name))  # the command line has texts only
        if found is None:
            raise UnknownNameError(
                f"there is no label {safe_text(name, 60)!r}{suggest(name, self.names)}", self._hint
            )
        return found

    @property
    def _hint(self) -> str:
        return f"this model takes {self.words}"

    def examples(self, n: int) -> list[Any]:
        """Return `n` numbers of labels, spread from the first to the last."""
        last = len(self) - 1
        return [round(i * last / max(n - 1, 1)) for i in range(n)]

    def describe(self, value: Any) -> str:
        """Return "label NAME"."""
        return f"label {self.names[self.number(value)]}"

    def as_dict(self) -> dict[str, Any]:
        """Return kind and names."""
        return {"kind": self.kind, "labels": list(self.names)}


def _is_label(name: object) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) <= LONGEST_LABEL
        and name == name.strip()
        and safe_text(name, LONGEST_LABEL) == name
    )
