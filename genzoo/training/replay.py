"""Replay of old fakes (hack 8; Pfau & Vinyals 2016; Shrivastava et al. 2017, section 2.3): D keeps seeing
what G generated earlier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genzoo.images import quantise, to_float
from genzoo.models import Model
from genzoo.shares import on_whole

BATCHES = 10  # that the pool holds
ENTERING = 1 / 16  # share of a batch that enters the pool each turn: an image stays for 160 turns in the mean


class Pool(nn.Module):
    """Fakes of earlier turns with their conditions, in buffers, so that a checkpoint keeps them; images have
    8 bits.

    Args:
        model: the model whose fakes they are.
        batch: number of fakes in one turn.
        share: share of D's fakes that are old ones once the pool is full.
    """

    images: Tensor
    conditions: Tensor | None
    filled: Tensor

    def __init__(self, model: Model, batch: int, share: float) -> None:
        super().__init__()
        self.share = share
        size = BATCHES * batch
        self.register_buffer(
            "images", torch.zeros(size, *model.image_shape, dtype=torch.uint8, device=model.device)
        )
        given = () if model.condition is None else model.check_condition(model.condition.examples(1), 1)
        self.register_buffer("conditions", given[0].repeat_interleave(size, 0) if given else None)
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))  # on the CPU: it is read each turn

    def forward(self, fakes: Tensor, rng: torch.Generator, *condition: Tensor) -> tuple[Tensor, ...]:
        """Return `fakes` (N, C, H, W) and the condition of each, if there is one; a share of them are
        replaced by old ones if the pool is full, and some new ones enter the pool. Several processes have one
        pool for the whole batch.
        """
        return on_whole(lambda *rows: self._replayed(rng, *rows), fakes, *condition)

    def _replayed(self, rng: torch.Generator, fakes: Tensor, *condition: Tensor) -> tuple[Tensor, ...]:
        n, size = len(fakes), len(self.images)
        kept = () if self.conditions is None else (self.conditions,)
        given = condition
        shown, entering = fakes, max(1, round(ENTERING * n))
        places = torch.randperm(size, generator=rng, device=rng.device)
        filled = int(self.filled)
        if filled == size:
            chosen = places[: round(self.share * n)]
            old = to_float(self.images[chosen])
            given = tuple(
                torch.cat([rows[chosen], new[len(chosen) :]])
                for rows, new in zip(kept, condition, strict=True)
            )
            shown = fakes.clone()  # in the memory layout that D is fast in
            shown[: len(old)] = old
            places = places[-entering:]
        else:
            places = torch.arange(filled, min(filled + entering, size), device=rng.device)
            self.filled += len(places)
        self.images[places] = quantise(fakes[-len(places) :].detach())
        for rows, new in zip(kept, condition, strict=True):
            rows[places] = new[-len(places) :]
        return shown, *given
