"""Samples to measure, drawn a chunk at a time by all processes that share the work."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from genzoo.data.binary import binary_samples
from genzoo.evaluation.inputs import counted, joined
from genzoo.models.model import GenerativeModel
from genzoo.request import Progress, Request
from genzoo.sharing import each


def drawn(
    model: GenerativeModel, n: int, request: Request, condition: Tensor | None, progress: Progress | None
) -> tuple[Tensor, str]:
    """Return `n` samples, uint8 (n, C, H, W) on the CPU, generated a few at a time, and how they were drawn,
    for a record.

    If the request makes images black and white, samples in greys become so too.
    """
    chunk = model.decode_chunk
    manner: dict[str, Any] = {"dtype": torch.uint8, **asdict(request.manner)}

    def draw(first: int) -> Tensor:
        count = min(chunk, n - first)
        own = None if condition is None else condition[first : first + count]
        return torch.cat(
            list(model.sample_batches(count, request.seed, first=first, condition=own, **manner))
        ).cpu()

    made = torch.cat(each(range(0, n, chunk), draw, counted(progress, "samples", chunk, n)))
    if request.binarise is None:
        return made, request.manner.words
    pixels, words = binary_samples(made.numpy(), request.binarise, request.seed)
    return torch.from_numpy(pixels), joined(request.manner.words, words)
