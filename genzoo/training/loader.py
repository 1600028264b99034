"""Loader: batch number k of a run, as a function of (seed, k, rank) alone, so that a resumed run sees the
same batches as an uninterrupted one.
"""

from __future__ import annotations

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

_ON_DEVICE = 2**31  # bytes of pixels that are kept on a GPU: small sets need no copy per batch


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
        resident = settings.device.type == "cuda" and data.pixels.nbytes <= _ON_DEVICE
        self._pixels = torch.tensor(self.data.pixels, device=settings.device) if resident else None

    def __call__(self, number: int) -> Batch:
        """Return this rank's share of batch `number`."""
        indices = self._rows(number)
        return Batch(
            self._images(number, indices),
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

    def _images(self, number: int, indices: Order) -> Tensor:
        if self._pixels is not None:
            images = self._pixels[self._sent(torch.from_numpy(indices))].float().div_(255)
        else:
            images = self.data.float(indices).to(self.settings.device)
        if self.drawn:
            coins = torch.rand(images.shape, generator=self._noise("binarise", number))
            images = (self._sent(coins) < images).float()
        return self._varied(images, number)

    def _varied(self, images: Tensor, number: int, side: str = "") -> Tensor:
        """Return `images` mirrored and shifted; those of one `side` have the same coins."""
        if self.recipe.flip:
            coins = torch.rand(len(images), generator=self._noise(f"{side}flip", number)) < 0.5
            images = flipped(images, self._sent(coins))
        if reach := self.recipe.shift_of(number):
            noise = self._noise(f"{side}shift", number)
            shifts = torch.randint(-reach, reach + 1, (2, len(images)), generator=noise)
            images = moved(images, *self._sent(shifts))
        return images.contiguous(memory_format=self.settings.memory_format)

    def _condition(self, number: int, indices: Order) -> Tensor | None:
        if self.told is None:
            return None
        coins = torch.rand(len(indices), generator=self._noise("caption", number), dtype=torch.float64)
        rows = self._sent(torch.from_numpy(self.told.at(indices, coins.numpy())))
        if rows.dtype != torch.uint8:  # labels or texts
            return rows
        return self._varied(rows.float().div_(255), number)

    def _other(self, number: int) -> Tensor | None:
        if self.other is None:
            return None
        # an order of its own: two sides of equal length are not paired by accident
        seed = mix(self.recipe.seed, "other")
        batch = self.recipe.batch_size
        indices = batch_indices(len(self.other), batch, number, seed)[self.world.share(batch)]
        return self._varied(self._sent(self.other.float(indices)), number, "other ")

    def _labels(self, indices: Order) -> Tensor | None:
        if self.data.labels is None:
            return None
        return self._sent(torch.from_numpy(self.data.labels[indices]))

    def _sent(self, tensor: Tensor) -> Tensor:
        """Return `tensor` on the run's device, without waiting for pending GPU work."""
        return tensor.to(self.settings.device, non_blocking=True)

    def _rows(self, number: int) -> Order:
        batch = self.recipe.batch_size
        return batch_indices(len(self.data), batch, number, self.recipe.seed)[self.world.share(batch)]

    def _noise(self, purpose: str, number: int) -> torch.Generator:
        return generator(self.recipe.seed, purpose, number, self.world.rank)
