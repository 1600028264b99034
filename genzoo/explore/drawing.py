"""Sampling in progress: an autoregressive model sets one pixel after another, row by row from the top
left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.model import Model, Progress, check_count
from genzoo.process import neutral

HIDDEN = 0.5  # grey of what is not drawn yet, or not shown to the model
FRAMES = 80


@neutral()
def drawing(
    model: Model,
    n: int = 16,
    seed: int | None = None,
    frames: int = FRAMES,
    progress: Progress | None = None,
    *,
    condition: Any = None,
    temperature: float | None = None,
) -> Iterator[Tensor]:
    """Yield at most `frames` pictures (n, C, H, W) of `n` images in progress; the last one is
    `model.sample(n, seed, condition=condition, temperature=temperature)`.

    `progress` is called with (done, total) in pixels while the images are sampled, before the first picture.

    Raises:
        ArgumentError: the model does not generate pixel by pixel; n, seed, frames or temperature out of
            range; a missing, invalid or superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    if not isinstance(model, AutoregressiveModel):
        hint = "pixel models do: genzoo list --family tractable; for others, use genzoo interpolate"
        raise ArgumentError(f"{type(model).__name__} does not generate an image pixel by pixel", hint)
    images = model.sample(n, seed, condition=condition, progress=progress, temperature=temperature)
    return unveiled(images, frames=frames)


@neutral()
def unveiled(images: Tensor, mask: Tensor | None = None, frames: int = FRAMES) -> Iterator[Tensor]:
    """Yield `images` (N, C, H, W) at stages of their sampling in raster order, grey where nothing was drawn
    yet.

    A pixel that is set never changes again, so after t pixels the picture holds the first t pixels of the
    finished images.

    Args:
        images: finished images in [0, 1].
        mask: bool (H, W), True where a pixel was given from the start; None = nowhere.
        frames: largest number of pictures, evenly spaced; the first shows the given pixels, the last is
            `images`.

    Raises:
        ArgumentError: fewer than two frames, or a mask of another shape.
    """
    steps = check_count(frames, "frames") - 1
    kept = torch.zeros(images.shape[2:], dtype=torch.bool) if mask is None else mask.cpu()
    if steps < 1:
        raise ArgumentError(f"frames must be at least 2, the start and the end, not {frames}")
    if kept.shape != images.shape[2:] or kept.dtype != torch.bool:
        raise ArgumentError(
            f"mask must be bool of the shape {tuple(images.shape[2:])}, not {kept.dtype} of "
            f"{tuple(kept.shape)}"
        )
    return _frames(images, kept, steps)


def _frames(images: Tensor, kept: Tensor, steps: int) -> Iterator[Tensor]:
    missing = int((~kept).sum())
    turn = (~kept).flatten().cumsum(0).view(kept.shape)  # the number of the step that draws a pixel, from 1
    for step in range(min(steps, missing)):
        done = step * missing // min(steps, missing)
        yield torch.where((kept | (turn <= done)).to(images.device), images, HIDDEN)
    yield images
