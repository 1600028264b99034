"""DensityModel: a model that can tell you p(x), exactly or as a lower bound."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from genzoo.card import Family
from genzoo.losses.likelihood import bits_per_dim
from genzoo.models.model import GenerativeModel, public


class DensityModel(GenerativeModel):
    """Explicit density. `exact` says whether `log_prob` is log p(x) itself (True) or a lower bound on it (False)."""

    exact: ClassVar[bool]
    explicit: ClassVar[bool] = True

    @classmethod
    def _place(cls) -> Family | None:
        exact = getattr(cls, "exact", None)
        return None if exact is None else Family.TRACTABLE if exact else Family.APPROXIMATE

    @property
    def record_protocol(self) -> str:
        """What else decides the number that `log_prob` gives, for records: only equal protocols are compared."""
        return ""

    @property
    def record_note(self) -> str:
        """What a reader of this model's likelihood should know beside it."""
        return ""

    @public
    def log_prob(self, x: Any) -> Tensor:
        """Return log p(x) in nats, (N,), for images (N, C, H, W) in [0, 1]: exact, or a lower bound where `exact` is False.

        Raises:
            ArgumentError: images of a wrong shape, dtype or range.
        """
        images = self.check_images(x)
        with self.asking() as model:
            return model._log_prob(images).float()

    @public
    def bits_per_dim(self, x: Any) -> Tensor:
        """Return -log p(x) / (C·H·W·ln 2), (N,): bits per dimension, an upper bound where `exact` is False."""
        return bits_per_dim(self.log_prob(x), self.image_shape)

    @abstractmethod
    def _log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (N,), differentiable, of checked images."""
