"""Checks of a model against what other programs made of the same z."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genzoo.data.npz import read
from genzoo.errors import DataError, WeightsError
from genzoo.layers.folding import unfolded
from genzoo.models import LatentModel, Model

AGREEMENT = 1e-3  # of intensities in [0, 1]: a quarter of a grey level
LEVELS = 0.5 / 255 + AGREEMENT  # where the given images are 8-bit


@dataclass(frozen=True)
class Check:
    """How far images of a model are from those given: `n` of them, the largest difference of a pixel."""

    n: int
    worst: float
    source: str

    @property
    def words(self) -> str:
        """Return it in one line."""
        return f"{self.n} images of {self.source} agree within {self.worst:.1e}"


def compare(model: Model, path: Path) -> Check:
    """Decode `z` of the .npz file `path` with `model` and compare with its `images`, in float32 and layer by
    layer, as torch does.

    Images are uint8, or real-valued in [0, 1], or (where any is below 0) in [-1, 1].

    Raises:
        DataError: a file without both, or of other shapes.
        WeightsError: the images differ; nothing was imported.
    """
    if not isinstance(model, LatentModel):
        raise DataError(f"{path} cannot be checked: this model has no z", "leave --check out")
    arrays = read(path, also="z")
    if not {"z", "images"} <= set(arrays):
        raise DataError(
            f"{path} must hold z and images, not {', '.join(arrays) or 'nothing'}",
            "numpy.savez(FILE, z=z, images=netG(z).detach().numpy()), with netG.eval()",
        )
    images, most = _intensities(arrays["images"])
    z = torch.from_numpy(np.ascontiguousarray(arrays["z"]))
    latents = z.reshape(len(z), -1).float() if z.ndim else z
    if not len(images) or images.shape != (len(latents), *model.image_shape):
        raise DataError(
            f"{path}: images must have the shape {(len(latents), *model.image_shape)}, one for each z, not "
            f"{tuple(images.shape)}"
        )
    with unfolded():
        worst = float((model.decode(latents) - images).abs().max())
    if not worst <= most:
        raise WeightsError(
            f"the imported model does not give the images of {path}: they differ by up to {worst:.2g} of 1",
            "were they made in evaluation mode (netG.eval())? Else its activations or eps are others: "
            "--set activation=leaky-relu",
        )
    return Check(len(images), worst, path.name)


def _intensities(images: np.ndarray) -> tuple[Tensor, float]:
    """Return images as intensities in [0, 1], and how far ours may be from them."""
    found = torch.from_numpy(np.ascontiguousarray(images))
    if found.dtype == torch.uint8:
        return found.float() / 255, LEVELS
    values = found.float()
    return (values.add(1).div(2) if bool((values < 0).any()) else values), AGREEMENT
