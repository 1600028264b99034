"""LatentModel and EncodingModel: models with a latent z."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from genzoo.card import Family
from genzoo.errors import ArgumentError, NotGenerativeError
from genzoo.models.conditions import conditional
from genzoo.models.manner import truncated
from genzoo.models.model import Model, check_count, check_memory, in_chunks, public
from genzoo.models.posterior import Posterior, checked
from genzoo.rng import Rng, check_seed

_ABSENT = {
    "sample": "cannot be sampled: it has codes, but no prior p(z) to sample them from",
    "log_prob": "has no likelihood: its loss measures reconstructions and defines no p(x)",
}
_ABSENT |= {"sample_batches": _ABSENT["sample"], "bits_per_dim": _ABSENT["log_prob"]}


class LatentModel(Model):
    """A model that decodes a latent vector z into an image."""

    latent: ClassVar[bool] = True
    # "normal": z ~ N(0, I), interpolated on the sphere; "uniform": z ~ U(-1, 1), along a line
    prior: ClassVar[str] = "normal"

    @property
    def latent_size(self) -> int:
        """The number of components of z: `config.latent_size`, unless the class replaces this property."""
        size = getattr(self.config, "latent_size", None)
        if size is None:
            raise ArgumentError(
                f"{type(self).__name__} has no latent_size",
                f"add the key latent_size to {type(self.config).__name__}, or write the property latent_size",
            )
        return int(size)

    @public
    def sample_latents(self, n: int, seed: int | torch.Generator | None = None) -> Tensor:
        """Return `n` latent vectors (n, latent_size) float32 from the prior; vector i of a seed does not
        depend on n.
        """
        # streams cost more memory than what is drawn from them
        count = check_count(n)
        start = check_seed(seed)
        step = 1024
        check_memory(count, 4 * self.latent_size)
        firsts = range(0, count, step)
        return torch.cat(
            [self._latents(Rng(start, first, min(step, count - first), self.device)) for first in firsts]
        )

    @public
    def decode(self, z: Any, condition: Any = None) -> Tensor:
        """Return the images (N, C, H, W) in [0, 1] of latent vectors (N, latent_size).

        A conditional model takes one `condition` for all or a list with one for each. The same z and
        condition give the same image, alone or in a batch, with gradients or without. Differentiable if z
        requires gradients: they are those of the network in float32, even if the image is computed faster
        (see `genzoo.layers.compact`).

        Raises:
            ArgumentError: z of a wrong shape or type, or not finite; a missing, invalid or superfluous
                condition.
            UnknownNameError: a label that does not exist.
        """
        latents = self.check_latents(z)
        given = self.check_condition(condition, len(latents))
        with self.asking(gradients=latents.requires_grad) as model:
            images = in_chunks(model._decode, self.decode_chunk, latents, *given)
        return images.float().clamp(0, 1).contiguous()

    def check_latents(self, z: Any, what: str = "z") -> Tensor:
        """Return `z` as (N, latent_size) float32 on the model's device, or raise ArgumentError."""
        try:
            latents = z if isinstance(z, Tensor) else torch.as_tensor(z)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(
                f"{what} must be a tensor of latent vectors, not {type(z).__name__}"
            ) from error
        if latents.ndim != 2 or latents.shape[1] != self.latent_size or not len(latents):
            raise ArgumentError(
                f"{what} must have the shape (N, {self.latent_size}), not {tuple(latents.shape)}",
                "see sample_latents(n)",
            )
        if not latents.is_floating_point():
            raise ArgumentError(f"{what} must hold floating-point numbers, not {latents.dtype}")
        if not torch.isfinite(latents).all():
            raise ArgumentError(f"{what} holds NaN or infinite values")
        return latents.to(self.device, torch.float32)

    def _latents(self, rng: Rng) -> Tensor:
        if self.prior == "uniform":
            z = (2 * rng.uniform(self.latent_size) - 1).float()
        else:
            z = rng.normal(self.latent_size)
        t = self._manner.truncation
        return z if t is None else truncated(z, rng, self.prior, t)

    @abstractmethod
    @conditional
    def _decode(self, z: Tensor, *condition: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [0, 1] of checked latent vectors; differentiable.

        A conditional class writes `_decode(self, z, condition)`.
        """


class EncodingModel(LatentModel):
    """A latent model that also maps images to codes. On its own it is an autoencoder, without a prior to
    sample z from.
    """

    @classmethod
    def _place(cls) -> Family | None:
        return super()._place() or Family.AUTOENCODER

    def __getattr__(self, name: str) -> Any:
        """Raise an error that says why an autoencoder has no `sample` and no `log_prob`; called only for
        undefined attributes.
        """
        if name in _ABSENT:
            raise NotGenerativeError(
                f"{type(self).__name__} {_ABSENT[name]}",
                "it has encode(x) and decode(z); a VAE has all four: genzoo list --tree",
            )
        return super().__getattr__(name)

    @public
    def encode(self, x: Any, condition: Any = None, *, with_grad: bool = False) -> Tensor | Posterior:
        """Return the codes (N, latent_size) of images (N, C, H, W) in [0, 1], or q(z|x) as a `Posterior`.

        A conditional model takes the `condition` of each image, or one for all: q(z|x, c). All tensors are
        float32. The code of an image does not depend on the other images in its batch. `with_grad=True`
        records gradients, to x and to the weights; without it there are none.

        Raises:
            ArgumentError: images of a wrong shape, type or range; a missing, invalid or superfluous
                condition; an `_encode` that returns something else.
            UnknownNameError: a label that does not exist.
        """
        images = self.check_images(x)
        given = self.check_condition(condition, len(images))
        with self.asking(gradients=with_grad) as model:
            found = model._encode(images, *given)
        return checked(found, (len(images), self.latent_size), f"{type(self).__name__}._encode")

    @abstractmethod
    @conditional
    def _encode(self, x: Tensor, *condition: Tensor) -> Tensor | Posterior:
        """Return the codes (N, latent_size), or q(z|x), of checked images; differentiable.

        A conditional class writes `_encode(self, x, condition)`.
        """
