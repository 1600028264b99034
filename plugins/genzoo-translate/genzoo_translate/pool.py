"""The pool of earlier translations (Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genzoo.shares import on_whole


class Pool(nn.Module):
    """Translations of earlier rounds, in buffers, so that a checkpoint keeps them.

    Args:
        size: number of pictures that it holds.
        shape: (C, H, W) of a picture.
        device: where it is kept.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: Sequence[int], device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape, device=device))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))  # on the CPU: it is read each turn

    @torch.no_grad()
    def forward(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """Return a picture for each of `fakes` (N, C, H, W).

        A pool that is not full takes each in and returns it. A full one returns with probability ½ one that
        it holds, with the new one in its place, and otherwise the new one, which it does not take in. Several
        processes have one pool, which takes the pictures of the whole batch in order.
        """
        return on_whole(lambda rows: self._exchanged(rows, rng), fakes)

    def _exchanged(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        n, size = len(fakes), len(self.images)
        swapped = (torch.rand(n, generator=rng, device=rng.device) < 0.5).tolist()
        places = torch.randint(size, (n,), generator=rng, device=rng.device).tolist()
        shown = fakes.clone()
        for i, fake in enumerate(fakes):
            if int(self.filled) < size:
                self.images[int(self.filled)] = fake
                self.filled += 1
            elif swapped[i]:
                shown[i] = self.images[places[i]]
                self.images[places[i]] = fake
        return shown
