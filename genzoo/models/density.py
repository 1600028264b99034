"""DensityModel: a model that can tell you p(x), exactly or as a lower bound."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from genzoo.card import Family
from genzoo.errors import ArgumentError
from genzoo.losses.likelihood import bits_per_dim
from genzoo.models.model import GenerativeModel, public


class DensityModel(GenerativeModel):
    """Explicit density.

    A subclass says two things of its `log_prob`. `exact`: whether it is log p(x) itself (True) or a lower
    bound on it (False). `levels`: what the probability is of. With `levels = 256` p(x) is the probability of
    an 8-bit image: 256 masses per value, which sum to 1 (2: black and white). With `levels = 0` p(x) is a
    density of real numbers: it integrates to 1, can exceed 1, and says nothing of how many bits an image
    takes. Dequantise to get a bound on masses from a density, see `genzoo.losses.likelihood.dequantised`.
    """

    exact: ClassVar[bool]
    explicit: ClassVar[bool] = True

    @classmethod
    def _place(cls) -> Family | None:
        exact = getattr(cls, "exact", None)
        return None if exact is None else Family.TRACTABLE if exact else Family.APPROXIMATE

    @property
    @abstractmethod
    def levels(self) -> int:
        """How many values a pixel can take, each with a probability mass: 2 … 256. 0: p(x) is a density of
        real numbers.
        """

    @property
    def record_protocol(self) -> str:
        """What else decides the number that `log_prob` gives, for records: only equal protocols are
        compared.
        """
        return ""

    @property
    def record_note(self) -> str:
        """What a reader of this model's likelihood should know beside it."""
        return ""

    @public
    def log_prob(self, x: Any) -> Tensor:
        """Return log p(x) in nats, (N,), for images (N, C, H, W) in [0, 1]: exact, or a lower bound where
        `exact` is False.

        Raises:
            ArgumentError: images of a wrong shape, dtype or range.
        """
        images = self.check_images(x)
        with self.asking() as model:
            return model._log_prob(images).float()

    @public
    def bits_per_dim(self, x: Any) -> Tensor:
        """Return -log p(x) / (C·H·W·ln 2), (N,): bits per dimension, an upper bound where `exact` is False.

        Raises:
            ArgumentError: as `log_prob`; or p(x) is a density of real numbers, which has no bits per
                dimension.
        """
        if not self.levels:
            raise ArgumentError(
                f"{type(self).__name__} tells a density of real-valued pixels: bits per dimension are of "
                "probabilities",
                "log_prob(x) is the density in nats; genzoo.losses.likelihood.dequantised makes a bound "
                "for 8-bit images of it",
            )
        return bits_per_dim(self.log_prob(x), self.image_shape)

    @abstractmethod
    def _log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (N,), differentiable, of checked images."""
