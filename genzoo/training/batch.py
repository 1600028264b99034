"""Batch: what one turn is shown. Loader, loop, players and recorder hand it on as one thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from genzoo.errors import TrainingError


@dataclass(frozen=True, eq=False)
class Batch:
    """Images and what is known of each of them, row by row.

    Attributes:
        images: (N, C, H, W) float32 in [0, 1].
        labels: (N,) int64, the class of each image; None where no player of the game needs it.
    """

    images: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are there, by the name of their field."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    def get(self, name: str) -> Tensor:
        """Return the field `name`, which the player needs.

        Raises:
            TrainingError: it is not there, since the player does not say so.
        """
        if name not in self.tensors:
            raise TrainingError(
                f"a loss reads the {name} of its batch, but this batch has none",
                f'the player with this loss must set needs=frozenset({{"{name}"}})',
            )
        return self.tensors[name]

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch of `change(tensor)` for each of its tensors."""
        return dataclasses.replace(self, **{name: change(tensor) for name, tensor in self.tensors.items()})


# what a player may need besides the images
COLUMNS = tuple(field.name for field in dataclasses.fields(Batch) if field.name != "images")
