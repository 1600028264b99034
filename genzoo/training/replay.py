"""Replay of old fakes (hack 8; Pfau & Vinyals 2016; Shrivastava et al. 2017, section 2.3): D keeps seeing
what G generated earlier.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genzoo.images import quantise, to_float

BATCHES = 10  # that the pool holds
ENTERING = 1 / 16  # share of a batch that enters the pool each turn: an image stays for 160 turns in the mean


class Pool(nn.Module):
    """Fakes of earlier turns, as 8-bit images in buffers, so that a checkpoint keeps them.

    Args:
        image_shape: (C, H, W).
        batch: number of fakes in one turn.
        share: share of D's fakes that are old ones once the pool is full.
        device: where the images are kept.
    """

    images: Tensor
    filled: Tensor

    def __init__(
        self, image_shape: Sequence[int], batch: int, share: float, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__()
        self.share = share
        self.register_buffer(
            "images", torch.zeros(BATCHES * batch, *image_shape, dtype=torch.uint8, device=device)
        )
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))  # on the CPU: it is read each turn

    def forward(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """Return `fakes` (N, C, H, W), a share of them replaced by old ones if the pool is full; some new
        ones enter the pool.
        """
        n, size = len(fakes), len(self.images)
        shown, entering = fakes, max(1, round(ENTERING * n))
        places = torch.randperm(size, generator=rng, device=rng.device)
        filled = int(self.filled)
        if filled == size:
            old = to_float(self.images[places[: round(self.share * n)]])
            shown = fakes.clone()  # in the memory layout that D is fast in
            shown[: len(old)] = old
            places = places[-entering:]
        else:
            places = torch.arange(filled, min(filled + entering, size), device=rng.device)
            self.filled += len(places)
        self.images[places] = quantise(fakes[-len(places) :].detach())
        return shown
