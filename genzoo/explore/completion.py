"""Image completion: part of an image is kept, and an autoregressive model samples the rest (van den Oord et
al. 2016, figure 1).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genzoo.data.decode import Skip, eight_bit, faults, is_deep, open_image, room
from genzoo.errors import ArgumentError, DataError
from genzoo.explore.drawing import FRAMES, HIDDEN, unveiled
from genzoo.explore.latents import each, repeated
from genzoo.images import Pixels, as_tensor
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.model import Model, Progress, in_chunks
from genzoo.names import KEEPS as KEEPS
from genzoo.process import neutral

RULE = "white pixels are kept, black or transparent ones are drawn"  # of a mask


@dataclass(frozen=True)
class Completions:
    """Images, the part that was kept, and a model's completions of the rest.

    Attributes:
        images: (N, C, H, W), the original images.
        mask: bool (H, W), True where they were kept.
        drawn: (N, n, C, H, W), n completions per image.
        log_prob: (N, n + 1) nats, log p of each completed image, kept part and all; the last column is for
            the image itself.
        log_prob_drawn: (N, n + 1) nats, the share of it that belongs to the pixels that are not kept: Σ log
            p(x_i | x_1 … x_{i-1}).
    """

    images: Tensor
    mask: Tensor
    drawn: Tensor
    log_prob: Tensor
    log_prob_drawn: Tensor

    @property
    def conditional(self) -> bool:
        """Whether `log_prob_drawn` is log p(rest | kept): every kept pixel comes before every drawn one."""
        order = self.mask.flatten().int()
        return bool((order[1:] <= order[:-1]).all())

    @property
    def rows(self) -> Tensor:
        """(N, n + 2, C, H, W): what the model sees of each image, its completions, the image itself."""
        return self._row(self.drawn)

    def frames(self, count: int = FRAMES) -> Iterator[Tensor]:
        """Yield `rows` as they stood while the completions were drawn, at most `count` pictures of which the
        last is `rows`.
        """
        for drawn in unveiled(self.drawn.flatten(0, 1), self.mask, count):
            yield self._row(drawn.view_as(self.drawn))

    def _row(self, drawn: Tensor) -> Tensor:
        whole = self.images.to(drawn)
        shown = torch.where(self.mask.to(drawn.device), whole, HIDDEN)
        return torch.cat([shown[:, None], drawn, whole[:, None]], dim=1)


@neutral()
def keep_mask(keep: str, height: int, width: int) -> Tensor:
    """Return which pixels are kept, bool (H, W): the "top", "bottom", "left" or "right" half.

    Raises:
        ArgumentError: another word, or an image too small to halve.
    """
    if keep not in KEEPS:
        raise ArgumentError(f"keep must be one of {', '.join(KEEPS)}, not {keep!r}")
    (top, bottom), (left, right) = KEEPS[keep]
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    if not mask.any() or mask.all():
        raise ArgumentError(f"images of {height}x{width} have no {keep} half")
    return mask


def read_mask(path: str | os.PathLike[str], height: int, width: int) -> Tensor:
    """Return which pixels are kept, bool (H, W), from a picture of that size: white pixels are kept; black
    and transparent ones are sampled.

    In a picture with transparent holes that is not black and white, such as a photograph, every opaque pixel
    is kept.

    Raises:
        ArgumentError: another size, or a picture that does not show which pixels are kept.
        DataError: the file is not a picture.
    """
    try:
        with faults(), open_image(Path(path)) as picture:
            wide, high = picture.size
            if (high, wide) != (height, width):
                raise ArgumentError(
                    f"the mask {path} is {high}x{wide}, and the images {height}x{width}",
                    "draw it in that size",
                )
            with room(picture):
                picture.load()
                grey, alpha = _grey_and_alpha(picture)
    except Skip as reason:
        raise DataError(f"the mask {path} cannot be read: {reason}", f"a mask is a PNG: {RULE}") from reason
    return _kept(grey, alpha, f"the mask {path}")


def _grey_and_alpha(picture: Image.Image) -> tuple[Tensor, Tensor]:
    """Return brightness and opacity of `picture`, uint8 (H, W)."""
    if is_deep(picture):
        grey = torch.from_numpy(np.array(eight_bit(picture)))
        return grey, torch.full_like(grey, 255)
    colours = torch.from_numpy(np.array(picture.convert("RGBA")))  # (H, W, 4)
    flat = torch.from_numpy(np.array(picture.convert("RGBA").convert("RGB").convert("L")))
    return flat, colours[..., 3]


def _kept(grey: Tensor, alpha: Tensor, what: str) -> Tensor:
    """Return which pixels are kept: those that are white, or opaque in a picture that is not black and
    white.
    """
    opaque = alpha == 255
    veiled = int(((alpha > 0) & ~opaque).sum())
    if veiled:
        raise ArgumentError(f"{what} has {veiled:,} pixels that are neither opaque nor transparent", RULE)
    white = 1 if int(grey.max()) == 1 else 255  # 0 and 1, as arrays of False and True are saved
    between = int((opaque & (grey > 0) & (grey != white)).sum())
    if between and bool(opaque.all()):
        raise ArgumentError(f"{what} has {between:,} pixels that are neither white nor black", RULE)
    kept = opaque if between else opaque & (grey == white)
    if not opaque.all() and not kept.any() and bool(opaque.any()):
        raise ArgumentError(
            f"{what} is black with transparent holes, and both mean drawn pixels",
            "paint the pixels to keep white",
        )
    return kept


@neutral()
def completions(
    model: Model,
    images: Pixels,
    mask: Pixels,
    n: int = 6,
    seed: int | None = None,
    progress: Progress | None = None,
    *,
    condition: Any = None,
    temperature: float | None = None,
) -> Completions:
    """Complete each image (N, C, H, W) `n` times where `mask` (H, W) is False, and return the completions
    with their log p.

    Completions are draws from p(rest | kept) if the kept part comes first in raster order (the top half); for
    other masks each pixel is drawn given every earlier pixel, kept or drawn.

    Args:
        model: a model that generates pixel by pixel.
        images: images in [0, 1], with levels that the model has.
        mask: bool (H, W), True = kept.
        n: completions of each image.
        seed: see `AutoregressiveModel.complete`.
        progress: called with (done, total) in pixels.
        condition: of a conditional model, the condition of each image, or one for all.
        temperature: see `AutoregressiveModel.complete`; the probabilities are always those of the model
            itself, at temperature 1.

    Raises:
        ArgumentError: the model has no order of pixels; `AutoregressiveModel.complete` refuses images, mask,
            n, seed, condition or temperature.
        UnknownNameError: a label that does not exist.
    """
    if not isinstance(model, AutoregressiveModel):
        hint = "pixel models can: genzoo list --family tractable"
        raise ArgumentError(
            f"{type(model).__name__} cannot complete images: it does not generate pixel by pixel", hint
        )
    kept, whole = as_tensor(mask, "mask"), model.check_images(images, "images")
    if tuple(kept.shape) != model.image_shape[1:]:
        raise ArgumentError(
            f"mask must have the shape {model.image_shape[1:]}, not {tuple(kept.shape)}",
            "one True or False per pixel",
        )
    model.check_levels(whole, "images")
    given = each(model, condition, len(whole))
    # (N, n, C, H, W)
    drawn = model.complete(whole, kept, n, seed, condition=given, temperature=temperature, progress=progress)
    every = torch.cat([drawn, whole[:, None]], dim=1)  # (N, n + 1, C, H, W)
    ask = partial(_log_probs, model, kept)
    rows = () if given is None else (repeated(given, every.shape[1]),)
    both = in_chunks(ask, model.decode_chunk, every.flatten(0, 1), *rows).view(*every.shape[:2], 2).cpu()
    return Completions(
        images=whole, mask=kept.cpu(), drawn=drawn, log_prob=both[..., 0], log_prob_drawn=both[..., 1]
    )


def _log_probs(
    model: AutoregressiveModel, mask: Tensor, x: Tensor, condition: Tensor | None = None
) -> Tensor:
    """Return log p of each image and the share of what is not kept, (N, 2)."""
    drawn = model.completion_log_prob(x, mask, condition=condition)
    return torch.stack([model.log_prob(x, condition), drawn], dim=1)


def completed(
    model: Model, images: Pixels, mask: Pixels, n: int = 6, seed: int | None = None, *, condition: Any = None
) -> Tensor:
    """Return the `rows` of `completions`, (N, n + 2, C, H, W) in [0, 1], ready to be shown as a grid."""
    return completions(model, images, mask, n, seed, condition=condition).rows
