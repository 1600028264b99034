"""Where a batch's pixels come from: an array of the CPU, a GPU that holds all of them, or pinned memory that
is filled while the GPU computes.

All three give the same bits: 8-bit numbers, divided by 255 in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from genzoo.data import Images
from genzoo.data.order import Order

ON_DEVICE = 2**31  # bytes of pixels that are kept on a GPU: small sets need no copy per batch

Rows = Callable[[int], Order]  # number of a batch → its images
Supply = Callable[[int], Tensor]  # number of a batch → its images, (n, C, H, W) float32 in [0, 1]


def supply(images: Images, rows: Rows, device: torch.device, room: int | None = None) -> Supply:
    """Return what gives the images of each batch on `device`.

    On a GPU, a set of up to `room` bytes (2 GiB by default) is copied to it once. Of a larger one, each
    batch is sent, and the next is read meanwhile.
    """
    if device.type != "cuda":
        return lambda number: images.float(rows(number)).to(device)
    if images.pixels.nbytes <= (ON_DEVICE if room is None else room):
        return Resident(images, rows, device)
    return Ahead(images, rows, device)


class Resident:
    """All pixels on the device."""

    def __init__(self, images: Images, rows: Rows, device: torch.device) -> None:
        self._pixels, self._rows = torch.tensor(images.pixels, device=device), rows

    def __call__(self, number: int) -> Tensor:
        """Return the images of batch `number`."""
        indices = torch.from_numpy(self._rows(number)).to(self._pixels.device, non_blocking=True)
        return self._pixels[indices].float().div_(255)


class Ahead:
    """Pixels that are sent batch by batch, 8 bits each, from pinned memory; a thread of its own reads batch
    k + 1 while batch k is used.

    Args:
        pin: puts a tensor of the CPU into memory that a GPU copies from without waiting.
    """

    def __init__(
        self,
        images: Images,
        rows: Rows,
        device: torch.device,
        pin: Callable[[Tensor], Tensor] = Tensor.pin_memory,
    ) -> None:
        self._images, self._rows, self._device, self._pin = images, rows, device, pin
        self._reader = ThreadPoolExecutor(1, "genzoo-batches")
        self._next: tuple[int, Future[Tensor]] | None = None

    def __call__(self, number: int) -> Tensor:
        """Return the images of batch `number`, and start to read the one after it."""
        ahead, self._next = self._next, None
        read = ahead[1] if ahead is not None and ahead[0] == number else self._read(number)
        self._next = number + 1, self._read(number + 1)
        return read.result().to(self._device, non_blocking=True).float().div_(255)

    def _read(self, number: int) -> Future[Tensor]:
        return self._reader.submit(self._pixels, number)

    def _pixels(self, number: int) -> Tensor:
        return self._pin(torch.from_numpy(np.array(self._images[self._rows(number)])))
