"""ImplicitModel: a model that can only be sampled."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from genzoo.card import Family
from genzoo.errors import NoDensityError
from genzoo.models.model import GenerativeModel, public


class ImplicitModel(GenerativeModel):
    """No density, only samples: p(x) is defined only by what `_sample` generates."""

    implicit: ClassVar[bool] = True
    why: ClassVar[str] = "it defines p(x) only through its samples"  # it has no likelihood

    @classmethod
    def _place(cls) -> Family | None:
        return Family.IMPLICIT

    @public
    def log_prob(self, x: object, condition: object = None) -> NoReturn:
        """Raise NoDensityError, which explains why an implicit model has no likelihood."""
        raise NoDensityError(
            f"{type(self).__name__} has no likelihood: {self.why}",
            "use sample(), or log_prob() of a tractable or approximate model: genzoo list --tree",
        )

    @public
    def bits_per_dim(self, x: object, condition: object = None) -> NoReturn:
        """Raise NoDensityError, like `log_prob`."""
        self.log_prob(x)
