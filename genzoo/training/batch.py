"""Batch: the data of one turn, passed as one object between loader, loop, players and recorder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from genzoo.errors import TrainingError


@dataclass(frozen=True, eq=False)
class Batch:
    """Images and what is known about each, row by row.

    Attributes:
        images: (N, C, H, W) float32 in [0, 1].
        labels: (N,) int64, the class of each image; None if no player of the game needs it.
        condition: (N, …), the condition of each image; None for a model without one. Batches for a
            conditional model always have it, unless a player needs `other` and none needs `condition`. Labels
            are int64 (N,), texts int64 (N, length) with 0 after the last word, pictures float32 (N, C, H, W)
            in [0, 1]: the source of each pair, mirrored and shifted as the image is.
        other: (N, C, H, W) float32 in [0, 1], images of the second side of an unpaired set, whose first side
            `images` is, in an order of their own: row i has nothing to do with image i. None if no player
            needs it.
    """

    images: Tensor
    labels: Tensor | None = None
    condition: Tensor | None = None
    other: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def given(self) -> tuple[Tensor, ...]:
        """What a model's underscored methods take after their other arguments: its condition, or nothing."""
        return () if self.condition is None else (self.condition,)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the batch has, by field name."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    def get(self, name: str) -> Tensor:
        """Return the field `name`, which a loss needs.

        Raises:
            TrainingError: the batch lacks it because the player does not declare it in `needs`.
        """
        if name not in self.tensors:
            raise TrainingError(
                f"a loss reads the {name} of its batch, but this batch has none",
                f'the player with this loss must set needs=frozenset({{"{name}"}})',
            )
        return self.tensors[name]

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return a batch with `change(tensor)` in place of each tensor."""
        return dataclasses.replace(self, **{name: change(tensor) for name, tensor in self.tensors.items()})


# what a player may need besides the images
COLUMNS = tuple(field.name for field in dataclasses.fields(Batch) if field.name != "images")
