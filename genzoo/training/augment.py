"""Differentiable augmentation (Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN
Training", section 3).

Real and generated images pass through the same random family of transforms before D sees them, and G's
gradient passes back through them: with few images D can no longer win by memorising them, and G does not
learn to generate augmented images. Ranges follow the paper, whose images are in [-1, 1]; ours are in [0, 1],
so shifts of brightness are half as large and the "black" fill is grey 0.5. Classifiers are trained on the
same transforms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from genzoo.training.own import find

Transform = Callable[[Tensor, torch.Generator], Tensor]  # differentiable; of images (N, C, H, W)

GREY = 0.5


def policy_of(names: Iterable[str]) -> list[Transform]:
    """Return the transforms of a recipe's `augment`: built-in ones by name, your own as
    "package.module:name".
    """
    return [find(name, TRANSFORMS, "transform") for name in names]


def augment(images: Tensor, policy: Iterable[Transform], rng: torch.Generator) -> Tensor:
    """Return `images` (N, C, H, W) after each transform of `policy`."""
    for transform in policy:
        images = transform(images, rng)
    return images


def color(images: Tensor, rng: torch.Generator) -> Tensor:
    """Change brightness (±0.25), saturation (0 … 2) and contrast (0.5 … 1.5) of each image.

    All three are linear, so they are applied as one: y = c·s·x + c·(1 - s)·m + (1 - c)·M + b, with m the mean
    over channels and M over the image.
    """
    shape = (len(images), 1, 1, 1)
    b, s, c = (torch.rand(shape, generator=rng, device=images.device, dtype=torch.float32) for _ in range(3))
    b, s, c = b / 2 - 0.25, 2 * s, c + 0.5
    x = images.float()
    m = x.mean(dim=1, keepdim=True)  # (N, 1, H, W)
    mean = m.mean(dim=(2, 3), keepdim=True)  # (N, 1, 1, 1)
    return torch.addcmul(torch.addcmul((1 - c) * mean + b, c * (1 - s), m), c * s, x)


def translation(images: Tensor, rng: torch.Generator, share: float = 1 / 8) -> Tensor:
    """Shift each image by up to an eighth of its height and width; the uncovered border is grey."""
    rows = _integers(images, round(images.shape[2] * share), rng)
    columns = _integers(images, round(images.shape[3] * share), rng)
    shifts = torch.stack([rows, columns], dim=1)  # (N, 2)
    return _Shift.apply(images - GREY, shifts) + GREY  # type: ignore[no-any-return, no-untyped-call]


def cutout(images: Tensor, rng: torch.Generator, share: float = 1 / 2) -> Tensor:
    """Paint a grey box, half as high and wide as the image, at a random position, sometimes partly outside
    the image.
    """
    # (N, H, W)
    keep = ~(_band(images, 2, share, rng)[:, :, None] & _band(images, 3, share, rng)[:, None, :])
    return torch.where(keep[:, None], images, images.new_full((), GREY))


def _band(images: Tensor, axis: int, share: float, rng: torch.Generator) -> Tensor:
    size = images.shape[axis]
    box = round(size * share)
    # as in the paper's code: an odd box has its middle on a pixel, an even one between two
    centre = torch.randint(0, size + 1 - box % 2, (len(images), 1), generator=rng, device=images.device)
    offset = torch.arange(size, device=images.device) - centre + box // 2
    return (offset >= 0) & (offset < box)  # (N, size)


def _integers(images: Tensor, reach: int, rng: torch.Generator) -> Tensor:
    return torch.randint(-reach, reach + 1, (len(images),), generator=rng, device=images.device)


class _Shift(torch.autograd.Function):
    """Shift image i by shifts[i] = (down, right), filling with zeros. Its gradient is the reverse shift, so
    it can be differentiated twice.

    Indexing would work too, but its gradient is a slow scatter; a shift copies one block per image.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, shifts: Tensor) -> Tensor:
        ctx.save_for_backward(shifts)
        return _shifted(images, shifts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (shifts,) = ctx.saved_tensors
        return _Shift.apply(gradients[0], -shifts), None  # type: ignore[no-untyped-call]


def _shifted(images: Tensor, shifts: Tensor) -> Tensor:
    return _gathered(images, shifts) if images.is_cuda else _copied(images, shifts)


def _gathered(images: Tensor, shifts: Tensor) -> Tensor:
    """Shift by one gather, which is one launch on a GPU; a copy per image would be one launch each."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - shifts[:, :1]  # (N, H): the row each pixel comes from
    columns = torch.arange(width, device=images.device) - shifts[:, 1:]  # (N, W)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    numbers = torch.arange(len(images), device=images.device)[:, None, None]
    taken = images.permute(0, 2, 3, 1)[
        numbers, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ]
    return (taken * inside[..., None]).permute(0, 3, 1, 2)


def _copied(images: Tensor, shifts: Tensor) -> Tensor:
    height, width = images.shape[2:]
    result = torch.zeros_like(images)
    for i, (down, right) in enumerate(shifts.tolist()):
        to_rows, from_rows = _overlap(down, height)
        to_columns, from_columns = _overlap(right, width)
        result[i, :, to_rows, to_columns] = images[i, :, from_rows, from_columns]
    return result


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    return slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size - max(shift, 0))


TRANSFORMS: Mapping[str, Transform] = {"color": color, "translation": translation, "cutout": cutout}
