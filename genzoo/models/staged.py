"""StagedModel: a latent model whose network makes an image in stages, from coarse to fine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from genzoo.errors import CardError
from genzoo.models.conditions import conditional
from genzoo.models.latent import LatentModel
from genzoo.models.model import filled, public


class StagedModel(LatentModel):
    """A latent model with an image of z at each of its stages, for example one that was trained at growing
    image sizes.
    """

    @public
    def stages(self, z: Any, condition: Any = None) -> list[Tensor]:
        """Return the images of latent vectors (N, latent_size) at each stage, the coarsest first: float32
        tensors (N, C, h, w) in [0, 1].

        Sizes never fall from one stage to the next, and each divides that of `image_shape`. The last stage,
        enlarged to `image_shape` by repeating pixels, is `decode(z)`. A model in the middle of its training
        has only the stages that it has reached. As in `decode`, the same z gives the same images, alone or in
        a batch; no gradients are recorded.

        Raises:
            ArgumentError: z of a wrong shape or type, or not finite; a missing, invalid or superfluous
                condition.
            UnknownNameError: a label that does not exist.
            CardError: `_stages` returned no images, or images of a wrong shape.
        """
        latents = self.check_latents(z)
        given = self.check_condition(condition, len(latents))
        chunk, parts = self.decode_chunk, []
        with torch.inference_mode(), self.asking() as model:
            for first in range(0, len(latents), chunk):
                rows = [filled(value[first : first + chunk], chunk) for value in (latents, *given)]
                parts.append([stage.float().clamp(0, 1) for stage in model._stages(*rows)])
        images = [torch.cat(stage)[: len(latents)] for stage in zip(*parts, strict=True)]
        self._check_stages(images)
        # outside inference mode they can be changed and learned from
        return [stage.clone() for stage in images]

    def _check_stages(self, images: Sequence[Tensor]) -> None:
        where = f"{type(self).__name__}._stages"
        if not images:
            raise CardError(f"{where} returned no images", "return one batch of images for each stage")
        channels, height, width = self.image_shape
        for stage in images:
            fits = stage.ndim == 4 and stage.shape[1] == channels
            if not fits or height % stage.shape[2] or width % stage.shape[3]:
                raise CardError(
                    f"{where} returned images of the shape {tuple(stage.shape[1:])}",
                    f"stages have {channels} channels, and sides that divide {height}×{width}",
                )

    @abstractmethod
    @conditional
    def _stages(self, z: Tensor, *condition: Tensor) -> Sequence[Tensor]:
        """Return the images (N, C, h, w) in [0, 1] of checked latent vectors, one tensor per stage, the
        coarsest first.

        A conditional class writes `_stages(self, z, condition)`.
        """


def enlarged(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `images` (N, C, h, w) enlarged to `size` (H, W) by repeating pixels; themselves if they have it.

    H and W must be multiples of h and w.
    """
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return interpolate(images, size=size, mode="nearest")
