"""Images completed: a part is kept, the rest is drawn by an autoregressive model (van den Oord et al. 2016, figure 1)."""

from __future__ import annotations

from types import MappingProxyType

import torch
from torch import Tensor

from genzoo.errors import ArgumentError
from genzoo.models.autoregressive import AutoregressiveModel
from genzoo.models.model import Model

HIDDEN = 0.5  # grey of what the model does not see

# What is kept -> the share of the height and of the width, from-to, that is.
KEEPS = MappingProxyType(
    {
        "top": ((0.0, 0.5), (0.0, 1.0)),
        "bottom": ((0.5, 1.0), (0.0, 1.0)),
        "left": ((0.0, 1.0), (0.0, 0.5)),
        "right": ((0.0, 1.0), (0.5, 1.0)),
    }
)


def keep_mask(keep: str, height: int, width: int) -> Tensor:
    """Return which pixels are kept, bool (H, W): the "top", "bottom", "left" or "right" half.

    Raises:
        ArgumentError: another word, or an image too small to keep a half of it.
    """
    if keep not in KEEPS:
        raise ArgumentError(f"keep must be one of {', '.join(KEEPS)}, not {keep!r}")
    (top, bottom), (left, right) = KEEPS[keep]
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    if not mask.any() or mask.all():
        raise ArgumentError(f"images of {height}x{width} have no {keep} half")
    return mask


def completed(model: Model, images: Tensor, mask: Tensor, n: int = 6, seed: int | None = None) -> Tensor:
    """Return rows (N, n + 2, C, H, W) in [0, 1]: what the model sees of each image (N, C, H, W), `n` completions, the image itself.

    Completions are draws from p(rest | kept) where the kept part comes first in raster order (the top half); for other masks each
    pixel is drawn given all that lies before it, kept or drawn.

    Raises:
        ArgumentError: a model that has no order of pixels; images, mask, n or seed that `AutoregressiveModel.complete` refuses.
    """
    if not isinstance(model, AutoregressiveModel):
        raise ArgumentError(f"{type(model).__name__} cannot complete images: it draws them whole", "pixel models can: genzoo list --tree")
    drawn = model.complete(images, mask, n, seed)  # (N, n, C, H, W)
    whole = images.to(drawn)
    shown = torch.where(mask.to(drawn.device), whole, HIDDEN)
    return torch.cat([shown[:, None], drawn, whole[:, None]], dim=1)
