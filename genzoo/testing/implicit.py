"""Laws of a model without a likelihood."""

from __future__ import annotations

from functools import partial

from genzoo.card import Family
from genzoo.errors import NoDensityError
from genzoo.models import ImplicitModel
from genzoo.rng import Rng
from genzoo.testing.given import first_given
from genzoo.testing.law import hold, refuses


@first_given
def check_implicit(model: ImplicitModel) -> None:
    """Check an implicit model: its family, and that it states why it has no likelihood.

    Raises:
        LawError: the first law that is broken.
    """
    name = type(model).__name__
    hold(isinstance(model, ImplicitModel), "check_implicit is for an ImplicitModel", name, "its base classes")
    hold(
        model.family is Family.IMPLICIT,
        "an ImplicitModel is of the family 'implicit'",
        model.family,
        f"{name}.family",
    )
    noise = Rng(0, 0, 4).uniform(*model.image_shape).float().to(model.device)
    for method in ("log_prob", "bits_per_dim"):
        law = "an implicit model states why it has no likelihood"
        refuses(
            partial(getattr(model, method), noise), NoDensityError, law, f"{method}(x)", f"{name}.{method}"
        )
