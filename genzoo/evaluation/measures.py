"""Measures: the class of a model decides what is measured.

`measures(model, train, test, request)` yields the records. It is a `functools.singledispatch` on the model's
class: the core registers those of `DensityModel` (its likelihood), `ImportanceModel` (and tighter bounds),
`ImplicitModel` (its samples), `ClassifyingModel` and `EncodingModel`, each next to its mathematics. A plugin
registers its own with `measures.register`, next to the class, and `genzoo eval` needs no change.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError
from genzoo.models import Model
from genzoo.record import Record
from genzoo.request import Progress, Request


@functools.singledispatch
def measures(
    model: Model,
    train: Images,
    test: Images,
    request: Request,
    *,
    subject: str,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield the records of `model`.

    Args:
        model: the model, whose class decides.
        train: the images that it was trained on, in its shape.
        test: the images that it is measured on, in its shape.
        request: how many of them, the seed and every other option.
        subject: the model's name, for the records.
        progress: called with (what, done, total).

    Raises:
        ArgumentError: no measures are registered for the model's class.
    """
    raise ArgumentError(
        f"{type(model).__name__} has no measures: it is not a DensityModel, ImplicitModel, "
        "ClassifyingModel or EncodingModel",
        "register its measures with genzoo.evaluation.measures.register, next to the class",
    )
