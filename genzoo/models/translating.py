"""TranslatingModel: a picture of one domain in, a picture of another out (Isola et al. 2017, Zhu et al.
2017).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from genzoo.condition import Picture
from genzoo.errors import ArgumentError, CardError
from genzoo.images import as_tensor, check_images
from genzoo.models.implicit import ImplicitModel
from genzoo.models.model import Progress, check_progress, public
from genzoo.models.rows import channels_hint
from genzoo.rng import Rng, check_seed


class TranslatingModel(ImplicitModel):
    """y = G(x, noise): one picture for each, of the same size. Its condition is the picture.

    The config has the fields `source_shape` and `domains`, see `genzoo.Picture`. `multiple` says which sizes
    fit: a net that is fully convolutional takes any picture whose sides are multiples of it; 0 stands for a
    net that takes the size of its config alone.
    """

    condition_type = Picture
    why: ClassVar[str] = "it defines p(y|x) only through its translations"
    decode_chunk: ClassVar[int] = 1  # a picture that is translated alone costs no more than one
    multiple: int = 0

    @property
    def picture(self) -> Picture:
        """What is translated, also where `given` fixed it."""
        return Picture.of(self.config)

    def shape_of(self, domain: str) -> tuple[int, int, int]:
        """Return (C, H, W) of the pictures of a domain, at the size of the config."""
        return self.picture.shape if domain == self.picture.domains[0] else self.image_shape

    @public
    def translate(
        self, images: Any, to: str | None = None, seed: int | None = 0, *, progress: Progress | None = None
    ) -> Tensor:
        """Return the translation of each of `images` (N, C, H, W) into the domain `to`, in the same order and
        size: (N, C', H, W) float32 in [0, 1], on the model's device.

        Translation i is a function of the seed, i and picture i alone. `to` is by default the second domain;
        a model that knows both directions takes the first as well. `progress` is called with (done, total) in
        pixels after every batch.

        Raises:
            ArgumentError: images of a wrong shape, type or range; a size that does not fit, with the nearest
                that does; a direction that the model does not know; an invalid seed.
            UnknownNameError: a domain that does not exist; the message gives the nearest.
        """
        target = self.picture.target(to)
        pictures, start = self.check_pictures(images, target), check_seed(seed)
        tell, pixels = check_progress(progress), math.prod(pictures.shape[2:])
        found = []
        for first in range(0, len(pictures), self.decode_chunk):
            found.append(self._translated(pictures[first : first + self.decode_chunk], target, start, first))
            if tell is not None:
                tell(min(first + self.decode_chunk, len(pictures)) * pixels, len(pictures) * pixels)
        return torch.cat(found)

    def check_pictures(self, images: Any, target: str, what: str = "images") -> Tensor:
        """Return pictures to translate into `target` as float32 (N, C, H, W) in [0, 1] on the model's device,
        or raise ArgumentError.
        """
        domains = self.picture.domains
        shape = self.shape_of(domains[0] if target == domains[1] else domains[1])
        came = tuple(as_tensor(images, what).shape)
        hint = channels_hint(came, shape[0])
        if hint:
            raise ArgumentError(f"{what} must have {shape[0]} channels, not {came[1]}", hint)
        if len(came) == 4 and came[1] == shape[0] and came[2:] != shape[1:]:
            self._check_size((came[2], came[3]), what)
            shape = (shape[0], came[2], came[3])
        pictures = check_images(images, shape, what)
        if not len(pictures):
            raise ArgumentError(f"{what} must hold at least one picture, not 0")
        return pictures.to(self.device)

    def _check_size(self, size: tuple[int, int], what: str) -> None:
        height, width = self.image_shape[1:]
        if not self.multiple:
            raise ArgumentError(
                f"{what} must be {height}x{width}, not {size[0]}x{size[1]}: {type(self).__name__} takes one "
                "size",
                f"resize or crop to {height}x{width}",
            )
        if any(side % self.multiple for side in size) or 0 in size:
            near = [
                max(1, (2 * side + self.multiple) // (2 * self.multiple)) * self.multiple for side in size
            ]
            raise ArgumentError(
                f"{what} must have sides that are multiples of {self.multiple}, not {size[0]}x{size[1]}",
                f"resize or crop to {near[0]}x{near[1]}",
            )

    def _translated(self, pictures: Tensor, target: str, seed: int, first: int) -> Tensor:
        # Always a whole chunk: kernels may sum in another order for another batch size.
        n, chunk = len(pictures), self.decode_chunk
        whole = torch.cat([pictures, pictures.new_zeros(chunk - n, *pictures.shape[1:])])
        with torch.inference_mode(), self.asking() as model:
            found = model._translate(whole, target, Rng(seed, first, chunk, self.device))[:n]
        expected = (n, self.shape_of(target)[0], *pictures.shape[2:])
        if tuple(found.shape) != expected:
            raise CardError(
                f"{type(self).__name__}._translate returned the shape {tuple(found.shape)} for pictures of "
                f"{tuple(pictures.shape)}, not {expected}"
            )
        return found.float().clamp(0, 1).clone()

    def _sample(self, rng: Rng, *condition: Tensor) -> Tensor:
        (pictures,) = condition
        return self._translate(pictures, self.picture.domains[1], rng)

    @abstractmethod
    def _translate(self, x: Tensor, to: str, rng: Rng) -> Tensor:
        """Return the translation into the domain `to` of each of the pictures `x` (N, C, H, W) in [0, 1], of
        the same height and width; noise comes from `rng`, one stream per picture.
        """
