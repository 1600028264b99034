"""What is asked for when data are opened, in one object."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from genzoo.data.pool import Progress
from genzoo.data.types import Shape


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The arguments of `genzoo.data.open_data`, checked.

    Attributes:
        shape: (C, H, W) of the images, None for their own.
        source: (C, H, W) of the other half of each pair; None: the size of the images.
        split: "train", "valid", "test" or "fit".
        share: what is held out where there is no official split, 0 to 0.9.
        cache: whether decoded images are kept.
        progress: called with (done, total), or None.
    """

    shape: Shape | None = None
    source: Shape | None = None
    split: str = "train"
    share: float = 0.1
    cache: bool = True
    progress: Progress | None = None

    @property
    def usual(self) -> tuple[Shape | None, str, float, bool, Progress | None]:
        """Return shape, split, share, cache and progress: all that data of one picture per image need."""
        return self.shape, self.split, self.share, self.cache, self.progress

    def replace(self, **changes: Any) -> Asked:
        """Return a copy with `changes`."""
        return dataclasses.replace(self, **changes)
