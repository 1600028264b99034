"""Request: what is asked of a measurement. One form, with one set of defaults, for `zoo.evaluate`, `genzoo
eval`, experiments and the scores of a training run. No torch in here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from genzoo.errors import ArgumentError, safe_repr
from genzoo.whole import check_count, check_draws, check_seed

Progress: TypeAlias = Callable[[str, int, int], None]  # (what is being done, done, total)

SPLITS = ("test", "valid", "train")  # that `genzoo eval --split` takes
FIT = "fit"  # the training images less the validation images
WAYS = ("threshold", "draw")  # to make grey images black and white
DRAWS = (1, 50, 500, 5000)  # K of the importance-weighted bounds that papers report


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of a measurement. Lists are kept as tuples.

    Attributes:
        data: on which images, see `genzoo.data.open_data`; None: those of the model's recipe.
        split: the images that are measured: "test"; "valid", to choose settings by; "train", to see how much
            a likelihood overfits.
        n: how many of them; None: all, and of samples at most 10,000.
        seed: of the samples and of every choice.
        draws: the K of importance-weighted bounds, () for none; None: `DRAWS` where the model has such a
            bound.
        metrics: of samples, some of `genzoo.metrics.METRICS` or of plugins'; None: all that the images allow.
        features: what samples are compared in: "gist" or a published feature net; None: the data set's own.
        binarise: "threshold" or "draw" makes grey images black and white, and the records' transform says so.

    Raises:
        ArgumentError: a value that no measurement can have; what a model lacks is told when it is measured.
    """

    data: Any = None
    split: str = "test"
    n: int | None = None
    seed: int = 0
    draws: tuple[int, ...] | None = None
    metrics: tuple[str, ...] | None = None
    features: str | None = None
    binarise: str | None = None

    def __post_init__(self) -> None:
        for name in ("draws", "metrics"):
            given = getattr(self, name)
            if isinstance(given, Iterable) and not isinstance(given, str):
                object.__setattr__(self, name, tuple(given))
        if self.n is not None:
            check_count(self.n)
        check_seed(self.seed)
        if self.draws is not None and self.draws != ():
            check_draws(self.draws)
        known = ("train", "valid", "test", FIT)
        if self.split not in known:
            raise ArgumentError(
                f"split must be one of train, valid, test, not {self.split!r}",
                f"there are {', '.join(known)}",
            )
        if self.binarise is not None and self.binarise not in WAYS:
            raise ArgumentError(
                f"binarise must be one of {', '.join(WAYS)}, not {safe_repr(self.binarise)}",
                "for example binarise='threshold'",
            )

    @property
    def of_samples(self) -> bool:
        """Whether samples are to be measured, also of a model that has a likelihood."""
        return self.metrics is not None or self.features is not None
