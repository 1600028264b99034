"""ImplicitModel: a model that can only be sampled, trained by a game against a discriminator."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NoReturn

from torch import Tensor, nn

from genzoo.card import Family
from genzoo.errors import NoDensityError
from genzoo.models.latent import LatentModel
from genzoo.models.model import GenerativeModel, public
from genzoo.noise import Draws

_WHY = (
    "has no likelihood: it defines p(x) only through its samples G(z), and the density of G(z) would "
    "need every z that leads to x"
)


class ImplicitModel(LatentModel, GenerativeModel):
    """No density, only samples: x = G(z). `generator` and `discriminator` are the two players' networks."""

    implicit: ClassVar[bool] = True
    recordable: ClassVar[bool] = (
        # True: `_decode` and `_discriminate` do in each turn what `training.Player.recordable` asks for
        False
    )
    generator: nn.Module
    discriminator: nn.Module

    @classmethod
    def _place(cls) -> Family | None:
        return Family.IMPLICIT

    @public
    def log_prob(self, x: object) -> NoReturn:
        """Raise NoDensityError, which teaches why an implicit model has no likelihood."""
        raise NoDensityError(
            f"{type(self).__name__} {_WHY}",
            "ask sample() of it, or log_prob() of a tractable or approximate model: genzoo list --tree",
        )

    @public
    def bits_per_dim(self, x: object) -> NoReturn:
        """Raise NoDensityError, like `log_prob`."""
        self.log_prob(x)

    def _sample(self, draws: Draws) -> Tensor:
        return self._decode(self._latents(draws))

    @abstractmethod
    def _discriminate(self, x: Tensor) -> Tensor:
        """Return one logit per image, (N,), of images (N, C, H, W) in [0, 1]: large where x looks real;
        differentiable.
        """
