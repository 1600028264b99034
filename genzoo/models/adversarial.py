"""AdversarialModel: an implicit model x = G(z), trained by a game against a discriminator."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from genzoo.models.conditions import conditional
from genzoo.models.implicit import ImplicitModel
from genzoo.models.latent import LatentModel
from genzoo.rng import Rng


class AdversarialModel(ImplicitModel, LatentModel):
    """x = G(z), or G(z, c). `generator` and `discriminator` are the two players' networks."""

    why: ClassVar[str] = (
        "it defines p(x) only through its samples G(z), and the density of G(z) would need every z that "
        "leads to x"
    )
    recordable: ClassVar[bool] = (
        # True: `_decode` and `_discriminate` do in each turn what `training.Player.recordable` asks for
        False
    )
    generator: nn.Module
    discriminator: nn.Module

    def _sample(self, rng: Rng, *condition: Tensor) -> Tensor:
        return self._decode(self._latents(rng), *condition)

    @abstractmethod
    @conditional
    def _discriminate(self, x: Tensor, *condition: Tensor) -> Tensor:
        """Return one logit per image, (N,), of images (N, C, H, W) in [0, 1]: large where x looks real;
        differentiable.

        A conditional class writes `_discriminate(self, x, condition)`: large where x looks like a real image
        of its condition.
        """
