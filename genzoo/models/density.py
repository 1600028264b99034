"""DensityModel: a model that computes p(x), exactly or as a lower bound."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from genzoo.card import Family
from genzoo.errors import ArgumentError
from genzoo.losses.likelihood import bits_per_dim
from genzoo.models.conditions import conditional
from genzoo.models.model import GenerativeModel, public


class DensityModel(GenerativeModel):
    """Explicit density.

    A subclass states two facts about its `log_prob`. `exact`: whether it is log p(x) itself (True) or a lower
    bound on it (False). `levels`: what it assigns probability to. With `levels = 256` p(x) is the probability
    of an 8-bit image: 256 masses per value, which sum to 1 (2: black and white). With `levels = 0` p(x) is a
    density of real numbers: it integrates to 1, can exceed 1, and says nothing about how many bits an image
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
        """What else determines the value of `log_prob`, for records: only equal protocols are compared."""
        return ""

    @property
    def record_note(self) -> str:
        """A caveat about this model's likelihood for the reader of a record."""
        return ""

    @public
    def log_prob(self, x: Any, condition: Any = None, *, with_grad: bool = False) -> Tensor:
        """Return log p(x) in nats, (N,), for images (N, C, H, W) in [0, 1]: exact, or a lower bound if
        `exact` is False.

        Of a conditional model it is log p(x|c), for the `condition` of each image or one for all: each sums
        to 1 over x. `with_grad=True` records gradients, to x and to the weights; without it there are none.

        Raises:
            ArgumentError: images of a wrong shape, dtype or range; a missing, invalid or superfluous
                condition.
            UnknownNameError: a label that does not exist.
        """
        images = self.check_images(x)
        given = self.check_condition(condition, len(images))
        with self.asking(gradients=with_grad) as model:
            return model._log_prob(images, *given).float()

    @public
    def bits_per_dim(self, x: Any, condition: Any = None) -> Tensor:
        """Return -log p(x) / (C·H·W·ln 2), (N,): bits per dimension, an upper bound if `exact` is False.

        Raises:
            ArgumentError: as `log_prob`; or p(x) is a density of real numbers, which has no bits per
                dimension.
        """
        if not self.levels:
            raise ArgumentError(
                f"{type(self).__name__} has a density of real-valued pixels: bits per dimension need "
                "probabilities",
                "log_prob(x) is the density in nats; genzoo.losses.likelihood.dequantised makes it a bound "
                "for 8-bit images",
            )
        return bits_per_dim(self.log_prob(x, condition), self.image_shape)

    @abstractmethod
    @conditional
    def _log_prob(self, x: Tensor, *condition: Tensor) -> Tensor:
        """Return log p(x) in nats, (N,), differentiable, of checked images.

        A conditional class writes `_log_prob(self, x, condition)`.
        """
