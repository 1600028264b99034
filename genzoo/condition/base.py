"""Condition: what every kind of condition has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

C = TypeVar("C", bound="Condition")
SHOWN = 8  # names or words that a message lists


class Condition(ABC):
    """One kind of condition. Subclasses are frozen dataclasses without tensors.

    The config of a conditional model holds the same facts, so that weights state their condition as well:
    `config` is the part of the config that does, and `of` reads it from there.
    """

    kind: ClassVar[str]
    each: ClassVar[str]  # what the images of a set have one each of, for records: "test labels"

    @property
    @abstractmethod
    def words(self) -> str:
        """A short description, for lists: "4 labels: bedroom, …"."""

    @property
    @abstractmethod
    def brief(self) -> str:
        """The shortest description, for a table: "4 labels"."""

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The keys of a model's config that state this condition."""

    @classmethod
    @abstractmethod
    def of(cls: type[C], config: Any) -> C:
        """Return the condition that a config states."""

    @abstractmethod
    def examples(self, n: int) -> list[Any]:
        """Return `n` valid values that JSON can hold, as different as possible: golden outputs use them."""

    @abstractmethod
    def describe(self, value: Any) -> str:
        """Return one value in words, for records and captions: "label kitchen"."""

    @property
    @abstractmethod
    def typed(self) -> str:
        """One value as it is typed after `--condition`: "kitchen"."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Return the condition for JSON, with its `kind`."""

    @property
    def argument(self) -> str:
        """One value as it is written in Python: "condition='kitchen'"."""
        return f"condition={self.typed!r}"

    def config_for(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `config` for a model whose other keys have `values`."""
        return self.config

    def stated_in(self: C, config: Any) -> C:
        """Return the condition that a stored config states; what it leaves open is as in this one."""
        return type(self).of(config)
