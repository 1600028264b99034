"""Loader: batch number k of a run, as a function of (seed, k) alone, so that a resumed run sees the same
batches as an uninterrupted one. Each process has its rows of it, with what was drawn for them.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from genzoo.condition import Condition
from genzoo.data import Images, batch_indices, identity
from genzoo.data.conditions import other_of, told_of
from genzoo.data.jitter import flipped, moved
from genzoo.data.order import Order
from genzoo.recipe import Recipe
from genzoo.rng import generator, mix
from genzoo.training.batch import Batch
from genzoo.training.hardware import Hardware
from genzoo.training.parallel import World
from genzoo.training.supply import supply


class Loader:
    """Batches of a data set: float32 (n, C, H, W) in [0, 1] on the run's device, mirrored and shifted at
    random if the recipe says so.

    Batches carry labels if `needs` (names of fields of `Batch`) includes them and the data has them, images
    of the second side if it includes `other`, and the images' values of `condition`, that of the model, if it
    has one. Sources of pairs are mirrored and shifted as their images are; of several captions one is drawn
    each time. Images that are binarised dynamically (`Images.grey`) are binarised again for every batch.
    """

    def __init__(
        self,
        data: Images,
        recipe: Recipe,
        world: World,
        settings: Hardware,
        needs: Iterable[str] = (),
        condition: Condition | None = None,
    ) -> None:
        self.data, self.recipe, self.world, self.settings = data, recipe, world, settings
        self.needs = frozenset(needs)
        told = condition is not None and ("condition" in self.needs or "other" not in self.needs)
        self.told = told_of(condition, data) if told and condition is not None else None
        self.other = other_of(data) if "other" in self.needs else None
        self.drawn, self._whole = data.grey is not None, data
        if data.grey is not None:
            self.data = data.replace(pixels=data.grey)
        self._supply()

    def _supply(self) -> None:
        device, other = self.settings.device, self.other
        self._pixels = supply(self.data, self._rows, device)
        self._others = None if other is None else supply(other, self._rows_of_other, device)

    @property
    def whole(self) -> Loader:
        """The same batches, of which this process gets all rows."""
        if self.world.size == 1:
            return self
        loader = copy.copy(self)
        loader.world = World()
        loader._supply()
        return loader

    def __call__(self, number: int) -> Batch:
        """Return this rank's share of batch `number`."""
        indices = self._rows(number)
        return Batch(
            self._images(number),
            self._labels(indices) if "labels" in self.needs else None,
            self._condition(number, indices),
            self._other(number),
        )

    @property
    def identity(self) -> str:
        """What the batches are made from, by content: see `genzoo.data.identity`."""
        own = identity(self._whole, None if self.told is None else self.told.column)
        if self.other is None:
            return own
        return hashlib.sha256(f"{own}/{identity(self.other)}".encode()).hexdigest()

    def _images(self, number: int) -> Tensor:
        images = self._pixels(number)
        if self.drawn:
            shape = (self.recipe.batch_size, *images.shape[1:])
            coins = torch.rand(shape, generator=self._noise("binarise", number))[self._share]
            images = (self._sent(coins) < images).float()
        return self._varied(images, number)

    def _varied(self, images: Tensor, number: int, side: str = "") -> Tensor:
        """Return `images` mirrored and shifted; those of one `side` have the same coins."""
        if self.recipe.flip:
            coins = torch.rand(self.recipe.batch_size, generator=self._noise(f"{side}flip", number)) < 0.5
            images = flipped(images, self._sent(coins[self._share]))
        if reach := self.recipe.shift_of(number):
            noise = self._noise(f"{side}shift", number)
            shifts = torch.randint(-reach, reach + 1, (2, self.recipe.batch_size), generator=noise)
            images = moved(images, *self._sent(shifts[:, self._share]))
        return images.contiguous(memory_format=self.settings.memory_format)

    def _condition(self, number: int, indices: Order) -> Tensor | None:
        if self.told is None:
            return None
        noise = self._noise("caption", number)
        coins = torch.rand(self.recipe.batch_size, generator=noise, dtype=torch.float64)[self._share]
        rows = self._sent(torch.from_numpy(self.told.at(indices, coins.numpy())))
        if rows.dtype != torch.uint8:  # labels or texts
            return rows
        return self._varied(rows.float().div_(255), number)

    def _other(self, number: int) -> Tensor | None:
        if self._others is None:
            return None
        return self._varied(self._others(number), number, "other ")

    def _labels(self, indices: Order) -> Tensor | None:
        if self.data.labels is None:
            return None
        return self._sent(torch.from_numpy(self.data.labels[indices]))

    def _sent(self, tensor: Tensor) -> Tensor:
        """Return `tensor` on the run's device, without waiting for pending GPU work."""
        return tensor.to(self.settings.device, non_blocking=True)

    def _rows(self, number: int) -> Order:
        batch = self.recipe.batch_size
        return batch_indices(len(self.data), batch, number, self.recipe.seed)[self._share]

    def _rows_of_other(self, number: int) -> Order:
        # an order of its own: two sides of equal length are not paired by accident
        seed, count = mix(self.recipe.seed, "other"), 0 if self.other is None else len(self.other)
        return batch_indices(count, self.recipe.batch_size, number, seed)[self._share]

    @property
    def _share(self) -> slice:
        return self.world.share(self.recipe.batch_size)

    def _noise(self, purpose: str, number: int) -> torch.Generator:
        """Return the source of what is drawn for the whole batch: not a function of the rank. The 0 was the
        rank of a run of one process, whose numbers stay as they were.
        """
        return generator(self.recipe.seed, purpose, number, 0)
