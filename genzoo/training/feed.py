"""Feed: batch number k of a run, as a function of (seed, k, rank) alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genzoo.data import Images, batch_indices
from genzoo.data.order import Order
from genzoo.noise import generator
from genzoo.training.parallel import World
from genzoo.training.settings import Settings

_ON_DEVICE = 2**31  # bytes of pixels that are kept on a GPU: small sets need no copy per batch


class Feed:
    """Batches of a data set: float32 (n, C, H, W) in [0, 1] on the run's device, mirrored at random where the recipe says so.

    Images that are binarised dynamically (`Images.grey`) are drawn anew for every batch.
    """

    def __init__(self, data: Images, batch: int, seed: int, flip: bool, world: World, settings: Settings) -> None:
        self.data, self.batch, self.seed, self.flip = data, batch, seed, flip
        self.world, self.settings = world, settings
        self.drawn = data.grey is not None
        if data.grey is not None:
            self.data = data.replace(pixels=data.grey)
        resident = settings.device.type == "cuda" and data.pixels.nbytes <= _ON_DEVICE
        self._pixels = torch.tensor(self.data.pixels, device=settings.device) if resident else None

    def __call__(self, number: int) -> Tensor:
        """Return this rank's share of batch `number`."""
        indices = self._rows(number)
        if self._pixels is not None:
            images = self._pixels[torch.from_numpy(indices).to(self._pixels.device)].float().div_(255)
        else:
            images = self.data.float(indices).to(self.settings.device)
        if self.drawn:
            coins = torch.rand(images.shape, generator=generator(self.seed, "binarise", number, self.world.rank))
            images = (coins.to(images.device) < images).float()
        if self.flip:
            coins = torch.rand(len(images), 1, 1, 1, generator=generator(self.seed, "flip", number, self.world.rank)) < 0.5
            images = torch.where(coins.to(images.device), images.flip(3), images)
        return images.contiguous(memory_format=self.settings.memory_format)

    def labels(self, number: int) -> Tensor | None:
        """Return the labels (n,) int64 of the images of batch `number`, None where the data have none."""
        if self.data.labels is None:
            return None
        return torch.from_numpy(self.data.labels[self._rows(number)].astype(np.int64)).to(self.settings.device)

    def _rows(self, number: int) -> Order:
        return batch_indices(len(self.data), self.batch, number, self.seed)[self.world.share(self.batch)]
