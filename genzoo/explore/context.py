"""What a pixel sees: the earlier pixels that a conditional p(x_i | x_1 … x_{i-1}) depends on, from its
gradients.

Order is that of the chain rule (van den Oord et al. 2016): pixels in raster order, red, green, blue within a
pixel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.model import Model
from genzoo.process import neutral, undisturbed
from genzoo.rng import Rng, mix

# RGB: a blind spot, the future, the pixel that looks
UNSEEN = (250, 190, 170)
LATER = (238, 238, 238)
ITSELF = (230, 85, 13)
FAINT, STRONG = (198, 219, 239), (8, 48, 107)  # of what is seen: the ends of its scale
_DECADES = 3.0  # of gradient that the scale shows


def in_order(x: Tensor) -> Tensor:
    """Return (..., C, H, W) as (..., H·W·C): raster order, channels within a pixel."""
    return x.movedim(-3, -1).flatten(-3)


def mixed(model: AutoregressiveModel, x: Tensor, condition: Any = None) -> Tensor:
    """Return one number per conditional, (N, H·W·C) in the order of the chain rule: its parameters, mixed
    with fixed random weights.

    Their plain sum could stay the same while they change, as that of logits does.
    """
    params = model._predict(x, *model.check_condition(condition, len(x)))  # (N, P, C, H, W)
    weights = Rng(mix("context"), 0, 1, x.device).normal(params.shape[1])[0].to(params.dtype)  # (P,)
    return in_order(torch.einsum("npchw,p->nchw", params, weights))


@undisturbed()
def dependence(model: AutoregressiveModel, image: Tensor, condition: Any = None) -> Tensor:
    """Return how strongly the parameters of conditional i depend on x_j at `image` (C, H, W): (D, D) ≥ 0, in
    the order of the chain rule.

    Absolute gradients, in one pass: row i of a batch of D copies answers for conditional i. A conditional
    model takes the `condition` of the image.
    """
    size = image.numel()
    x = image.expand(size, *image.shape).clone().requires_grad_(True)
    with torch.enable_grad(), model.asking(gradients=True) as asked:
        return in_order(_slope_of(x, mixed(asked, x, condition).diagonal()))


def _slope_of(x: Tensor, values: Tensor) -> Tensor:
    """Return |d values.sum() / d x| on the CPU; zero where they have nothing to do with each other."""
    slope = (
        torch.autograd.grad(values.sum(), x, retain_graph=True, allow_unused=True)[0]
        if values.requires_grad
        else None
    )
    return torch.zeros_like(x, device="cpu") if slope is None else slope.abs().cpu()


@undisturbed()
def context(
    model: Model,
    pixel: tuple[int, int] | None = None,
    images: int = 4,
    seed: int = 0,
    *,
    condition: Any = None,
) -> Tensor:
    """Return how strongly the pixel at (row, column), by default the middle one, depends on each other pixel,
    (H, W) ≥ 0, zero at itself.

    The largest absolute gradient of its conditionals' parameters over `images` images of noise. A conditional
    model takes one `condition` for all.

    Raises:
        ArgumentError: a pixel outside the image, a model without an order of pixels, or a missing, invalid or
            superfluous condition.
        UnknownNameError: a label that does not exist.
    """
    if not isinstance(model, AutoregressiveModel):
        raise ArgumentError(
            f"{type(model).__name__} has no order of pixels", "pixel models have one: genzoo list --tree"
        )
    _, height, width = model.image_shape
    row, column = place(pixel, height, width)
    x = Rng(seed, 0, images).uniform(*model.image_shape).float().to(model.device).requires_grad_(True)
    with torch.enable_grad(), model.asking(gradients=True) as asked:
        params = mixed(asked, x, condition).unflatten(1, (height, width, -1))[:, row, column]  # (N, C)
        slopes = [_slope_of(x, params[:, channel]) for channel in range(params.shape[1])]
    seen = torch.stack(slopes).amax((0, 1, 2))  # (H, W)
    seen[row, column] = 0
    return seen


def place(pixel: Any, height: int, width: int) -> tuple[int, int]:
    """Return (row, column) of `pixel`, the middle if it is None, or raise ArgumentError."""
    if pixel is None:
        return height // 2, width // 2
    row, column = pixel
    if not (0 <= row < height and 0 <= column < width):
        raise ArgumentError(
            f"there is no pixel {row},{column} in images of {height}x{width}",
            f"for example {height // 2},{width // 2}",
        )
    return row, column


def count(seen: Tensor, pixel: tuple[int, int]) -> tuple[int, int]:
    """Return how many earlier pixels are seen, and how many there are, in a map (H, W) from `context`."""
    before = pixel[0] * seen.shape[1] + pixel[1]
    return int((seen.flatten()[:before] > 0).sum()), before


@neutral()
def picture(seen: Tensor, pixel: tuple[int, int]) -> Tensor:
    """Return the map (H, W) as colours (H·W, 3, 1, 1) uint8, a tile for each pixel, ready for a grid of W
    columns.

    Pixels that are seen are blue, darker if stronger; blind spots are pink, later pixels grey, the pixel
    itself orange.
    """
    # (H, W, 1) in [0, 1]
    strength = (
        (seen / seen.max().clamp_min(1e-30)).clamp_min(10**-_DECADES).log10().div(_DECADES).add(1)[..., None]
    )
    colours = torch.tensor(FAINT) * (1 - strength) + torch.tensor(STRONG) * strength  # (H, W, 3)
    earlier = torch.arange(seen.numel()).view(seen.shape) < pixel[0] * seen.shape[1] + pixel[1]
    empty = torch.where(earlier[..., None], torch.tensor(UNSEEN), torch.tensor(LATER))
    drawn = torch.where((seen > 0)[..., None], colours, empty.float())
    drawn[pixel] = torch.tensor(ITSELF, dtype=drawn.dtype)
    return drawn.round().to(torch.uint8).view(-1, 3, 1, 1)
