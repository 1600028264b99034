"""Sampling in progress: an autoregressive model sets one pixel after another, row by row from the top
left.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.manner import Manner
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.manner import check_manner, in_manner
from genzoo.models.model import Model, Progress, check_count
from genzoo.process import neutral
from genzoo.rng import Rng, check_seed

HIDDEN = 0.5  # grey of what is not drawn yet, or not shown to the model
FRAMES = 80

Drawn = Callable[[int, int, float], object]


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
    images = check_in_order(model).sample(
        n, seed, condition=condition, progress=progress, temperature=temperature
    )
    return unveiled(images, frames=frames)


@neutral()
def watched(
    model: Model,
    tell: Drawn,
    seed: int | None = None,
    *,
    condition: Any = None,
    temperature: float | None = None,
) -> Tensor:
    """Draw one image (1, C, H, W) and call `tell` with each of its values as the sampler draws it.

    The image is `model.sample(1, seed, condition=condition, temperature=temperature)`, up to the rounding of
    a network that sees one image instead of a whole chunk.

    Args:
        model: a model that generates pixel by pixel.
        tell: called with (place, level, p): the place of the value in the order of the chain rule (pixels in
            raster order, channels in turn), its level 0 … levels - 1, and the probability p(level | earlier
            values) of the model itself, whatever the temperature. An exception in it ends the drawing.
        seed: see `sample`.
        condition: of a conditional model.
        temperature: see `sample`.

    Raises:
        ArgumentError: the model does not generate pixel by pixel; seed or temperature out of range; a
            missing, invalid or superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    asked = in_manner(check_in_order(model), check_manner(model, Manner(temperature=temperature)))
    given = model.check_condition(condition, 1)
    x = torch.zeros(1, *model.image_shape, device=model.device)
    with torch.inference_mode(), asked.asking() as drawer:
        spy = copy.copy(drawer)
        # Samplers draw each value with `_level`, in the order of the chain rule.
        vars(spy)["_level"] = _told(drawer, tell)
        drawn: Tensor = spy._drawing(x, x.bool(), Rng(check_seed(seed), 0, 1, model.device), *given)
        return drawn.float().clamp(0, 1).clone()


def _told(model: Any, tell: Drawn) -> Callable[[Tensor, Tensor], Tensor]:
    """Return `model._level` that reports what it draws."""
    places = itertools.count()

    def level(params: Tensor, u: Tensor) -> Tensor:
        found: Tensor = model._level(params, u)
        number = int(found[0])
        tell(next(places), number, float(model._log_masses(params)[0, number].exp()))
        return found

    return level


def check_in_order(model: Model) -> AutoregressiveModel:
    """Return `model`, or raise ArgumentError if it does not generate pixel by pixel."""
    if not isinstance(model, AutoregressiveModel):
        hint = "pixel models do: genzoo list --family tractable; for others, use genzoo interpolate"
        raise ArgumentError(f"{type(model).__name__} does not generate an image pixel by pixel", hint)
    return model


@neutral()
def conditionals(model: Model, image: Any, *, condition: Any = None) -> Tensor:
    """Return p(level | earlier values) of every value of `image` (1, C, H, W) and every level, (C, H, W,
    levels) float32.

    Row (c, h, w) sums to one. It does not depend on the value there, nor on later ones.

    Raises:
        ArgumentError: the model does not generate pixel by pixel; an image of a wrong shape, type or range,
            or with values that are no levels of the model; a missing, invalid or superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    asked_model = check_in_order(model)
    x = model.check_images(image, "image")[:1]
    asked_model.check_levels(x, "image")
    given = model.check_condition(condition, len(x))
    with torch.inference_mode(), asked_model.asking() as asked:
        params = asked._predict(x, *given)[0]  # (P, C, H, W)
        masses: Tensor = asked._log_masses(params.flatten(1).T)  # (C·H·W, levels)
    return masses.exp().float().view(*model.image_shape, -1).clone()


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
