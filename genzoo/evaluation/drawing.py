"""Samples to measure, drawn a chunk at a time by all processes that share the work."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from genzoo.evaluation.inputs import counted
from genzoo.models.model import GenerativeModel
from genzoo.request import Progress, Request
from genzoo.sharing import each


def drawn(
    model: GenerativeModel, n: int, request: Request, condition: Tensor | None, progress: Progress | None
) -> Tensor:
    """Return `n` samples, uint8 (n, C, H, W) on the CPU, generated a few at a time."""
    chunk = model.decode_chunk
    manner: dict[str, Any] = {"dtype": torch.uint8, **asdict(request.manner)}

    def draw(first: int) -> Tensor:
        count = min(chunk, n - first)
        own = None if condition is None else condition[first : first + count]
        return torch.cat(
            list(model.sample_batches(count, request.seed, first=first, condition=own, **manner))
        ).cpu()

    return torch.cat(each(range(0, n, chunk), draw, counted(progress, "samples", chunk, n)))
